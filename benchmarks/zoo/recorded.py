"""The zoo's runs as the assembler makes them: of the forms that use the Tracer, and of the one that knows only OTLP."""

import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.joined import arrivals, joined
from benchmarks.zoo.kept import Kept
from benchmarks.zoo.plan import Sizes, plan
from benchmarks.zoo.protocol import Fault, Form, Surroundings, Workflow
from causeline import ArtifactStore, Tracer
from causeline.otlp.receiver.content_store import Keeper
from causeline.otlp.receiver.encoding import encoded, kept
from causeline.otlp.receiver.from_protobuf import traces
from causeline.otlp.receiver.rules import Rules
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.settings import EmitterSettings
from causeline.schemas.policy import Policy
from causeline.schemas.run import Run

_RULES = Rules(project="zoo", user_key=b"zoo", marks=True)
"""As `causeline up` has them: one key for all runs."""
PYTHON = "CAUSELINE_ZOO_PYTHON"
"""Environment variable: the interpreter that has the instrumentation libraries; else the one that runs this."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The events of a workflow's runs in one form, in the order in which the runs were done, and the truth."""

    workflow: Workflow
    form: Form
    order: tuple[str, ...]
    faults: Mapping[str, Fault | None]
    """By run id; None for a clean run."""
    values: tuple[bytes, ...]
    """Messages of `causeline.events`."""

    def runs(self, policy: Policy) -> list[Run]:
        """Joined and judged, in their order."""
        found = {run.run_id: run for run in joined(arrivals(self.values), policy)}
        return [found[run_id] for run_id in self.order if run_id in found]


def record(half: str, workflow: Workflow, form: Form, seed: int, sizes: Sizes) -> Recorded:
    """Do the runs of a workflow in a form."""
    return _foreign(half, workflow, seed, sizes) if form is Form.OTEL else _own(workflow, form, seed, sizes)


def _emitter(transport: Kept) -> Emitter:
    return Emitter(EmitterSettings(buffer_events=10_000_000, buffer_bytes=2**31), transport=lambda: transport)


def _own(workflow: Workflow, form: Form, seed: int, sizes: Sizes) -> Recorded:
    transport = Kept()
    faults: dict[str, Fault | None] = {}
    with tempfile.TemporaryDirectory(prefix="causeline-zoo-") as folder:
        artifacts = ArtifactStore.open(folder)
        with Tracer("zoo", emitter=_emitter(transport)) as tracer:
            for each in plan(workflow, form, seed, sizes):
                around = Surroundings(
                    random=each.random, artifacts=artifacts, tracer=tracer, otel=None, number=each.number
                )
                faults[workflow.run(form, each.fault, around)] = each.fault
            if left := tracer.flush(60):
                raise RuntimeError(f"{left.events} events were not kept")
    return Recorded(workflow, form, tuple(faults), faults, tuple(transport.values))


def _foreign(half: str, workflow: Workflow, seed: int, sizes: Sizes) -> Recorded:
    """Through an OTLP request a run, read and mapped as the receiver does it."""
    transport = Kept()
    faults: dict[str, Fault | None] = {}
    by_name = {fault.name: fault for fault in workflow.faults}
    with tempfile.TemporaryDirectory(prefix="causeline-zoo-") as folder:
        file = Path(folder) / "spans"
        command = [
            os.environ.get(PYTHON, sys.executable), "-m", "benchmarks.zoo.record_otel", half, workflow.name, str(file),
            "--seed", str(seed), "--clean", str(sizes.clean), "--faulty", str(sizes.faulty),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{workflow.name}: the OpenTelemetry form could not be run:\n{done.stderr[-3000:]}")
        keeper = Keeper(ArtifactStore.open(Path(folder) / "artifacts"))
        emitter = _emitter(transport)
        for truth, body in _frames(file):
            name = truth["fault"]
            faults[str(truth["run_id"])] = by_name[str(name)] if name else None
            received = traces(body)
            for item in encoded(kept(received, _RULES, keeper), received):
                if not item.emit(emitter, decides=True):
                    raise RuntimeError("the buffer is full")
        if left := emitter.close(60):
            raise RuntimeError(f"{left.events} events were not kept")
    return Recorded(workflow, Form.OTEL, tuple(faults), faults, tuple(transport.values))


def _frames(file: Path) -> Iterator[tuple[Mapping[str, object], bytes]]:
    with file.open("rb") as stream:
        while length := stream.read(4):
            truth = json.loads(stream.read(struct.unpack(">I", length)[0]))
            yield truth, stream.read(struct.unpack(">I", stream.read(4))[0])

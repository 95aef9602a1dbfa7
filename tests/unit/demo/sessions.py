"""Demo sessions to test with: runs published into a recording transport, read back event by event."""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from causeline.demo.faults import Fault
from causeline.demo.plan import PlannedRun, planned
from causeline.demo.publish import Published, publish_planned
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.emitter.stats import Stats
from causeline.producers.tracer import Tracer
from causeline.schemas.events import Record
from tests.unit.producers.recording import RecordingTransport, emitter_over

MADE_UP = {
    "event_id",
    "run_id",
    "step_id",
    "parent_step_id",
    "emitter_id",
    "run_started_at",
    "started_at",
    "occurred_at",
}
"""What differs between two sessions of one seed: ids and times."""


@dataclass(frozen=True)
class Session:
    """What one session left behind."""

    transport: RecordingTransport
    artifacts: ArtifactStore
    published: Published
    stats: Stats
    truth: list[dict[str, object]]

    @property
    def runs(self) -> list[list[Record]]:
        """The events of each run, by number, in the order in which the runs began."""
        of_run: dict[str, list[Record]] = defaultdict(list)
        for event in self.transport.events():
            of_run[str(event["run_id"])].append(event)
        return [
            sorted(of_run[run_id], key=lambda event: cast("int", event["seq"])) for run_id in self.published.run_ids
        ]

    def text(self, ref: object) -> str:
        """The artifact of a reference."""
        return self.artifacts.get(str(ref)).decode()

    def answer(self, run: Sequence[Record]) -> dict[str, object]:
        """The values in the last output of a model, as it stands in the store."""
        output = steps(run, "model_call")[-1]["raw_output_ref"]
        return cast("dict[str, object]", json.loads(self.text(output))["values"])


def hold(runs: Iterable[PlannedRun], folder: Path, *, label: str = "session") -> Session:
    """Publish `runs` and keep everything in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    transport, artifacts = RecordingTransport(), ArtifactStore.open(folder / "artifacts")
    tracer = Tracer("demo", emitter=emitter_over(transport, close_timeout_s=60))
    all_runs = list(runs)
    try:
        published = publish_planned(
            all_runs,
            count=len(all_runs),
            tracer=tracer,
            artifacts=artifacts,
            truth_file=folder / "truth.jsonl",
            session_label=label,
        )
    finally:
        left = tracer.close()
    assert not left
    truth = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    return Session(transport, artifacts, published, tracer.stats(), truth)


def steps(run: Sequence[Record], kind: str) -> list[Record]:
    """The finished steps of one kind."""
    return [event for event in run if event["event_type"] == "step_finished" and event["step_kind"] == kind]


def events_of_type(run: Sequence[Record], event_type: str) -> list[Record]:
    """The events of one type."""
    return [event for event in run if event["event_type"] == event_type]


def measures(event: Record) -> dict[str, str]:
    """An event's labels as a mapping."""
    return {pair["key"]: pair["value"] for pair in cast("list[dict[str, str]]", event.get("labels") or [])}


def said(run: Sequence[Record]) -> list[Record]:
    """What a run says, without ids and times."""
    return [{name: value for name, value in event.items() if name not in MADE_UP} for event in run]


def refs_in(value: object) -> Iterator[str]:
    """Every artifact reference in an event."""
    if isinstance(value, str) and value.startswith("artifact:"):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from refs_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from refs_in(item)


def with_fault(fault: Fault, workflow: str, index: int) -> PlannedRun:
    """A run of `workflow` with one fault planted and nothing else out of the ordinary."""
    one = planned(17, index, workflow, (fault,), random.Random(f"{workflow}{index}"))
    return _with(one, one.behaviour.twist)


def clean_twin(one: PlannedRun) -> PlannedRun:
    """The same run over the same documents, by sound steps."""
    return replace(_with(one, frozenset()), faults=())


def audited(one: PlannedRun) -> PlannedRun:
    """The same run, chosen for review."""
    return replace(one, behaviour=replace(one.behaviour, audited=True))


def _with(one: PlannedRun, twist: frozenset[str]) -> PlannedRun:
    chance = random.Random(f"{one.index}:chance")
    return replace(
        one, behaviour=replace(one.behaviour, twist=twist, rng=chance, legacy=False, stumbles=False, audited=False)
    )

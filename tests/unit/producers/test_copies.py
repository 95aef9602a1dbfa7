"""Runs, steps and tracers in the state of a framework: a copy is the thing itself, a pickle goes on elsewhere."""

import copy
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from causeline.producers.tracer import Tracer
from causeline.schemas import wire
from causeline.schemas.events import StepFinished
from causeline.schemas.registry import Schemas
from causeline.schemas.vocabulary import EventType
from causeline.schemas.wire.batch_file import read_batches
from tests.unit.producers.recording import RecordingTransport, emitter_over, events_of


def without_routes(_kind: EventType, said: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**said, "route": None}


GO_ON = """
import pickle, sys
with pickle.load(sys.stdin.buffer)["run"].tool("there", route="r"):
    pass
"""


@pytest.fixture
def trace_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CAUSELINE_TRACE_FILE", str(tmp_path / "trace"))
    return tmp_path / "trace"


def test_a_copy_is_the_thing_itself() -> None:
    tracer = Tracer("tests", emitter=emitter_over(RecordingTransport()))
    with tracer as held, held.run("invoice") as run, run.tool("t") as step:
        for each in (run, step, tracer):
            assert copy.copy(each) is each
            assert copy.deepcopy({"state": [each]}) == {"state": [each]}


def test_what_is_unpickled_in_its_process_goes_on_in_the_same_run() -> None:
    transport = RecordingTransport()
    tracer = Tracer("tests", emitter=emitter_over(transport))
    with tracer.run("invoice") as run:
        with run.tool("outer") as outer:
            again, step = pickle.loads(pickle.dumps((run, outer)))  # noqa: S301 - made here
            assert again is not run
            with again.tool("inner"):
                pass
        with step.set(route="b"):
            pass
        assert pickle.loads(pickle.dumps(tracer)) is tracer  # noqa: S301 - made here
    assert not tracer.close()
    steps = [event for event in events_of(transport) if isinstance(event, StepFinished)]
    assert {step.run_id for step in steps} == {run.run_id}
    parents = {(step.step_name, step.route): step.parent_step_id for step in steps}
    assert parents == {("inner", None): outer.step_id, ("outer", None): None, ("outer", "b"): outer.step_id}


def test_what_is_unpickled_elsewhere_goes_on_there_with_the_mask_of_its_tracer(trace_file: Path) -> None:
    tracer = Tracer("tests", mask=without_routes, release="2.0")
    with tracer.run("invoice") as run:
        state = pickle.dumps({"run": run})
        done = subprocess.run(
            [sys.executable, "-c", GO_ON],
            input=state,
            capture_output=True,
            cwd=Path(__file__).parents[3],
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
    assert not tracer.close()
    events = [
        record
        for value in read_batches(trace_file)
        for record in wire.decode_items(wire.read_block(value, "trace-batch", Schemas()))
    ]
    assert {event["run_id"] for event in events} == {run.run_id}
    (there,) = (event for event in events if event["step_name"] == "there")
    assert (there["project"], there["workflow"], there["route"]) == ("tests", "invoice", None)


def test_tracers_of_one_environment_share_an_emitter_and_its_thread(trace_file: Path) -> None:
    before = threading.active_count()

    def handle() -> None:
        with Tracer("tests").run("request") as run, run.tool("t"):
            pass

    for _ in range(50):
        handle()
    kept = Tracer("tests")
    assert threading.active_count() <= before + 1
    assert not kept.close()
    assert kept.stats().delivered == 150
    assert threading.active_count() == before


def test_a_shared_emitter_closes_with_the_last_of_its_tracers(trace_file: Path) -> None:
    first, second = Tracer("tests"), Tracer("tests")
    assert first.emitter is second.emitter
    for tracer in (first, second):
        with tracer.run("invoice"):
            pass
        assert not tracer.close()
    assert (second.stats().delivered, second.stats().dropped) == (4, 0)
    with second.run("invoice"):
        pass
    assert second.stats().dropped == 2, "a closed emitter takes nothing"
    third = Tracer("tests")
    assert third.emitter is not second.emitter
    third.close()


def test_tracers_of_different_settings_do_not_share(trace_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Tracer("tests")
    monkeypatch.setenv("CAUSELINE_EMITTER_SAMPLE", "0.5")
    second = Tracer("tests")
    assert first.emitter is not second.emitter
    first.close()
    second.close()

"""A share of the runs is on record, whole, and every run that went wrong is."""

from collections.abc import Callable, Iterator

import pytest

from causeline.producers.emitter.emitter import Emitter
from causeline.producers.runs import Run
from causeline.producers.sampling import SHARE_LABEL, is_in_share
from causeline.producers.tracer import Tracer
from causeline.schemas import ids
from causeline.schemas.events import RunFinished
from tests.unit.producers.recording import QUICK, RecordingTransport, events_of


class Sampled:
    """A tracer that has a share of the runs on record, and what it has published."""

    def __init__(self, sample: float = 0.0, **settings: float) -> None:
        self.transport = RecordingTransport()
        chosen = QUICK.model_copy(update={"sample": sample, **settings})
        self.tracer = Tracer("tests", emitter=Emitter(chosen, transport=lambda: self.transport))

    def on_record(self) -> dict[str, list[str]]:
        """Types of the events, by run."""
        assert not self.tracer.flush(60)
        runs: dict[str, list[str]] = {}
        for event in events_of(self.transport):
            runs.setdefault(event.run_id, []).append(event.event_type.value)
        return runs

    def ends(self) -> dict[str, RunFinished]:
        return {event.run_id: event for event in events_of(self.transport) if isinstance(event, RunFinished)}


@pytest.fixture
def sampled() -> Iterator[Sampled]:
    some = Sampled()
    yield some
    some.tracer.close()


def test_a_run_outside_the_sample_that_went_well_is_dropped_whole_and_counted(sampled: Sampled) -> None:
    with sampled.tracer.run("invoice") as run, run.tool("t"):
        run.evidence("$.total", refs=["artifact:a"], score=0.99)
    run.fallback("retry", reason="too late to keep it")

    assert sampled.on_record() == {}
    stats = sampled.tracer.stats()
    assert (stats.sampled_out, stats.accepted, stats.open_runs) == (1, 0, 0)


def _step_fails(run: Run) -> None:
    with pytest.raises(ZeroDivisionError), run.tool("t"):
        raise ZeroDivisionError


def _step_says_error(run: Run) -> None:
    with run.tool("t") as step:
        step.set(status="error")


def _invalid(run: Run) -> None:
    with run.validate("v") as step:
        step.set(validation_errors=["total: missing"])


def _odd_value(run: Run) -> None:
    with run.tool("t") as step:
        step.set(retry_count=-1)


KEPT: dict[str, Callable[[Run], object]] = {
    "a step that fails": _step_fails,
    "a step that says error": _step_says_error,
    "validation errors": _invalid,
    "a gap": lambda run: run.evidence("$.total", score=0.1),
    "a fallback": lambda run: run.fallback("retry"),
    "a review": lambda run: run.review("approved"),
    "an eval case": lambda run: run.eval("case-1"),
    "an end that is no answer": lambda run: run.finish("partial"),
    "a failure": lambda run: run.finish("failed", error_type="E"),
    "a field that could not be used": _odd_value,
    "another process": lambda run: run.inject({}),
    "a wish": lambda run: run.keep(),
}


@pytest.mark.parametrize("what", KEPT)
def test_a_run_with_something_that_is_always_kept_is_on_record_whole(sampled: Sampled, what: str) -> None:
    with sampled.tracer.run("invoice") as run:
        with run.tool("before"):
            pass
        KEPT[what](run)

    (events,) = sampled.on_record().values()
    assert events[:2] == ["run_started", "step_finished"]
    assert events[-1] == "run_finished"
    end = sampled.ends()[run.run_id]
    assert end.expected_events == len(events)
    assert end.labels[SHARE_LABEL] == "1"


def test_a_kept_run_is_on_record_from_what_keeps_it_on_and_not_only_at_its_end(sampled: Sampled) -> None:
    with sampled.tracer.run("invoice") as run:
        assert sampled.on_record() == {}
        run.fallback("retry")
        assert sampled.on_record() == {run.run_id: ["run_started", "fallback_taken"]}


def test_the_share_is_that_of_the_runs_ids_and_their_ends_say_so() -> None:
    some = Sampled(0.25)
    made = [ids.new_run_id() for _ in range(200)]
    for run_id in made:
        with some.tracer.run("invoice", run_id=run_id):
            pass
    expected = {run_id for run_id in made if is_in_share(run_id, 0.25)}
    assert set(some.on_record()) == expected
    assert 20 < len(expected) < 90
    assert expected <= {run_id for run_id in made if is_in_share(run_id, 0.5)}
    assert {end.labels[SHARE_LABEL] for end in some.ends().values()} == {"0.25"}
    assert some.tracer.stats().sampled_out == 200 - len(expected)
    some.tracer.close()


def test_without_a_sample_nothing_is_held_and_no_label_is_added() -> None:
    some = Sampled(1.0)
    with some.tracer.run("invoice") as run:
        run.keep()
        assert some.on_record() == {run.run_id: ["run_started"]}
    some.on_record()
    assert some.ends()[run.run_id].labels == {}
    some.tracer.close()


@pytest.mark.parametrize("bound", [{"held_events": 10}, {"held_bytes": 2048}])
def test_past_the_bound_the_run_that_is_held_longest_is_put_on_record(bound: dict[str, float]) -> None:
    some = Sampled(**bound)
    with some.tracer.run("long") as long_run:
        with some.tracer.run("short") as short:
            for _ in range(20):
                with long_run.tool("t"):
                    pass
        assert set(some.on_record()) == {long_run.run_id}
    assert some.on_record()[long_run.run_id] == ["run_started", *["step_finished"] * 20, "run_finished"]
    assert short.run_id not in some.on_record()
    some.tracer.close()


def test_a_run_that_is_open_when_the_tracer_closes_is_on_record(sampled: Sampled) -> None:
    with sampled.tracer.run("invoice") as run:
        sampled.tracer.close()

    assert [event.run_id for event in events_of(sampled.transport)] == [run.run_id]

"""Whatever an application does to a tracer, the application goes on and the record says what it lacks."""

import asyncio
import math
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, closing
from typing import Any

import pytest

from causeline.producers.context import current_run, current_step
from causeline.producers.runs import Run
from causeline.producers.tracer import Tracer
from causeline.schemas.events import ConflictSide, EvidenceChecked, RunFinished, StepFinished, TraceEvent
from causeline.schemas.vocabulary import EventType, GapKind, NextStep, Status
from tests.unit.producers.recording import RecordingTransport, emitter_over, events_of

ODD: list[Any] = [None, 1, -1, math.nan, "", "\ud800", "x" * 5000, b"x", [], [1], {}, {"k": 1}, {1: 2}, object(), True]


@pytest.fixture
def transport() -> RecordingTransport:
    return RecordingTransport()


@pytest.fixture
def tracer(transport: RecordingTransport) -> Iterator[Tracer]:
    with Tracer("tests", emitter=emitter_over(transport)) as made:
        yield made


def published(tracer: Tracer, transport: RecordingTransport) -> list[TraceEvent]:
    assert not tracer.flush(60)
    return events_of(transport)


def steps(tracer: Tracer, transport: RecordingTransport) -> dict[str, StepFinished]:
    return {event.step_name: event for event in published(tracer, transport) if isinstance(event, StepFinished)}


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
def test_odd_values_never_reach_the_application(tracer: Tracer, odd: Any) -> None:
    with tracer.run(odd, input_ref=odd, labels=odd, traceparent=odd, run_id=odd) as run:
        with run.step(odd, odd, cost_usd=odd, context_refs=odd, labels=odd) as step:
            step.set(labels=odd, model_name=odd).label(odd)
        run.evidence(odd, refs=odd, score=odd, required=odd, conflicting_refs=odd, attempts=odd, next_step=odd)
        run.evidence(odd, refs=odd, sides=odd)
        run.evidence("$.x", refs=["a:r"], sides=[ConflictSide(odd, odd, odd, odd), ConflictSide(odd)])
        run.fallback(odd, reason=odd)
        run.review(odd, field=odd, reviewer_ref=odd)
        run.eval(odd, odd)
        run.finish(odd, error_type=odd, raw_output_ref=odd, labels=odd)
    with tracer.continue_run({"traceparent": odd, "baggage": odd}, workflow=odd), tracer.run("w") as other:
        other.evidence("$.x", score=odd, refs=["a:r"])
    tracer.record_review(odd, odd, odd, field=odd)
    tracer.record_eval(odd, odd, odd, odd)
    tracer.inject({"baggage": odd})
    assert not tracer.flush(60)
    stats = tracer.stats()
    assert stats.accepted == stats.delivered > 0
    assert stats.invalid == 2, "a review and an eval case of what is no run are all that cannot be said"
    assert stats.mended > 0


def test_an_end_that_carries_something_wrong_is_said_without_it(tracer: Tracer, transport: RecordingTransport) -> None:
    with tracer.run("invoice") as run:
        run.finish("partial", labels={"k": "v" * 5000, "tenant": "a"})
    (_, end) = published(tracer, transport)
    assert isinstance(end, RunFinished)
    assert (end.final_state, end.seq, end.expected_events) == ("partial", 1, 2)
    assert end.labels == {"tenant": "a", "fields.dropped": "labels.k"}
    assert (tracer.stats().mended, tracer.stats().invalid) == (1, 0)


def test_an_end_with_an_unknown_word_is_the_usual_end_and_says_so(
    tracer: Tracer, transport: RecordingTransport
) -> None:
    with tracer.run("invoice") as run:
        run.finish("anwsered")
    (_, end) = published(tracer, transport)
    assert isinstance(end, RunFinished)
    assert (end.final_state, end.labels) == ("answered", {"fields.dropped": "final_state"})


def test_evidence_that_cannot_be_judged_is_for_review_and_says_what_was_wrong(
    tracer: Tracer, transport: RecordingTransport
) -> None:
    score: Any = "high"
    with tracer.run("invoice") as run:
        decision = run.evidence("$.total", refs=["artifact:a"], score=score)
    assert (decision.kind, decision.next_step) == (GapKind.UNSUPPORTED_FIELD, NextStep.REVIEW)
    (checked,) = (event for event in published(tracer, transport) if isinstance(event, EvidenceChecked))
    assert (checked.provenance_score, checked.next_step) == (None, NextStep.REVIEW)
    assert checked.labels == {"fields.dropped": "provenance_score"}


def test_a_decision_is_about_what_the_event_says(tracer: Tracer, transport: RecordingTransport) -> None:
    """A score as text is a score; a citation that is no reference is none, and so the field has none."""
    score: Any = "0.9"
    with tracer.run("invoice") as run:
        assert run.evidence("$.total", refs=["artifact:a"], score=score).ok
        assert run.evidence("$.total", refs=["page 3 of it"], score=0.9).kind is GapKind.MISSING_CITATION
        assert run.judge("$.total", refs=["page 3 of it"], score=0.9).kind is GapKind.MISSING_CITATION


def test_there_is_no_decision_about_an_event_that_was_lost(transport: RecordingTransport) -> None:
    """What nobody can check later was not decided."""
    tracer = Tracer("tests", emitter=emitter_over(transport))
    with tracer.run("invoice") as run:
        assert not run.evidence("$.total", refs=["artifact:a"], score=0.9).is_lost
        tracer.close()
        decision = run.evidence("$.total", refs=["artifact:a"], score=0.9)
    assert decision.is_lost
    assert (decision.ok, decision.next_step) == (False, NextStep.REVIEW)


def test_a_workflow_may_weigh_evidence_before_it_says_what_it_does(
    tracer: Tracer, transport: RecordingTransport
) -> None:
    with tracer.run("invoice") as run:
        weighed = run.judge("$.total", refs=["artifact:a"], score=0.62)
        with run.step("evidence", "totals") as step:
            said = run.evidence("$.total", refs=["artifact:a"], score=0.62, next_step="retry")
    assert weighed == said
    assert said.next_step is NextStep.REVIEW
    (checked,) = (event for event in published(tracer, transport) if isinstance(event, EvidenceChecked))
    assert (checked.next_step, checked.step_id, checked.step_name) == (NextStep.RETRY, step.step_id, "totals")


def test_a_mask_that_gives_no_mapping_publishes_nothing(transport: RecordingTransport) -> None:
    def mask(_kind: EventType, _said: Mapping[str, Any]) -> Mapping[str, Any]:
        return ["sk-canary"]  # type: ignore[return-value]

    with Tracer("tests", emitter=emitter_over(transport), mask=mask) as tracer, tracer.run("invoice"):
        pass
    assert transport.sent == []
    stats = tracer.stats()
    assert stats.mask_failed == 3, "the start, the end and the bare end"
    assert "canary" not in repr(stats)


def test_no_two_events_of_a_run_have_one_number(tracer: Tracer, transport: RecordingTransport) -> None:
    headers: dict[str, str] = {}
    with tracer.run("invoice") as run:
        run.inject(headers)
        for _ in range(3):
            with tracer.continue_run(headers) as again, again.tool("t"):
                pass
    for _ in range(2):
        tracer.record_review(run.run_id, "invoice", "approved")
    events = published(tracer, transport)
    assert len(events) == 7
    assert {event.run_id for event in events} == {run.run_id}
    assert set(Counter((event.emitter_id, event.seq) for event in events).values()) == {1}


def test_a_run_called_on_outside_a_step_has_no_step_for_a_parent(tracer: Tracer, transport: RecordingTransport) -> None:
    headers: dict[str, str] = {}
    with tracer.run("invoice"):
        tracer.inject(headers)
        with tracer.continue_run(headers) as there, there.tool("t"):
            pass
    assert steps(tracer, transport)["t"].parent_step_id is None
    untouched: dict[str, str] = {}
    tracer.inject(untouched)
    assert untouched == {}


def test_only_one_end_is_said_and_that_is_the_first(tracer: Tracer, transport: RecordingTransport) -> None:
    def stop_and_fail(run: Run) -> None:
        with run:
            run.finish("stopped")
            raise LookupError

    with pytest.raises(LookupError):
        stop_and_fail(tracer.run("invoice"))
    ends = [event for event in published(tracer, transport) if isinstance(event, RunFinished)]
    assert [end.final_state for end in ends] == ["stopped"]


def test_a_bound_function_runs_within_the_run_on_any_thread(tracer: Tracer, transport: RecordingTransport) -> None:
    with tracer.run("invoice") as run, run.tool("outer") as outer:

        @tracer.step("tool")
        def inner() -> None:
            assert current_step() is not outer

        threads = [threading.Thread(target=run.bind(inner)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert current_step() is outer
    inners = [event for event in published(tracer, transport) if isinstance(event, StepFinished)][:4]
    assert [(event.step_name, event.parent_step_id) for event in inners] == [("inner", outer.step_id)] * 4


def test_a_generator_is_a_step_from_its_first_item_to_its_last(tracer: Tracer, transport: RecordingTransport) -> None:
    @tracer.step("model_call")
    def stream(count: int) -> Iterator[int]:
        for n in range(count):
            run = current_step()
            assert run is not None
            with run.run.tool(f"token {n}"):
                yield n

    with tracer.run("invoice") as run:
        for n in stream(2):
            assert current_step() is None, "what the consumer does is none of the generator's work"
            with run.tool(f"consumed {n}"):
                pass
        with closing(stream(5)) as cut_short:  # type: ignore[type-var]
            next(cut_short)
    told = [
        (event.step_name, event.status) for event in published(tracer, transport) if isinstance(event, StepFinished)
    ]
    assert told == [
        ("consumed 0", Status.OK), ("token 0", Status.OK), ("consumed 1", Status.OK), ("token 1", Status.OK),
        ("stream", Status.OK), ("token 0", Status.OK), ("stream", Status.OK),
    ]  # fmt: skip
    by_name = steps(tracer, transport)
    assert by_name["consumed 1"].parent_step_id is None
    assert by_name["token 1"].parent_step_id is not None


def test_a_generator_that_fails_or_is_forgotten_ends_its_step(tracer: Tracer, transport: RecordingTransport) -> None:
    @tracer.step("model_call", "failing")
    def fail() -> Iterator[int]:
        yield 1
        raise KeyError("canary")

    @tracer.step("model_call", "forgotten")
    def endless() -> Iterator[int]:
        while True:
            yield 1

    with tracer.run("invoice"):
        with pytest.raises(KeyError):
            list(fail())
        forgotten = endless()
        next(forgotten)
        del forgotten
        assert next(endless()) == 1
    told = steps(tracer, transport)
    assert (told["failing"].status, told["failing"].error_type) == (Status.ERROR, "KeyError")
    assert told["forgotten"].status is Status.OK


def test_an_async_generator_is_a_step_too(tracer: Tracer, transport: RecordingTransport) -> None:
    @tracer.step("model_call")
    async def stream() -> AsyncIterator[int]:
        for n in range(3):
            await asyncio.sleep(0)
            yield n

    async def consume() -> list[int]:
        async with tracer.run("invoice"):
            seen = []
            async with aclosing(stream()) as items:  # type: ignore[type-var]
                async for n in items:
                    assert current_step() is None
                    seen.append(n)
            return seen

    assert asyncio.run(consume()) == [0, 1, 2]
    assert steps(tracer, transport)["stream"].status is Status.OK


def test_what_is_left_in_another_context_is_over_in_this_one_too(tracer: Tracer, transport: RecordingTransport) -> None:
    outer = tracer.run("outer").__enter__()
    moved = tracer.run("invoice").__enter__()
    step = moved.tool("moved").__enter__()
    for left in (step, moved):
        thread = threading.Thread(target=left.__exit__, args=(None, None, None))
        thread.start()
        thread.join()
    assert (current_run(), current_step()) == (outer, None)
    outer.__exit__(None, None, None)
    assert current_run() is None
    assert steps(tracer, transport)["moved"].status is Status.OK


def test_a_run_or_step_entered_again_ends_with_the_outermost_block(
    tracer: Tracer, transport: RecordingTransport
) -> None:
    with tracer.run("invoice") as run:
        with run, run.tool("twice") as step, step:
            assert current_step() is step
        assert (current_run(), current_step()) == (run, None)
        with run.tool("afterwards"):
            pass
    assert current_run() is None
    (_, *_, end) = published(tracer, transport)
    assert isinstance(end, RunFinished)


def test_runs_left_open_are_logged_at_the_end(tracer: Tracer, caplog: pytest.LogCaptureFixture) -> None:
    run = tracer.run("invoice").__enter__()
    tracer.close()
    assert caplog.messages == ["Runs begun and not ended when the tracer closed: 1."]
    run.__exit__(None, None, None)
    assert tracer.stats().dropped == 1, "a closed emitter takes nothing"


def test_the_environment_says_project_and_whether_to_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSELINE_PROJECT", "claims")
    monkeypatch.setenv("CAUSELINE_DISABLED", "1")
    tracer = Tracer()
    assert (tracer.project, tracer.emitter) == ("claims", None)
    with tracer.run("invoice") as run:
        assert len(run.traceparent) == 55

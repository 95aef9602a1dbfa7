"""The tracer puts on record what a workflow did, and never gets in its way."""

import asyncio
import contextvars
import itertools
import threading
from collections.abc import Iterator

import pytest

from causeline.producers.context import current_run, current_step
from causeline.producers.tracer import Tracer
from causeline.schemas.events import (
    ConflictSide,
    EvidenceChecked,
    FallbackTaken,
    ReviewRecorded,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
    TraceEvent,
)
from causeline.schemas.policy_file import parse_policy
from causeline.schemas.vocabulary import GapKind, NextStep, Status, StepKind
from tests.unit.producers.recording import RecordingTransport, emitter_over, events_of


class Recorded:
    """A tracer and what it has published."""

    def __init__(self, **options: object) -> None:
        self.transport = RecordingTransport()
        ticks = itertools.count(1_700_000_000_000_000, 1000)
        self.tracer = Tracer("tests", emitter=emitter_over(self.transport), clock=lambda: next(ticks), **options)  # type: ignore[arg-type]

    def events(self) -> list[TraceEvent]:
        assert not self.tracer.flush(60)
        return events_of(self.transport)

    def of(self, kind: type[TraceEvent]) -> list[TraceEvent]:
        return [event for event in self.events() if isinstance(event, kind)]


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    record = Recorded()
    yield record
    record.tracer.close()


def test_a_run_is_its_start_its_steps_and_an_end_that_counts_them(recorded: Recorded) -> None:
    with recorded.tracer.run("invoice", input_ref="artifact:in", labels={"tenant": "a"}) as run:
        with run.parse("pages", parser_version="2") as step:
            step.set(parsed_artifact_ref="artifact:parsed").label({"parse.quality": 0.5, "parse.pages": 3})
        with run.model_call("extract", model_name="m"):
            pass
        run.finish("partial", raw_output_ref="artifact:out")

    start, parse, model, end = recorded.events()

    assert isinstance(start, RunStarted)
    assert (start.input_ref, start.labels, start.workflow, start.project) == (
        "artifact:in",
        {"tenant": "a"},
        "invoice",
        "tests",
    )
    assert isinstance(parse, StepFinished)
    assert (parse.step_kind, parse.step_name, parse.parser_version, parse.status) == (
        StepKind.PARSE,
        "pages",
        "2",
        Status.OK,
    )
    assert parse.labels == {"parse.quality": "0.5", "parse.pages": "3"}
    assert parse.started_at < parse.occurred_at
    assert isinstance(end, RunFinished)
    assert (end.final_state, end.expected_events, end.expected_steps) == (
        "partial",
        4,
        ("parse:pages", "model_call:extract"),
    )
    assert [event.seq for event in (start, parse, model, end)] == [0, 1, 2, 3]
    assert len({event.event_id for event in (start, parse, model, end)}) == 4
    assert {event.run_id for event in recorded.events()} == {run.run_id}


def test_a_run_left_without_a_word_was_answered(recorded: Recorded) -> None:
    with recorded.tracer.run("invoice"):
        pass

    (end,) = recorded.of(RunFinished)
    assert isinstance(end, RunFinished)
    assert (end.final_state, end.status) == ("answered", Status.OK)


def test_an_exception_is_recorded_by_its_class_and_goes_on(recorded: Recorded) -> None:
    def fail() -> None:
        with recorded.tracer.run("invoice") as run, run.tool("lookup"):
            raise KeyError("sk-canary-secret")

    with pytest.raises(KeyError, match="canary"):
        fail()

    _, step, end = recorded.events()
    assert isinstance(step, StepFinished)
    assert isinstance(end, RunFinished)
    assert (step.status, step.error_type) == (Status.ERROR, "KeyError")
    assert (end.final_state, end.status, end.error_type) == ("failed", Status.ERROR, "KeyError")
    assert not any(b"canary" in value for _, value in recorded.transport.sent)


def test_a_step_may_fail_softly(recorded: Recorded) -> None:
    with recorded.tracer.run("invoice") as run, run.validate("schema") as step:
        step.set(status="error", error_type="schema_mismatch", validation_errors=["type:$.total"])

    (told,) = recorded.of(StepFinished)
    assert isinstance(told, StepFinished)
    assert (told.status, told.error_type, told.validation_errors) == (
        Status.ERROR,
        "schema_mismatch",
        ("type:$.total",),
    )


def test_steps_nest(recorded: Recorded) -> None:
    with recorded.tracer.run("invoice") as run:
        assert current_run() is run
        with run.step("custom", "outer") as outer:
            assert current_step() is outer
            with run.tool("inner"):
                run.evidence("$.x", refs=["artifact:a"])
            with run.tool("second"):
                pass
        assert current_step() is None
    assert current_run() is None

    parents = {event.step_name: event.parent_step_id for event in recorded.of(StepFinished)}  # type: ignore[attr-defined]
    assert parents == {"inner": outer.step_id, "second": outer.step_id, "outer": None}
    (evidence,) = recorded.of(EvidenceChecked)
    assert isinstance(evidence, EvidenceChecked)
    assert evidence.parent_step_id is not None


def test_an_announced_step_says_its_start_at_once(recorded: Recorded) -> None:
    with recorded.tracer.run("invoice") as run, run.step("tool", "long", announce=True) as step:
        assert not recorded.tracer.flush(60)
        (started,) = recorded.of(StepStarted)
        assert isinstance(started, StepStarted)
        assert (started.step_id, started.started_at) == (step.step_id, step.started_at)


def test_evidence_gets_its_decision_at_once_by_the_policy_of_the_workflow() -> None:
    policy = parse_policy(
        "version = 1\n[workflow.invoice]\nthreshold = 0.9\n"
        '[workflow.invoice.next_steps]\nweak_provenance = ["search", "safe_stop"]'
    )
    recorded = Recorded(policy=policy)
    with recorded.tracer.run("invoice") as run:
        first = run.evidence("$.total", refs=["artifact:a"], score=0.8)
        second = run.evidence("$.total", refs=["artifact:a"], score=0.8, attempts=1)
        fine = run.evidence("$.total", refs=["artifact:a"], score=0.95, attempts=2)
    with recorded.tracer.run("other") as run:
        lax = run.evidence("$.total", refs=["artifact:a"], score=0.8, next_step="review")

    assert (first.kind, first.next_step, first.threshold) == (GapKind.WEAK_PROVENANCE, NextStep.SEARCH, 0.9)
    assert second.next_step is NextStep.SAFE_STOP
    assert fine.ok
    assert lax.ok
    told = [event for event in recorded.of(EvidenceChecked) if isinstance(event, EvidenceChecked)]
    assert [event.next_step for event in told] == ["search", "safe_stop", None, "review"]
    assert [event.retry_count for event in told] == [0, 1, 2, 0]
    assert {event.policy_hash for event in told} == {policy.content_hash}
    recorded.tracer.close()


def test_fallbacks_reviews_and_evals_are_said_of_the_run(recorded: Recorded) -> None:
    with recorded.tracer.run("invoice") as run:
        with run.model_call("extract"):
            run.fallback("retry", reason="schema_error")
        run.review(
            "overridden", field="$.total", reviewer_ref="reviewer:7", override_ref="artifact:o", note_ref="artifact:n"
        )
        run.eval("case-1", "passed")

    (fallback,) = recorded.of(FallbackTaken)
    assert isinstance(fallback, FallbackTaken)
    assert (fallback.fallback_taken, fallback.fallback_reason, fallback.step_name) == (
        "retry",
        "schema_error",
        "extract",
    )
    (review,) = recorded.of(ReviewRecorded)
    assert isinstance(review, ReviewRecorded)
    assert (review.review_outcome, review.field_path, review.override_ref) == ("overridden", "$.total", "artifact:o")


def test_a_bad_field_is_left_out_and_named_and_the_application_goes_on(recorded: Recorded) -> None:
    with recorded.tracer.run("invoice") as run:
        with run.model_call("extract") as step:
            step.set(confidence=1.5, model_name="m")
        run.step("nonsense", "x").__enter__().__exit__(None, None, None)

    _, extract, odd, end = recorded.events()
    assert isinstance(extract, StepFinished)
    assert (extract.confidence, extract.model_name) == (None, "m")
    assert extract.labels == {"fields.dropped": "confidence"}
    assert isinstance(odd, StepFinished)
    assert (odd.step_kind, odd.labels) == ("custom", {"fields.dropped": "step_kind"})
    assert isinstance(end, RunFinished)
    assert (end.expected_events, end.expected_steps) == (4, ("model_call:extract", "custom:x"))
    stats = recorded.tracer.stats()
    assert (stats.mended, stats.invalid) == (2, 0)
    assert stats.last_invalid[0].startswith("step_finished: confidence: left out; it should be")


def test_a_run_that_cannot_be_named_is_on_record_all_the_same(recorded: Recorded) -> None:
    with recorded.tracer.run("") as run, run.tool("x"):
        pass

    assert [event.workflow for event in recorded.events()] == ["?"] * 3


def test_a_run_goes_on_in_another_process_by_its_headers(recorded: Recorded) -> None:
    other = Recorded()
    headers = {"baggage": "theirs=1"}
    with recorded.tracer.run("invoice") as run, run.tool("call") as step:
        run.inject(headers)
        with other.tracer.continue_run(headers) as continued, continued.parse("there"):
            pass

    assert headers["traceparent"] == f"00-{run.run_id}-{step.step_id}-01"
    assert headers["baggage"].startswith("theirs=1,")
    (there,) = other.events()
    assert isinstance(there, StepFinished)
    assert (there.run_id, there.parent_step_id) == (run.run_id, step.step_id)
    assert (there.workflow, there.project, there.run_started_at) == ("invoice", "tests", run.started_at)
    assert there.emitter_id != recorded.events()[0].emitter_id
    other.tracer.close()


def test_a_foreign_trace_becomes_the_run(recorded: Recorded) -> None:
    with recorded.tracer.run("invoice", traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") as run:
        assert run.run_id == "4bf92f3577b34da6a3ce929d0e0e4736"

    (start,) = recorded.of(RunStarted)
    assert isinstance(start, RunStarted)
    assert start.parent_step_id == "00f067aa0ba902b7"


def test_a_review_hours_later_needs_only_the_run_id(recorded: Recorded) -> None:
    with recorded.tracer.run("invoice") as run:
        pass
    other = Recorded()

    assert other.tracer.record_review(run.run_id, "invoice", "approved", reviewer_ref="reviewer:7")
    assert other.tracer.record_eval(run.run_id, "invoice", "case-1")
    assert not other.tracer.record_review("nonsense", "invoice", "approved")

    review, _ = sorted(other.events(), key=lambda event: event.event_id)
    assert review.run_id == run.run_id
    assert review.run_started_at == int(run.run_id[:12], 16) * 1000
    other.tracer.close()


def test_functions_become_runs_and_steps(recorded: Recorded) -> None:
    tracer = recorded.tracer

    @tracer.step("tool", "look up")
    def look_up(key: str) -> str:
        return key.upper()

    @tracer.step("model_call")
    async def ask(question: str) -> str:
        return question + "!"

    @tracer.workflow("sync")
    def answer(question: str) -> str:
        return look_up(question)

    @tracer.workflow("async")
    async def answer_async(question: str) -> str:
        return await ask(question)

    assert look_up("outside") == "OUTSIDE"
    assert answer("a") == "A"
    assert asyncio.run(answer_async("b")) == "b!"
    assert {(e.workflow, e.step_name) for e in recorded.of(StepFinished)} == {("sync", "look up"), ("async", "ask")}  # type: ignore[attr-defined]


def test_tasks_of_one_loop_do_not_mix_their_runs(recorded: Recorded) -> None:
    async def one(n: int) -> str:
        async with recorded.tracer.run(f"w{n}") as run:
            async with run.tool("outer") as outer:
                await asyncio.sleep(0)
                async with run.tool("inner"):
                    await asyncio.sleep(0)
                    assert current_run() is run
            return outer.step_id

    async def many() -> list[str]:
        return await asyncio.gather(*(one(n) for n in range(20)))

    outer_ids = asyncio.run(many())
    inner = {e.workflow: e.parent_step_id for e in recorded.of(StepFinished) if e.step_name == "inner"}  # type: ignore[attr-defined]
    assert [inner[f"w{n}"] for n in range(20)] == outer_ids


def test_threads_share_a_run_when_they_are_started_within_its_context(recorded: Recorded) -> None:
    with recorded.tracer.run("invoice") as run:

        def work() -> None:
            current = current_run()
            assert current is run
            for _ in range(50):
                with current.tool("t"):
                    pass

        threads = [threading.Thread(target=contextvars.copy_context().run, args=(work,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    events = recorded.events()
    assert [event.seq for event in events] == list(range(402))
    assert isinstance(events[-1], RunFinished)
    assert events[-1].expected_events == 402


def test_a_mask_sees_every_field_and_fails_closed() -> None:
    def mask(kind: object, said: dict[str, object]) -> dict[str, object] | None:
        if said.get("step_name") == "forbidden":
            return None
        if said.get("step_name") == "broken":
            raise RuntimeError("canary")
        return {**said, "labels": {"masked": "yes"}}

    recorded = Recorded(mask=mask)
    with recorded.tracer.run("invoice") as run:
        for name in ("fine", "forbidden", "broken"):
            with run.tool(name):
                pass

    start, fine, end = recorded.events()
    assert {event.labels["masked"] for event in (start, fine, end)} == {"yes"}
    assert (fine.seq, end.seq) == (1, 4)
    assert recorded.tracer.stats().mask_failed == 2
    recorded.tracer.close()


def test_a_runs_end_names_no_step_that_its_mask_has_not_let_through() -> None:
    def mask(_: object, said: dict[str, object]) -> dict[str, object] | None:
        if said.get("step_name") == "withheld of jane":
            return None
        return {
            name: value.replace("jane", "[name]") if isinstance(value, str) else value for name, value in said.items()
        }

    recorded = Recorded(mask=mask)
    with recorded.tracer.run("invoice") as run:
        for name in ("look up jane", "withheld of jane"):
            with run.tool(name):
                pass
        run.evidence("$.owner of jane", refs=["a:1"], score=0.9)

    (end,) = recorded.of(RunFinished)
    assert isinstance(end, RunFinished)
    assert end.expected_steps == ("tool:look up [name]", "tool:masked")
    recorded.tracer.close()
    assert not any(b"jane" in value for _, value in recorded.transport.sent)


def test_a_disabled_tracer_has_the_same_face_and_no_network() -> None:
    tracer = Tracer.disabled()
    with tracer.run("invoice") as run, run.parse("pages") as step:
        step.set(parser_version="1")
        assert run.evidence("$.x").kind is GapKind.MISSING_CITATION

    assert tracer.emitter is None
    assert not tracer.close()
    assert tracer.stats().accepted == 0


def test_runs_that_were_never_ended_are_counted(recorded: Recorded) -> None:
    left_open = recorded.tracer.run("invoice").__enter__()

    assert recorded.tracer.stats().open_runs == 1
    left_open.__exit__(None, None, None)
    assert recorded.tracer.stats().open_runs == 0


RANKED = parse_policy('version = 1\n[defaults]\nauthority = ["schedule", "booklet"]')
BOOKLET = ConflictSide("doc:booklet", "value:600", "booklet", 0.9)
SCHEDULE = ConflictSide("doc:schedule", "value:450", "schedule", 0.8)


def test_sides_that_disagree_are_a_conflict_and_all_of_them_are_kept() -> None:
    recorded = Recorded(policy=RANKED)
    with recorded.tracer.run("policy") as run:
        decision = run.evidence("$.excess", refs=["doc:booklet"], sides=[BOOKLET, SCHEDULE])
    (said,) = recorded.of(EvidenceChecked)
    assert isinstance(said, EvidenceChecked)
    assert (decision.kind, decision.stands) == (GapKind.SOURCE_CONFLICT, SCHEDULE)
    assert (said.conflicting_refs, said.conflict_sides) == (("doc:schedule",), (BOOKLET, SCHEDULE))
    recorded.tracer.close()


def test_sides_that_agree_are_no_conflict(recorded: Recorded) -> None:
    same = ConflictSide("doc:annex", BOOKLET.value_ref, "annex")
    with recorded.tracer.run("policy") as run:
        decision = run.evidence("$.excess", refs=["doc:booklet"], sides=[BOOKLET, same])
    assert (decision.ok, decision.stands) == (True, None)

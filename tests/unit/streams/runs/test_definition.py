"""Where two definitions of a run once differed, and what is said of events that nobody of ours sends."""

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from benchmarks import reference_joiner
from causeline.schemas import catalogue
from causeline.schemas.events import UNNUMBERED_EMITTER, Record
from causeline.schemas.vocabulary import CloseReason, EventType
from causeline.streams.definition import records
from causeline.streams.definition.run import run_of
from tests.contract import record_types
from tests.examples import tried
from tests.unit.streams.both import arrivals, assemble, defined
from tests.unit.streams.build import event, messages, mixed_events, whole_run
from tests.unit.streams.runs.test_assemble import STRICT
from tests.unit.streams.wild import wild_events

RUN_FIELDS = [field["name"] for field in catalogue.latest("run-batch").item["fields"]]  # type: ignore[index]


def joined(*events: Record) -> dict[int, dict[str, Any]]:
    """By number what all give."""
    return {int(run["run_id"], 16): run for run in assemble(messages(events)).runs}


def one(*events: Record) -> dict[str, Any]:
    (run,) = joined(*events).values()
    return run


def labels(run: dict[str, Any]) -> list[tuple[str, str]]:
    return [(pair["key"], pair["value"]) for pair in run["labels"]]


def span(kind: str, **fields: Any) -> Record:
    return event(kind, emitter=UNNUMBERED_EMITTER, **{"seq": 0, **fields})


def call(number: int, **fields: Any) -> Record:
    said = {"step_kind": "model_call", "step_id": f"{number:016x}", "input_tokens": 7, "output_tokens": 3}
    return event("step_finished", seq=number, **{**said, **fields})


@given(st.integers(0, 2**32), st.sampled_from([None, *CloseReason]))
@tried(60)
def test_whatever_the_contract_lets_through_gives_the_same_by_all(seed: int, reason: CloseReason | None) -> None:
    events = wild_events(seed, runs=16)
    assert assemble(messages(events), closed_at=5, reason=reason, policy=STRICT).runs


@given(st.integers(0, 2**32), st.sampled_from(CloseReason))
@tried(100)
def test_a_run_is_the_same_in_whatever_order_its_events_are_handed_over(seed: int, reason: CloseReason) -> None:
    mine = arrivals(wild_events(seed, runs=1))
    first = run_of(mine, closed_at=1, reason=reason)
    Random(seed).shuffle(mine)
    assert run_of(mine, closed_at=1, reason=reason) == first


def test_the_types_of_the_records_are_those_of_the_schemas() -> None:
    assert record_types.PATH.read_text("utf-8") == record_types.text(), "python -m tests.contract.record_types"
    assert list(records.RunRecord.__annotations__) == RUN_FIELDS


def test_a_run_says_its_fields_in_the_order_of_the_schema() -> None:
    (run,) = defined(whole_run(1)).values()
    assert list(run) == RUN_FIELDS
    assert list(run["steps"][0]) == list(records.StepRecord.__annotations__)


# --- what a run says does not depend on the runs beside it


def test_of_two_ends_with_numbers_the_first_is_believed_whatever_trace_stands_beside_it() -> None:
    entered = event("run_finished", seq=1, parent_step_id="a" * 16, final_state="failed", status="error")
    mine = [event("run_started"), entered, event("run_finished", seq=2)]

    alone = joined(*mine)[1]
    beside = joined(*mine, span("run_started", run=2))[1]

    assert alone["final_state"] == beside["final_state"] == "failed"


def test_calls_within_calls_are_doubled_by_foreign_instrumentation_of_their_own_run_only() -> None:
    mine = [event("run_started"), call(1), call(2, parent_step_id=f"{1:016x}"), event("run_finished", seq=3)]

    beside = joined(*mine, span("step_finished", run=2))[1]
    within = joined(*mine, span("step_finished", step_id="a" * 16))[1]

    assert [step["labels"] for step in beside["steps"]] == [[], []]
    assert {step["step_id"]: len(step["labels"]) for step in within["steps"]}[f"{1:016x}"] == 1


def test_a_call_that_names_itself_as_its_parent_is_not_doubled_by_itself() -> None:
    run = one(call(1, parent_step_id=f"{1:016x}"), call(2), span("step_finished", step_id="a" * 16))
    assert [step["labels"] for step in run["steps"]] == [[], [], []]


# --- what is said once is believed once


def test_the_steps_that_are_missed_are_those_of_the_end_that_is_believed() -> None:
    early = span("run_finished", occurred_at=0)
    end = event("run_finished", seq=1, expected_steps=["custom:gone"])
    assert one(event("run_started"), early, end)["missing"] == ["custom:gone"]


def test_a_label_of_roots_from_outside_gives_way_to_what_is_seen() -> None:
    said = [{"key": "otel.roots", "value": "9"}]
    starts = [span("run_started", run_started_at=moment, labels=said) for moment in (1, 2)]
    assert labels(one(*starts)) == [("otel.roots", "2")]


def test_sides_and_fallbacks_on_an_event_of_another_type_say_nothing() -> None:
    side = {"source_ref": "r:a", "value_ref": None, "source_kind": None, "score": None}
    run = one(event("step_finished", conflict_sides=[side], fallback_taken="retry", fallback_reason="why"))
    assert (run["conflict_sides"], run["fallbacks"], run["fallback_taken"], run["fallback_reason"]) == (
        [],
        [],
        None,
        None,
    )


# --- numbers


def test_whole_seconds_of_a_skew_are_not_rounded_up() -> None:
    last = 253_402_300_799_999_999
    run = one(
        event("run_started", occurred_at=0),
        event("step_finished", seq=1, occurred_at=last),
        event("run_finished", seq=2, occurred_at=0),
    )
    assert ("clock.skew_s", "253402300799") in labels(run)


def test_a_cost_far_beneath_a_step_is_not_counted_twice() -> None:
    deep = [call(n, parent_step_id=f"{n - 1:016x}") for n in range(2, 100)]
    ends = [call(1, cost_usd=1.0), call(100, parent_step_id=f"{99:016x}", cost_usd=1.0)]
    assert one(*deep, *ends)["cost_usd"] == 1.0


def test_costs_are_added_in_the_order_of_their_steps() -> None:
    costs = [1e16, *[1.0] * 300]
    run = one(*(call(n, started_at=n, cost_usd=cost) for n, cost in enumerate(costs, 1)))
    assert run["cost_usd"] == 1e16


def test_of_orphans_that_begin_at_once_the_first_in_order_begins_the_run() -> None:
    twice = [span("step_finished", step_id="a" * 16, started_at=1, run_started_at=n, occurred_at=n) for n in range(9)]
    assert one(*reversed(twice))["started_at"] == 0


@given(mixed_events())
@tried(60)
def test_a_joiner_that_knows_the_words_of_the_schema_alone_gives_the_same(events: list[Record]) -> None:
    """It says what follows from numbered events of one workflow, and knows of no evaluation."""
    mine = (record for record in events if record["event_type"] != EventType.EVALUATION_RECORDED)
    said = [record | {"project": "p", "workflow": "w"} for record in mine]
    read = [arrival.event._asdict() for arrival in arrivals(said)] if said else []
    runs = defined(said) if said else {}
    for run_id, expected in reference_joiner.join(read).items():
        assert {name: runs[run_id][name] for name in expected} == expected

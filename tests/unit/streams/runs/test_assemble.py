"""What a run is, for any events in any order: each core gives what the definition gives (`both.assemble`), and that is
what these cases say.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeline.schemas import catalogue
from causeline.schemas.events import Record
from causeline.schemas.llm_run_trace import LlmRunTrace, llm_run_trace
from causeline.schemas.policy_file import parse_policy
from tests.examples import tried
from tests.unit.streams.both import arrivals, assemble
from tests.unit.streams.both import assembled as assembled_of
from tests.unit.streams.build import event, messages, mixed_events, run_id, whole_run

RUN: Any = catalogue.latest("run-batch").item
COORDINATES = ("source_partition", "first_offset", "last_offset")


def assembled(events: Sequence[Record]) -> dict[str, dict[str, Any]]:
    return {run["run_id"]: run for run in assemble(messages(events)).runs}


def one_run(*events: Record) -> dict[str, Any]:
    (run,) = assembled(events).values()
    return run


@given(mixed_events())
@tried(150)
def test_any_events_give_by_any_core_what_the_definition_gives(events: list[Record]) -> None:
    assert assembled(events)


STRICT = parse_policy(
    """
    version = 1
    [workflow.0]
    authority = ["schedule", "booklet"]
    threshold = 0.95
    support_floor = 0.6
    next_steps = { missing_citation = ["retry", "safe_stop"] }
    evidence."$.a" = { required = true }
    """
)


@given(mixed_events())
@tried(50)
def test_any_policy_judges_alike_by_all(events: list[Record]) -> None:
    runs = assemble(messages(events), policy=STRICT).runs
    assert {run["policy_hash"] for run in runs} == {STRICT.content_hash}


@given(mixed_events(), st.randoms(use_true_random=False))
@tried(40)
def test_order_of_arrival_changes_nothing(events: list[Record], random: Any) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)
    assert assembled(shuffled) == assembled(events)


HOUR_US = 3_600_000_000


def later(event: Record, by_us: int) -> Record:
    """The event as another clock tells it."""
    return {**event, "occurred_at": max(0, int(str(event["occurred_at"])) + by_us)}


@given(mixed_events(), st.lists(st.integers(-30, 30), min_size=1, max_size=9))
@tried(60)
def test_clocks_that_disagree_give_the_same_by_all(events: list[Record], hours: list[int]) -> None:
    """Each event is told by one of several clocks."""
    shifted = [later(each, HOUR_US * hours[place % len(hours)]) for place, each in enumerate(events)]
    assert assembled(shifted)


@pytest.mark.parametrize(
    ("by_us", "says"),
    [(24 * HOUR_US, "86399"), (-24 * HOUR_US, "-86399"), (599_000_000, None), (-600_100_000, "-600")],
)
def test_a_clock_that_is_off_is_told_on_the_run_and_costs_it_nothing(by_us: int, says: str | None) -> None:
    events = whole_run(1)
    events[2] = later(events[2], by_us)
    run = one_run(*events)
    told = {pair["key"]: pair["value"] for pair in run["labels"]}.get("clock.skew_s")
    assert (run["verdict"], run["events"]) == ("complete", 5)
    assert told == says or (says is not None and told is not None and abs(int(told) - int(says)) <= 1)


def test_a_label_of_a_skew_from_outside_gives_way_to_what_is_seen() -> None:
    start, *others, end = whole_run(1)
    start = {**start, "labels": [{"key": "clock.skew_s", "value": "7"}, {"key": "a", "value": "b"}]}
    late = {**others[0], "occurred_at": later(end, HOUR_US)["occurred_at"]}
    labels = one_run(start, late, *others[1:], end)["labels"]
    assert labels == [{"key": "a", "value": "b"}, {"key": "clock.skew_s", "value": "3600"}]


def test_a_whole_run_is_complete() -> None:
    run = one_run(*whole_run(1))
    assert (run["verdict"], run["missing"], run["events_lost"], run["revision"]) == ("complete", [], 0, 5)
    assert [step["step_name"] for step in run["steps"]] == ["s0", "s1", "s2"]


def test_a_lost_step_has_a_name_and_a_number() -> None:
    start, first, _, *rest = whole_run(1)
    run = one_run(start, first, *rest)
    assert (run["verdict"], run["missing"], run["events_lost"]) == ("partial", ["custom:s1"], 1)


def test_a_step_named_twice_and_seen_once_is_missing_once() -> None:
    end = event("run_finished", seq=2, expected_steps=["custom:s", "custom:s"])
    run = one_run(event("run_started"), event("step_finished", seq=1), end)
    assert run["missing"] == ["custom:s"]


def test_lost_events_before_the_end_are_counted_by_what_the_emitter_says_it_sent() -> None:
    run = one_run(event("run_started"), event("run_finished", seq=1, expected_events=5))
    assert (run["verdict"], run["events_lost"]) == ("partial", 3)


def test_a_run_without_its_end_is_unfinished_and_one_without_its_start_partial() -> None:
    assert one_run(event("run_started"))["verdict"] == "unfinished"
    run = one_run(event("run_finished", seq=1))
    assert (run["verdict"], run["missing"], run["events_lost"]) == ("partial", ["start"], 1)


def test_an_enclosing_step_that_sums_up_its_steps_is_not_counted_twice() -> None:
    outer, inner = f"{1:016x}", f"{2:016x}"
    run = one_run(
        event("run_started"),
        event("step_finished", seq=1, step_id=outer, step_name="outer", cost_usd=3.0, input_tokens=7),
        event("step_finished", seq=2, step_id=inner, parent_step_id=outer, step_name="middle"),
        event("step_finished", seq=3, parent_step_id=inner, cost_usd=3.0),
    )
    assert run["cost_usd"] == pytest.approx(3.0)
    assert run["input_tokens"] == 7, "what only the enclosing step says is not lost"


def test_parents_that_go_in_a_circle_leave_the_cost_unknown() -> None:
    a, b = f"{1:016x}", f"{2:016x}"
    run = one_run(
        event("step_finished", step_id=a, parent_step_id=b, cost_usd=1.0),
        event("step_finished", seq=1, step_id=b, parent_step_id=a, cost_usd=1.0),
    )
    assert run["cost_usd"] is None, "each of the two has something beneath it that speaks"


def test_the_model_of_a_run_is_one_model_with_its_own_settings() -> None:
    run = one_run(
        event("step_finished", model_name="large", temperature=0.9),
        event("step_finished", seq=1, model_name="small", top_p=0.5),
    )
    assert (run["model_name"], run["temperature"], run["top_p"]) == ("small", None, 0.5)


def test_a_second_event_under_one_id_that_says_something_else_is_counted() -> None:
    first = event("step_finished")
    other = first | {"step_name": "other"}
    found = assemble(messages([first, first, other]))
    assert (found.duplicates, found.conflicting) == (2, 1)
    assert found.runs[0]["steps"][0]["step_name"] == "s"


def test_a_run_knows_where_its_events_stood() -> None:
    start, *middle, end = whole_run(1)
    [run] = assemble(messages([start], middle, [end], partition=3, first_offset=70), closed_at=9).runs
    assert [run[name] for name in COORDINATES] == [3, 70, 72]
    assert run["closed_at"] == 9


def test_events_from_the_store_have_no_place_in_the_log_and_give_the_same_run() -> None:
    events = arrivals(whole_run(1))
    [bare] = assembled_of([arrival._replace(place=None) for arrival in events]).runs
    [placed] = assembled_of(events).runs
    assert bare == placed | dict.fromkeys(COORDINATES)


def test_no_array_of_a_run_is_null() -> None:
    arrays = [field["name"] for field in RUN["fields"] if any("items" in branch for branch in field["type"])]
    run = one_run(event("run_started"))
    assert len(arrays) > 10
    assert [name for name in arrays if not isinstance(run[name], list)] == []


def test_no_events_give_no_runs() -> None:
    assert assemble([]).runs == []


def test_a_run_with_all_it_needs_is_an_llm_run_trace() -> None:
    said: dict[str, Any] = {
        "input_ref": "file:///i",
        "route": "r",
        "prompt_id": "p",
        "prompt_version": "1",
        "model_provider": "m",
        "model_name": "n",
        "model_policy": "o",
        "raw_output_ref": "file:///o",
    }
    trace = llm_run_trace(one_run(event("step_finished", **said)))
    assert isinstance(trace, LlmRunTrace)
    assert trace.run_id == run_id(1)


def test_a_masks_log_is_not_the_runs_raw_output() -> None:
    mask = event("step_finished", step_kind="mask", seq=1, step_id=f"{1:016x}", raw_output_ref="artifact:log")
    model = event("step_finished", step_kind="model_call", seq=2, step_id=f"{2:016x}", raw_output_ref="artifact:answer")

    assert one_run(mask)["raw_output_ref"] is None
    assert one_run(model, mask)["raw_output_ref"] == "artifact:answer"


def test_a_call_that_failed_made_nothing_to_refer_to() -> None:
    failed = event("step_finished", step_kind="model_call", step_id=f"{1:016x}", status="error", error_type="Timeout")

    assert "model_call.raw_output_ref" not in one_run(failed)["missing_anchors"]
    assert "model_call.model_name" in one_run(failed)["missing_anchors"]
    assert "model_call.raw_output_ref" in one_run(failed | {"status": "ok"})["missing_anchors"]


def test_every_side_of_a_conflict_is_kept_and_weighed_by_the_policy() -> None:
    side = {"source_ref": "doc:booklet", "value_ref": "value:600", "source_kind": "booklet", "score": 0.9}
    other = {**side, "source_ref": "doc:schedule", "source_kind": "schedule"}
    check = event(
        "evidence_checked", seq=1, workflow="0", evidence_refs=["doc:booklet"], conflicting_refs=["doc:schedule"],
        conflict_sides=[side, other], retry_count=1, next_step="review",
    )  # fmt: skip
    events = [event("run_started", workflow="0"), check, event("run_finished", seq=2, workflow="0")]
    (run,) = assemble(messages(events), policy=STRICT).runs
    assert [(each["source_ref"], each["won"], each["reason"]) for each in run["conflict_sides"]] == [
        ("doc:booklet", False, "outranked"),
        ("doc:schedule", True, "first"),
    ]
    assert {each["event_id"] for each in run["conflict_sides"]} == {check["event_id"]}
    (gap,) = run["gaps"]
    assert (gap["threshold"], gap["next_step"], gap["decided_next_step"]) == (0.95, "escalate", "review")
    assert run["evidence"][0]["retry_count"] == 1


def loss(seq: int = 0, *, emitter: str = "spool", said: str = "2") -> Record:
    return event(
        "step_finished",
        seq=seq,
        emitter=emitter,
        step_name="causeline.spool",
        status="skipped",
        error_type="EventsLost",
        labels=[{"key": "lost.events", "value": said}],
    )


def test_a_run_whose_end_was_told_to_be_lost_is_partial_and_counts_what_was_told() -> None:
    run = one_run(*whole_run(1)[:3], loss(said="2"))
    assert (run["verdict"], run["events_lost"], run["missing"]) == ("partial", 2, ["end"])


def test_a_told_loss_makes_an_ended_run_partial_where_no_number_shows_it() -> None:
    run = one_run(*whole_run(1), loss(said="7"), loss(emitter="other", said="4"))
    assert (run["verdict"], run["events_lost"], run["missing"]) == ("partial", 11, [])


@pytest.mark.parametrize(
    ("said", "counted"), [("", 1), ("many", 1), ("-3", 1), ("0", 1), ("9" * 30, 1), ("9" * 18, 2**40)]
)
def test_a_told_loss_is_at_least_one_and_no_number_of_its_is_trusted(said: str, counted: int) -> None:
    assert one_run(*whole_run(1), loss(said=said))["events_lost"] == counted


def test_holes_and_told_losses_are_not_added() -> None:
    events = whole_run(1)
    run = one_run(events[0], *events[3:], loss(said="1"))
    assert (run["verdict"], run["events_lost"]) == ("partial", 2)


@given(st.lists(st.sampled_from(["1", "3", "x", "", "+5", "007", "-0", "1_0", "\u0663"]), max_size=3), st.booleans())
@settings(max_examples=20, deadline=None)
def test_told_losses_are_counted_alike_by_all(said: list[str], ended: bool) -> None:
    events = [*whole_run(1)[: 5 if ended else 4], *(loss(n, said=text) for n, text in enumerate(said))]
    assert assembled(events)


def test_a_step_that_is_its_own_parent_is_a_leaf_and_counted_once() -> None:
    step = event("step_finished", seq=1, step_id="1" * 16, parent_step_id="1" * 16, cost_usd=0.5)
    run = one_run(event("run_started"), step)
    assert (run["cost_usd"], run["slowest_step"]) == (0.5, "custom:s")


def test_ten_thousand_steps_within_each_other_are_joined() -> None:
    steps = [
        event("step_finished", seq=n, step_id=f"{n:016x}", parent_step_id=f"{n - 1:016x}" if n > 1 else None)
        for n in range(1, 10_001)
    ]
    run = one_run(event("run_started"), *steps)
    assert (run["events"], len(run["steps"])) == (10_001, 10_000)


def test_of_two_ends_the_first_is_believed_and_neither_is_lost() -> None:
    first = event("run_finished", seq=1, final_state="failed", status="error")
    run = one_run(event("run_started"), first, event("run_finished", seq=2, final_state="answered"))
    assert (run["final_state"], run["events"], run["events_lost"]) == ("failed", 3, 0)


def test_an_end_before_its_start_lasts_no_time() -> None:
    early = event("run_finished", seq=1, occurred_at=5)
    run = one_run(event("run_started", run_started_at=1000, occurred_at=1000), early)
    assert (run["duration_us"], run["verdict"]) == (0, "complete")

"""What a run decided, in the words of its schema: which step speaks, which errors stand, what is summed, and caps."""

import sys
from collections.abc import Sequence
from typing import Any

import pytest

from causeline.schemas import wire
from causeline.schemas.events import Record
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.topics import MAX_MESSAGE_BYTES
from causeline.schemas.vocabulary import CloseReason
from causeline.streams.amender.revise import reassembled
from causeline.streams.amender.stored import Standing
from causeline.streams.runs.core import Written
from causeline.streams.runs.records import record_of
from causeline.streams.worker.publications import run_batches
from tests.unit.streams.both import arrivals, assemble
from tests.unit.streams.build import CORE, SCHEMAS, event, messages, run_id

END = event("run_finished", seq=30, expected_events=1)


def step(seq: int, kind: str, name: str = "s", **fields: Any) -> Record:
    return event("step_finished", seq=seq, step_kind=kind, step_name=name, **fields)


def run_of(*steps: Record) -> dict[str, Any]:
    ends = (event("run_started"), event("run_finished", seq=len(steps) + 1))
    return assemble(messages([ends[0], *steps, ends[1]])).runs[0]


def written(*batches: Sequence[Record]) -> Written:
    """The one run of these batches, as a worker writes it."""
    events = [arrival.event for arrival in arrivals(*batches)]
    return CORE.joined([CORE.part_of(events)], closed_at=0, reason=None, policy=DEFAULT_POLICY)


def test_the_last_step_of_its_kind_decides_whatever_others_say() -> None:
    run = run_of(
        step(1, "route", route="first", route_confidence=0.2),
        step(2, "route", route="second", route_confidence=0.9, route_reason="why"),
        step(3, "classify", route="a class"),
        step(4, "custom", route="an aside", route_confidence=0.1),
    )
    assert (run["route"], run["route_confidence"], run["route_reason"]) == ("second", 0.9, "why")


def test_what_a_step_says_at_its_start_and_at_its_end_is_one_decision() -> None:
    begun = event("step_started", seq=1, step_kind="route", step_id="a" * 16, route="auto")
    ended = step(2, "route", step_id="a" * 16, route_confidence=0.5)
    run = run_of(begun, ended)
    assert (run["route"], run["route_confidence"]) == ("auto", 0.5)


def test_a_classification_decides_where_no_route_does_and_any_event_where_no_step_does() -> None:
    assert run_of(step(1, "classify", route="mail"), step(2, "custom", route="aside"))["route"] == "mail"
    assert run_of(event("fallback_taken", seq=1, route="told besides"))["route"] == "told besides"


def test_the_model_is_that_of_the_last_call_that_ended_well() -> None:
    run = run_of(
        step(1, "model_call", model_provider="p", model_name="large", temperature=0.5),
        step(2, "model_call", model_provider="q", model_name="small", status="error"),
        step(3, "eval", model_name="judge", temperature=1.0),
    )
    assert (run["model_provider"], run["model_name"], run["temperature"]) == ("p", "large", 0.5)
    assert run_of(step(1, "model_call", model_name="tried", status="error"))["model_name"] == "tried"


def test_a_validation_that_passed_clears_its_own_errors_and_no_others() -> None:
    run = run_of(
        step(1, "validate", "shape", validation_errors=["required $.a"]),
        step(2, "validate", "sums", validation_errors=["sum $.total", "type $.b"]),
        step(3, "validate", "shape"),
        step(4, "parse", "reader", validation_errors=["type $.b", "page 3"]),
    )
    assert run["validation_errors"] == ["sum $.total", "type $.b", "page 3"]


def test_the_costliest_step_is_one_of_those_that_count() -> None:
    parent = step(1, "custom", "agent", step_id="a" * 16, cost_usd=9.0)
    silent = step(2, "tool", "t", parent_step_id="a" * 16)
    cheap = step(3, "tool", "u", cost_usd=1.0)
    run = run_of(parent, silent, cheap)
    assert (run["cost_usd"], run["costliest_step"]) == (10.0, "custom:agent")
    run = run_of(parent, step(2, "tool", "t", parent_step_id="a" * 16, cost_usd=2.0), cheap)
    assert (run["cost_usd"], run["costliest_step"]) == (3.0, "tool:t")


def test_of_two_ends_the_first_by_time_is_believed() -> None:
    ends = [
        event("run_finished", seq=1, final_state="failed", status="error", occurred_at=20),
        event("run_finished", seq=2, final_state="answered", occurred_at=10),
    ]
    [run] = assemble(messages([event("run_started", occurred_at=0), *ends])).runs
    assert (run["final_state"], run["status"]) == ("answered", "ok")


def test_of_a_step_that_ended_twice_the_last_word_counts() -> None:
    first = step(1, "model_call", step_id="a" * 16, cost_usd=5.0, status="error", error_type="Timeout")
    again = step(2, "model_call", step_id="a" * 16, cost_usd=1.0)
    run = run_of(first, again)
    assert (run["cost_usd"], run["status"], len(run["steps"])) == (1.0, "ok", 1)


def test_sums_neither_wrap_nor_become_infinite() -> None:
    most = 2**63 - 1
    run = run_of(*(step(n, "model_call", cost_usd=1.7e308, input_tokens=most, output_tokens=most) for n in (1, 2)))
    assert (run["cost_usd"], run["input_tokens"], run["output_tokens"]) == (sys.float_info.max, most, most)


@pytest.mark.slow
def test_a_run_of_60000_steps_keeps_its_end_its_cost_and_what_it_really_lacks() -> None:
    count = 60_000
    steps = [step(n, "tool", f"t{n % 900}", step_id=f"{n:016x}", cost_usd=0.5) for n in range(1, count + 1)]
    end = event("run_finished", seq=count + 2, expected_events=count + 3, expected_steps=["tool:t1", "tool:never"])
    batches = [steps[at : at + 1000] for at in range(0, count, 1000)]
    (batch,) = run_batches([written([event("run_started")], *batches, [end])], 0, SCHEMAS)
    assert len(batch.value) <= MAX_MESSAGE_BYTES
    (run,) = wire.decode_items(wire.read_block(batch.value, "run-batch", SCHEMAS))
    assert (run["final_state"], run["cost_usd"], run["events"]) == ("answered", count / 2, count + 2)
    assert (run["missing"], run["events_lost"]) == (["tool:never", "truncated"], 1)


def test_a_run_of_long_texts_is_cut_until_a_broker_takes_it() -> None:
    """Nothing is left to cut in its lists of steps: each text is a field of the run, or a label."""
    long = "x" * 240_000
    names = [
        *("route", "route_reason", "route_policy_version", "prompt_id", "prompt_version", "model_policy"),
        *("model_name", "model_provider", "system_fingerprint", "parser_version", "schema_version", "error_type"),
        *("session_id", "user_hash"),
    ]
    said = [step(seq, "output", **dict[str, Any]({name: long, "status": "error"})) for seq, name in enumerate(names, 1)]
    said += [event("fallback_taken", seq=20, fallback_reason=long), event("eval_recorded", seq=21, eval_case_id=long)]
    start, end = (
        {**each, "labels": [{"key": key, "value": long}]} for key, each in (("a", event("run_started")), ("b", END))
    )
    (batch,) = run_batches([written([start], *([each] for each in said), [end])], 0, SCHEMAS)
    assert len(batch.value) <= MAX_MESSAGE_BYTES
    (run,) = wire.decode_items(wire.read_block(batch.value, "run-batch", SCHEMAS))
    assert (run["run_id"], run["final_state"], run["missing"]) == (run_id(1), "answered", ["truncated"])


def test_of_a_run_beyond_its_bound_no_step_is_said_to_be_missing() -> None:
    """The rest was not looked at; its ends are looked at first."""
    end = event("run_finished", seq=9, expected_steps=["tool:seen", "tool:not looked at"])
    some = [arrival.event for arrival in arrivals([event("run_started"), step(1, "tool", "seen"), end])]
    standing = Standing(run_id(1), events=3, seen=True)
    run = record_of(reassembled([CORE.part_of(some)], standing, core=CORE, place=0, now_us=0, at_most=3).item)
    assert (run["close_reason"], run["missing"]) == (CloseReason.OVERFLOW, ["overflow"])
    assert (run["final_state"], run["verdict"]) == ("answered", "partial")

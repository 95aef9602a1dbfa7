"""Which runs a person should look at: by the policy alone, once a rule, and never what is answered already."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from causeline.schemas import catalogue, wire
from causeline.schemas.events import Record
from causeline.schemas.policy import Policy
from causeline.streams.definition.records import RunRecord
from causeline.streams.runs.records import brief_of
from causeline.streams.runs.review_items import could_match, is_sampled, review_items
from causeline.streams.worker.publications import review_value
from tests.unit.streams.both import defined
from tests.unit.streams.build import SCHEMAS, event, run_id

END_US = 1_700_000_000_000_000 + 10 * 9


def policy(*rules: dict[str, Any]) -> Policy:
    named = [{"name": f"rule {n}", "question": "Is it so?", **rule} for n, rule in enumerate(rules)]
    return Policy.model_validate({"version": 1, "workflow": {"w": {"threshold": 0.7, "review": named}}})


def run(*between: Record, number: int = 1, **end: Any) -> list[Record]:
    return [
        event("run_started", run=number, input_ref="a:input"),
        *({**each, "run_id": run_id(number)} for each in between),
        event("run_finished", run=number, seq=len(between) + 1, occurred_at=END_US, **end),
    ]


def weak(field: str = "total", seq: int = 1, **said: Any) -> Record:
    fields = {"field_path": field, "evidence_refs": ["a:page-2"], "provenance_score": 0.5, **said}
    return event("evidence_checked", seq=seq, **fields)


def route(name: str, confidence: float) -> Record:
    return event("step_finished", seq=1, step_kind="route", step_name="r", route=name, route_confidence=confidence)


def items(events: Sequence[Record], by: Policy) -> list[Record]:
    (joined,) = defined(events, closed_at=END_US + 5_000_000, policy=by).values()
    run = cast("RunRecord", joined)
    found = list(review_items(run, by))
    assert could_match(brief_of(run), by) or not found
    return found


def test_an_item_says_what_is_asked_about_which_field_until_when_and_what_to_look_at() -> None:
    by = policy({"when": {"gap": "weak_provenance"}, "priority": 2, "due_in_s": 3600})
    (item,) = items(run(weak(conflicting_refs=[])), by)
    assert item["reason"] == "rule 0"
    assert item["field_path"] == "total"
    assert (item["priority"], item["due_at"]) == (2, END_US + 3600 * 1_000_000)
    assert item["links"] == ["a:page-2", "a:input"]
    assert item["policy_hash"] == by.content_hash
    assert wire.decode_datum(review_value(item, SCHEMAS), "review-item", SCHEMAS) == item
    assert set(item) == {field["name"] for field in catalogue.latest("review-item").plain["fields"]}


@pytest.mark.parametrize(
    ("when", "matching", "other"),
    [
        ({"gap": "weak_provenance"}, run(weak()), run(weak(provenance_score=0.9))),
        ({"gap": "weak_provenance", "field_path": "total"}, run(weak()), run(weak("tax"))),
        ({"next_step": "review"}, run(weak()), run(weak(evidence_refs=[]))),
        ({"route": "motor"}, run(route("motor", 0.9)), run(route("home", 0.9))),
        ({"confidence_below": 0.6}, run(route("motor", 0.5)), run(route("motor", 0.6))),
        ({"confidence_below": 0.6}, run(route("motor", 0.5)), run()),
        ({"fallback": "retry"}, run(event("fallback_taken", seq=1)), run()),
        ({"final_state": "stopped"}, run(final_state="stopped"), run(final_state="answered")),
        ({"verdict": "partial"}, run(expected_steps=["custom:gone"]), run()),
        (
            {"route": "motor", "verdict": "partial"},
            run(route("motor", 0.9), expected_steps=["custom:gone"]),
            run(route("motor", 0.9), expected_steps=["route:r"]),
        ),
    ],
)
def test_a_rule_is_about_the_runs_of_which_all_holds_that_it_says(
    when: dict[str, Any], matching: list[Record], other: list[Record]
) -> None:
    by = policy({"when": when})
    assert len(items(matching, by)) == 1
    assert items(other, by) == []


def test_a_record_is_worth_a_look_only_where_a_rule_of_its_workflow_could_be_about_it() -> None:
    by = policy({"when": {"gap": "weak_provenance"}}, {"when": {"route": "motor"}})
    (plain,) = defined(run()).values()
    brief = brief_of(cast("RunRecord", plain))
    assert not could_match(brief, by)
    assert could_match(brief._replace(route="motor"), by)
    assert not could_match(brief._replace(route="motor", workflow="other"), by)


def test_one_item_a_run_and_rule_whatever_the_number_of_gaps() -> None:
    by = policy({"when": {"gap": "weak_provenance"}}, {"when": {"gap": "weak_provenance", "field_path": "tax"}})
    found = items(run(weak(), weak("tax", seq=2)), by)
    assert [(item["reason"], item["field_path"]) for item in found] == [("rule 0", "total"), ("rule 1", "tax")]


def test_the_same_run_gives_the_same_item_whenever_it_is_published() -> None:
    by = policy({"when": {"gap": "weak_provenance"}})
    events = run(weak())
    (later,) = defined(events, closed_at=END_US + 10**12, policy=by).values()
    amended = cast("RunRecord", {**later, "amended": True})
    assert list(review_items(amended, by)) == items(events, by)


@pytest.mark.parametrize(
    ("review", "asked"),
    [
        ({}, []),
        ({"field_path": "total"}, ["tax"]),
        ({"field_path": "other"}, ["total"]),
        ({"review_outcome": "escalated"}, ["total"]),
    ],
)
def test_what_a_review_has_answered_is_not_asked(review: dict[str, Any], asked: list[str]) -> None:
    by = policy({"when": {"gap": "weak_provenance"}})
    events = run(weak(), weak("tax", seq=2), event("review_recorded", seq=20, **review))
    assert [item["field_path"] for item in items(events, by)] == asked


def test_a_sample_is_chosen_by_run_id_and_a_larger_one_holds_the_smaller() -> None:
    ids = [run_id(n) for n in range(20_000)]
    tenth = {each for each in ids if is_sampled(each, 0.1)}
    assert 1_800 < len(tenth) < 2_200
    assert tenth <= {each for each in ids if is_sampled(each, 0.2)}
    assert not any(is_sampled(each, 0.0) for each in ids)
    assert all(is_sampled(each, 1.0) for each in ids)


def test_rules_are_those_of_the_runs_own_workflow() -> None:
    by = policy({})
    assert len(items(run(), by)) == 1
    assert items([{**each, "workflow": "other"} for each in run()], by) == []

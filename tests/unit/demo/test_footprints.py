"""What each further fault leaves in the record, read against the artifacts that the run left."""

import json
from pathlib import Path
from typing import cast

import pytest

from causeline.demo import demo_policy, work
from causeline.demo.cases import FIELDS, TARGETS
from causeline.demo.faults import FAULTS
from causeline.demo.plan import PlannedRun
from causeline.schemas.events import Record
from causeline.schemas.judge import judge
from tests.unit.demo.sessions import Session, audited, clean_twin, events_of_type, hold, measures, steps, with_fault

EACH = 3
TARGET_LABELS = {"policy": "Annual premium", "contract": "Liability cap", "invoice": "Total amount"}
DATES = {"policy": "$.start_date", "contract": "$.signed_on"}


def each(*names: str) -> pytest.MarkDecorator:
    """The test, for every workflow that these faults can be planted in."""
    placed = [(name, workflow) for name in names for workflow in FAULTS[name].workflows]
    return pytest.mark.parametrize(("name", "workflow"), placed, ids=[f"{n}-{w}" for n, w in placed])


def held(name: str, workflow: str, folder: Path) -> tuple[Session, list[tuple[PlannedRun, list[Record]]]]:
    runs = [with_fault(FAULTS[name], workflow, index) for index in range(EACH)]
    session = hold(runs, folder)
    return session, list(zip(runs, session.runs, strict=True))


def checks(run: list[Record], path: str) -> list[Record]:
    return [event for event in events_of_type(run, "evidence_checked") if event["field_path"] == path]


def piece(session: Session, ref: str) -> str:
    """The text of a cited chunk."""
    stem, _, _ = ref.partition("#")
    return next(chunk.text for chunk in work.chunks_of(stem, "", session.text(stem)) if chunk.ref == ref)


def final_state(run: list[Record]) -> object:
    return run[-1]["final_state"]


@each("mask_dates")
def test_masked_dates_have_no_evidence(name: str, workflow: str, tmp_path: Path) -> None:
    session, runs = held(name, workflow, tmp_path)
    for _, run in runs:
        assert sum(int(measures(step).get("masked.DATE", "0")) for step in steps(run, "mask")) > 0
        assert session.answer(run).get(DATES[workflow]) is None
        assert not checks(run, DATES[workflow])[-1].get("evidence_refs")


@each("wrong_rule")
def test_a_wrong_rule_goes_by_words_that_are_another_kinds(name: str, workflow: str, tmp_path: Path) -> None:
    _, runs = held(name, workflow, tmp_path)
    special = FIELDS[workflow][-1].path
    for one, run in runs:
        (route,) = steps(run, "route")
        assert route["route"] != one.case.route
        assert route["route"] == measures(route)["route.taken"]
        found = str(route["route_reason"]).removeprefix("words:").split("+")
        assert all(any(word in source.text for source in one.case.sources) for word in found)
        assert not checks(run, special)[-1].get("evidence_refs")
        assert {(r["review_outcome"], r["field_path"]) for r in events_of_type(run, "review_recorded")} <= {
            ("overridden", "$.route")
        }


@each("forbidden_route", "branch_ignored")
def test_a_route_that_is_not_allowed_and_a_branch_that_was_not_decided(
    name: str, workflow: str, tmp_path: Path
) -> None:
    _, runs = held(name, workflow, tmp_path)
    allowed = demo_policy().rules(workflow).routes
    for _, run in runs:
        (route,) = steps(run, "route")
        decided, taken = route["route"], measures(route)["route.taken"]
        assert (decided in allowed) == (name == "branch_ignored")
        assert (decided == taken) == (name == "forbidden_route")


@each("stale_index")
def test_a_stale_index_does_not_find_what_the_text_has(name: str, workflow: str, tmp_path: Path) -> None:
    session, runs = held(name, workflow, tmp_path)
    for _, run in runs:
        searches = [s for s in steps(run, "retrieve") if measures(s)["retrieve.field"] == TARGETS[workflow]]
        assert searches
        texts = [session.text(step["parsed_artifact_ref"]) for step in steps(run, "mask")]
        assert any(f"{TARGET_LABELS[workflow]}: " in text for text in texts)
        for step in searches:
            shown = [piece(session, ref) for ref in cast("list[str]", step.get("context_refs") or [])]
            assert not any(f"{TARGET_LABELS[workflow]}: " in text for text in shown)


@each("drops_context")
def test_without_context_nothing_can_be_answered(name: str, workflow: str, tmp_path: Path) -> None:
    session, runs = held(name, workflow, tmp_path)
    for _, run in runs:
        for step in steps(run, "prompt") + steps(run, "model_call"):
            assert not step.get("context_refs")
        assert session.answer(run) == {}


@each("refuses")
def test_a_refusal_ends_in_a_safe_message(name: str, workflow: str, tmp_path: Path) -> None:
    session, runs = held(name, workflow, tmp_path)
    for _, run in runs:
        assert steps(run, "model_call")[-1]["refusal"] is True
        assert session.answer(run) == {}
        assert [event["fallback_taken"] for event in events_of_type(run, "fallback_taken")][-1] == "safe_message"
        assert final_state(run) == "stopped"


@each("provider_down")
def test_a_provider_that_is_down_is_asked_again_until_the_run_fails(name: str, workflow: str, tmp_path: Path) -> None:
    _, runs = held(name, workflow, tmp_path)
    for _, run in runs:
        calls = steps(run, "model_call")
        assert len(calls) > 1
        assert {(call["status"], call["error_type"]) for call in calls} == {("error", "RateLimited")}
        assert [call["retry_count"] for call in calls] == list(range(len(calls)))
        assert final_state(run) == "failed"


@each("misses_field")
def test_a_missed_field_stands_in_what_the_model_was_shown(name: str, workflow: str, tmp_path: Path) -> None:
    session, runs = held(name, workflow, tmp_path)
    for _, run in runs:
        shown = [piece(session, ref) for ref in cast("list[str]", steps(run, "model_call")[0]["context_refs"])]
        assert any(f"{TARGET_LABELS[workflow]}: " in text for text in shown)
        assert TARGETS[workflow] not in session.answer(run)


@each("tool_down")
def test_a_tool_that_is_down_is_tried_again(name: str, workflow: str, tmp_path: Path) -> None:
    _, runs = held(name, workflow, tmp_path)
    for _, run in runs:
        tries = steps(run, "tool")
        assert [(step["status"], step.get("retry_count")) for step in tries] == [("error", 0), ("error", 1)]


@each("wrong_record")
def test_a_wrong_record_is_not_the_one_that_was_asked_for(name: str, workflow: str, tmp_path: Path) -> None:
    session, runs = held(name, workflow, tmp_path)
    for _, run in runs:
        for step in steps(run, "tool"):
            asked, record = session.text(step["input_ref"]), json.loads(session.text(step["raw_output_ref"]))
            same = sum(a == b for a, b in zip(asked, record["order"], strict=True)) / len(asked)
            assert step["confidence"] == pytest.approx(same, abs=0.001)
            assert same < demo_policy().rules(workflow).confidence_floor
            assert step["raw_output_ref"] in cast("list[str]", checks(run, "$.total")[0]["conflicting_refs"])


@each("validation_off", "validation_lax")
def test_a_validation_says_what_it_looked_at(name: str, workflow: str, tmp_path: Path) -> None:
    _, runs = held(name, workflow, tmp_path)
    required = set(demo_policy().rules(workflow).evidence)
    for _, run in runs:
        step = steps(run, "validate")[-1]
        if name == "validation_off":
            assert (step["status"], measures(step)) == ("skipped", {})
        else:
            assert set(measures(step)["validate.checked"].split(",")) == required - {TARGETS[workflow]}


@each("wrong_chunk_checked", "checks_beginning_only")
def test_a_wrong_check_finds_no_support_where_there_is_some(name: str, workflow: str, tmp_path: Path) -> None:
    session, runs = held(name, workflow, tmp_path)
    misjudged = 0
    for one, run in runs:
        for check in events_of_type(run, "evidence_checked"):
            value = one.case.truth[str(check["field_path"])]
            cited = cast("list[str]", check.get("evidence_refs") or [])
            if value is not None and cited and value in piece(session, cited[0]):
                misjudged += cast("float", check["provenance_score"]) < 0.9
    assert misjudged >= EACH


@each("ignores_decision")
def test_an_ignored_decision_is_followed_by_an_answer_as_if_nothing_were(
    name: str, workflow: str, tmp_path: Path
) -> None:
    _, runs = held(name, workflow, tmp_path)
    for _, run in runs:
        (check,) = checks(run, TARGETS[workflow])
        assert check["next_step"] == "search"
        assert not events_of_type(run, "fallback_taken")
        assert final_state(run) == "answered"


@each("gives_up")
def test_giving_up_is_another_step_than_the_policys(name: str, workflow: str, tmp_path: Path) -> None:
    _, runs = held(name, workflow, tmp_path)
    standard = demo_policy().rules(workflow).standard(TARGETS[workflow])
    for _, run in runs:
        (check,) = checks(run, TARGETS[workflow])
        due = judge(required=True, score=None, evidence_refs=(), conflicting_refs=(), standard=standard)
        assert due is not None
        assert check["next_step"] != due.next_step
        assert final_state(run) == "partial"


@each("correction_lost")
def test_a_lost_correction_has_no_reference(name: str, workflow: str, tmp_path: Path) -> None:
    lost = [audited(with_fault(FAULTS[name], workflow, index)) for index in range(EACH)]
    for planned, kept in ((lost, False), ([clean_twin(one) for one in lost], True)):
        session = hold(map(audited, planned), tmp_path / str(kept))
        reviews = [review for run in session.runs for review in events_of_type(run, "review_recorded")]
        overridden = [review for review in reviews if review["review_outcome"] == "overridden"]
        assert len(overridden) >= EACH
        for review in overridden:
            assert (review.get("override_ref") is not None) == kept


@each("review_skipped")
def test_a_skipped_review_leaves_a_gap_that_asked_for_one(name: str, workflow: str, tmp_path: Path) -> None:
    _, runs = held(name, workflow, tmp_path)
    for _, run in runs:
        assert checks(run, TARGETS[workflow])[-1]["next_step"] == "review"
        assert not events_of_type(run, "review_recorded")

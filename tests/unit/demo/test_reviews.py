"""The scripted reviewer decides by the truth: what is right is approved, what is wrong is corrected or sent back."""

import json
from typing import cast

import pytest

from causeline.demo import plan
from causeline.demo.plan import PlannedRun
from causeline.schemas.events import Record
from tests.unit.demo.sessions import Session, events_of_type, hold, steps

RUNS = 400
Reviewed = tuple[PlannedRun, list[Record], list[Record]]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return hold(plan(51, RUNS, faulty_share=0.6), tmp_path_factory.mktemp("reviews"))


@pytest.fixture(scope="module")
def reviewed(session: Session) -> list[Reviewed]:
    """The reviewed runs, each as planned, its events and its reviews."""
    planned = plan(51, RUNS, faulty_share=0.6)
    told = [(one, run, events_of_type(run, "review_recorded")) for one, run in zip(planned, session.runs, strict=True)]
    return [(one, run, reviews) for one, run, reviews in told if reviews]


def outcomes(reviews: list[Record]) -> set[object]:
    return {review["review_outcome"] for review in reviews}


def given(session: Session, run: list[Record]) -> dict[str, object]:
    """The values that went out in the end."""
    return cast("dict[str, object]", json.loads(session.text(steps(run, "output")[-1]["raw_output_ref"])))


def wrong(session: Session, one: PlannedRun, run: list[Record]) -> set[str]:
    values = given(session, run)
    return {path for path, value in one.case.truth.items() if values.get(path) != value}


def test_every_outcome_comes_up(reviewed: list[Reviewed]) -> None:
    assert set().union(*(outcomes(reviews) for _, _, reviews in reviewed)) == {
        "approved", "overridden", "rejected", "escalated",
    }  # fmt: skip
    assert all(len(outcomes(reviews)) == 1 for _, _, reviews in reviewed)


def test_only_what_is_right_is_approved(session: Session, reviewed: list[Reviewed]) -> None:
    for one, run, reviews in reviewed:
        if outcomes(reviews) == {"approved"}:
            assert wrong(session, one, run) == set()


def test_a_correction_leads_to_the_right_value_or_route(session: Session, reviewed: list[Reviewed]) -> None:
    for one, run, reviews in reviewed:
        if outcomes(reviews) != {"overridden"}:
            continue
        right = {**one.case.truth, "$.route": one.case.route}
        for review in reviews:
            if (ref := review.get("override_ref")) is not None:
                assert session.text(ref) == right[str(review["field_path"])]
        paths = {str(review["field_path"]) for review in reviews}
        assert paths == {"$.route"} or paths == wrong(session, one, run)


def test_an_answer_of_which_little_is_right_is_sent_back_whole(session: Session, reviewed: list[Reviewed]) -> None:
    for one, run, reviews in reviewed:
        if outcomes(reviews) == {"rejected"}:
            assert len(reviews) == 1
            assert reviews[0].get("field_path") is None
            assert len(wrong(session, one, run)) > len(one.case.truth) / 2


def test_only_runs_that_were_handed_over_are_passed_on(reviewed: list[Reviewed]) -> None:
    for _, run, reviews in reviewed:
        assert (outcomes(reviews) == {"escalated"}) == (run[-1]["final_state"] == "handed_over")


def test_only_corrected_runs_become_eval_cases(session: Session, reviewed: list[Reviewed]) -> None:
    corrected = [run for _, run, reviews in reviewed if outcomes(reviews) & {"overridden", "rejected"}]
    linked = [run for run in session.runs if events_of_type(run, "eval_recorded")]
    assert 0.2 < len(linked) / len(corrected) < 0.6
    assert all(run in corrected for run in linked)

"""Reviews and evals count by their own topic. One that comes by the events topic is a claim: told, and no decision."""

from typing import Any

import pytest

from causeline.schemas.events import Record
from tests.unit.streams.both import assemble
from tests.unit.streams.build import event, messages, whole_run

CLOSED = 1_700_000_100_000_000
APPROVED = event("review_recorded", seq=0, emitter="x", review_outcome="approved", reviewer_ref="reviewer:1")
PASSED = event("eval_recorded", seq=0, emitter="y", eval_case_id="case-1", eval_outcome="passed")


def joined(*events: Record, claims: bool) -> dict[str, Any]:
    [run] = assemble(messages(events), closed_at=CLOSED, claims=claims).runs
    return run


def labels(run: dict[str, Any]) -> dict[str, str]:
    return {pair["key"]: pair["value"] for pair in run["labels"]}


@pytest.mark.parametrize(
    ("decision", "array", "field"), [(APPROVED, "reviews", "review_outcome"), (PASSED, "evals", "eval_case_id")]
)
def test_a_decision_that_came_as_an_event_decides_nothing_and_is_told(decision: Record, array: str, field: str) -> None:
    mine = joined(*whole_run(1), claims=False)

    believed, claimed = (joined(*whole_run(1), decision, claims=claims) for claims in (False, True))

    assert (believed[field], len(believed[array])) == (decision[field], 1)
    assert (claimed[field], claimed[array]) == (None, [])
    assert labels(claimed) == {**labels(mine), "foreign.decisions": "1"}
    assert (claimed["verdict"], claimed["events_lost"]) == ("complete", 0)
    assert claimed["finished_at"] == mine["finished_at"]
    assert claimed["revision"] == mine["revision"] + 1  # it is an event of the run


def test_both_are_counted_and_a_label_of_that_name_from_outside_is_not_believed() -> None:
    start, *others = whole_run(1)
    start["labels"] = [{"key": "foreign.decisions", "value": "0"}]

    assert labels(joined(start, *others, APPROVED, PASSED, claims=True))["foreign.decisions"] == "2"


def test_an_event_of_another_type_says_nothing_of_reviews_and_evals() -> None:
    sly = event("step_finished", seq=9, review_outcome="approved", reviewer_ref="reviewer:1", eval_case_id="case-1")

    run = joined(*whole_run(1), sly, claims=True)

    assert (run["review_outcome"], run["reviewer_ref"], run["eval_case_id"]) == (None, None, None)

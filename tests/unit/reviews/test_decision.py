"""A decision is checked before it becomes an event."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from causeline.reviews.decision import Decision, decided
from causeline.reviews.queue import Item
from causeline.schemas.errors import CheckFailed, UsageError
from causeline.schemas.vocabulary import ReviewOutcome
from tests.unit.console.samples import clean_run, failed_run

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
RUN = failed_run()
ITEM = Item(
    item_id="a" * 32,
    run_id=RUN.run_id,
    project="demo",
    workflow="policy",
    run_started_at=AT,
    reason="weak premium",
    question="Is the premium right?",
    field_path="$.premium",
    priority=2,
    urgency=2,
    due_at=None,
    is_overdue=False,
    links=(),
    policy_hash=None,
    created_at=AT,
    age_s=5,
    state="open",
    outcome=None,
    reviewer_ref=None,
    override_ref=None,
    note_ref=None,
    resolved_at=None,
    review_event_id=None,
    lease=0,
    leased_by=None,
    leased_until=None,
)
WHOLE_RUN = replace(ITEM, field_path=None)


def decide(item: Item = ITEM, outcome: str = "approved", **said: Any) -> Decision:
    given = {"field": None, "override_ref": None, "note_ref": None, "run": RUN, **said}
    given.setdefault("reviewer_ref", "reviewer:17")
    return decided(item, given.pop("run"), outcome=ReviewOutcome(outcome), **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reviewer_ref": "Jane Doe"}, "The reviewer is not named by an id."),
        ({"reviewer_ref": "mailto:jane@example.com"}, "The reviewer is not named by an id."),
        ({"note_ref": "He said yes."}, "What --note-ref gives is not a reference"),
        ({"note_ref": "artifact:sha256/51/9d3c…"}, "What --note-ref gives is no whole reference"),
        (
            {"outcome": "overridden", "override_ref": "artifact:sha256/51/9d3c"},
            "What --override-ref gives is no whole reference",
        ),
        ({"outcome": "overridden", "override_ref": "300 EUR"}, "What --override-ref gives is not a reference"),
    ],
)
def test_people_are_ids_and_texts_are_references(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        decide(**given)
    assert refused.value.hint


def test_a_decision_is_about_the_items_field_unless_it_says_another() -> None:
    assert decide().field == "$.premium"
    assert decide(WHOLE_RUN).field is None
    assert decide(WHOLE_RUN, "overridden", override_ref="artifact:r", field="$.premium").field == "$.premium"


def test_the_route_is_a_field_of_a_run_that_was_routed() -> None:
    assert decide(WHOLE_RUN, "overridden", override_ref="artifact:r", field="route").field == "route"
    with pytest.raises(UsageError, match="has no field route"):
        decide(WHOLE_RUN, "overridden", override_ref="artifact:r", field="route", run=clean_run(route=None))


def test_a_field_that_does_not_exist_is_refused_and_the_others_are_named() -> None:
    with pytest.raises(UsageError, match=r"has no field \$\.total") as caught:
        decide(WHOLE_RUN, "overridden", override_ref="artifact:r", field="$.total")
    assert caught.value.hint == "It has $.premium."


def test_a_review_of_another_field_would_not_answer_the_item() -> None:
    with pytest.raises(UsageError, match=r"asks about \$\.premium"):
        decide(field="$.excess")


@pytest.mark.parametrize("state", ["approved", "overridden", "rejected"])
def test_an_item_that_is_resolved_is_not_resolved_again(state: str) -> None:
    resolved = replace(ITEM, state="resolved", outcome=state, reviewer_ref="reviewer:3", resolved_at=AT)
    with pytest.raises(CheckFailed, match=f"resolved already: {state} by reviewer:3 at 2026-03-01 08:00:00 UTC"):
        decide(resolved)


def test_an_escalated_item_may_be_decided() -> None:
    assert decide(replace(ITEM, outcome="escalated", reviewer_ref="reviewer:3")).outcome is ReviewOutcome.APPROVED


def test_an_override_says_what_stands_instead_and_nothing_else_does() -> None:
    with pytest.raises(UsageError, match="without what stands instead"):
        decide(outcome="overridden")
    for outcome in ("approved", "rejected", "escalated"):
        with pytest.raises(UsageError, match="has no override"):
            decide(outcome=outcome, override_ref="artifact:r")

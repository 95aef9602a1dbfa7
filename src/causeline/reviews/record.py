"""A decision put on record: the item leased for it, the review published, and waited for until it can be read.

The order is the point. 1. The item is leased, so of two reviewers one is refused. 2. The review is published to the
topic of decisions, by a door that applications do not have; if Kafka does not take it, the lease ends and nothing was
decided. 3. An escalated item is given back, for somebody else.
"""

import time
from collections.abc import Callable

from causeline.console.store import Store
from causeline.producers.tracer import Tracer
from causeline.reviews.decision import Decision
from causeline.reviews.leases import LeaseStore, hold, release
from causeline.reviews.queue import Item, item_by_id
from causeline.schemas.errors import CauselineError, CheckFailed, NotVisibleYet, Unreachable
from causeline.schemas.vocabulary import ReviewOutcome

LEASE_S = 1800.0
"""For how long an item is a reviewer's."""
_FLUSH_S = 30
_POLL_S = 0.1


def record(
    store: LeaseStore,
    item: Item,
    decision: Decision,
    *,
    patience_s: float | None,
    now_s: Callable[[], float] = time.monotonic,
) -> Item:
    """The item as it stands after the decision; with `patience_s` None, as it was leased, without waiting.

    Raises CheckFailed while somebody else has the item, or when the review cannot be read in time; Unreachable when
    Kafka does not take it.
    """
    held = hold(store, item, decision.reviewer_ref, lease_s=LEASE_S)
    try:
        _publish(held, decision)
    except CauselineError:
        release(store, held, decision.reviewer_ref)
        raise
    answered = held if patience_s is None else _wait(store, held, patience_s, now_s)
    if decision.outcome is ReviewOutcome.ESCALATED:
        release(store, answered, decision.reviewer_ref)
    return answered


def _publish(item: Item, decision: Decision) -> None:
    with Tracer(item.project, enabled=True) as tracer:
        taken = tracer.record_review(
            item.run_id,
            item.workflow,
            decision.outcome,
            run_started_at=round(item.run_started_at.timestamp() * 1e6),
            field=decision.field,
            reviewer_ref=decision.reviewer_ref,
            override_ref=decision.override_ref,
            note_ref=decision.note_ref,
        )
        if not taken:
            reasons = tracer.stats().last_invalid
            raise CheckFailed(f"The review was not recorded: {reasons[-1] if reasons else 'it was refused'}")
        if left := tracer.flush(_FLUSH_S):
            raise Unreachable(f"Kafka has not taken the review: {left.events} event is left.", hint="Try again.")


def _wait(store: Store, item: Item, patience_s: float, now_s: Callable[[], float]) -> Item:
    deadline = now_s() + patience_s
    while True:
        now = item_by_id(store, item.item_id)
        if now.review_event_id != item.review_event_id:
            return now
        if now_s() >= deadline:
            raise NotVisibleYet(
                f"The review is published, and not visible after {patience_s:g} s.",
                hint="`causeline status` shows whether loaders lag; do not resolve the item again.",
            )
        time.sleep(_POLL_S)

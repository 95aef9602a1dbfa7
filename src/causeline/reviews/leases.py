"""Leases: no two reviewers get the same item, and one that is given up comes back by itself.

A lease of an item has a number. Whoever wants the next inserts a row for it, under a deduplication token of item and
number: of several such inserts the server keeps the first and drops the rest without a word. Then everybody reads whose
row stands. The server's clock says when a lease is over, so reviewers' clocks do not matter.

Decided in ADR 17.
"""

import json
import uuid
from typing import Protocol

from causeline.console.store import Store
from causeline.reviews.queue import Item, Wanted, free_items, held_by, item_by_id
from causeline.schemas.errors import CheckFailed
from causeline.schemas.tables import LEASES_TABLE

_CANDIDATES = 32
_ROUNDS = 20
_WHOSE = """
SELECT claim_id FROM review_lease_rows WHERE item_id = {item:String} AND lease = {lease:UInt32}
ORDER BY leased_at, claim_id LIMIT 1
"""


class LeaseStore(Store, Protocol):
    """A store that also takes rows."""

    def put(self, table: str, row: bytes, *, token: str) -> None:
        """Insert one row of JSON; under a token that was used before, nothing. Raises CauselineError."""
        ...


def claim(store: LeaseStore, item_id: str, lease: int, reviewer_ref: str, lease_s: float) -> bool:
    """Try to get lease number `lease` of an item for so many seconds; False when somebody else has it."""
    claim_id = uuid.uuid4().hex
    row = {
        "item_id": item_id,
        "lease": lease,
        "reviewer_ref": reviewer_ref,
        "claim_id": claim_id,
        "lease_ms": round(lease_s * 1000),
    }
    store.put(LEASES_TABLE, json.dumps(row).encode(), token=f"{item_id}:{lease}")
    stands = store.ask(_WHOSE, {"item": item_id, "lease": lease})
    return bool(stands) and stands[0]["claim_id"] == claim_id


def lease_next(store: LeaseStore, reviewer_ref: str, wanted: Wanted, *, lease_s: float) -> Item | None:
    """The item that the reviewer has leased already, else the most urgent free one, now leased; None when none is.

    An item that the reviewer escalated is for others. Raises CheckFailed when others were faster every time.
    """
    if (held := held_by(store, reviewer_ref, wanted)) is not None:
        return held
    for _ in range(_ROUNDS):
        candidates = free_items(store, reviewer_ref, wanted, limit=_CANDIDATES)
        if not candidates:
            return None
        for item in candidates:
            if claim(store, item.item_id, item.lease + 1, reviewer_ref, lease_s):
                return item_by_id(store, item.item_id)
    raise CheckFailed("Others took every item that was free.", hint="Try again in a moment.")


def hold(store: LeaseStore, item: Item, reviewer_ref: str, *, lease_s: float) -> Item:
    """The item, leased by the reviewer; raises CheckFailed while somebody else has it."""
    if item.leased_by == reviewer_ref:
        return item
    if item.leased_by is None and claim(store, item.item_id, item.lease + 1, reviewer_ref, lease_s):
        return item_by_id(store, item.item_id)
    now = item_by_id(store, item.item_id)
    until = f" until {now.leased_until:%Y-%m-%d %H:%M:%S} UTC" if now.leased_until else ""
    raise CheckFailed(
        f"Review item {item.item_id} is leased by {now.leased_by or 'another reviewer'}{until}.",
        hint="Take another: causeline reviews next --reviewer REF.",
    )


def release(store: LeaseStore, item: Item, reviewer_ref: str) -> None:
    """End the reviewer's lease, so that others may have the item at once."""
    claim(store, item.item_id, item.lease + 1, reviewer_ref, 0)

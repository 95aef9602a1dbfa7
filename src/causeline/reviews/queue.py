"""The review items, as the view `reviews` has them, with their leases: listed, looked up and counted."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, cast

from causeline.console.answers import Record
from causeline.console.run_filter import checked_limit
from causeline.console.store import Store
from causeline.schemas.errors import NotFound

_ITEMS = """
SELECT *, leased_by != '' AND leased_until > now64(6, 'UTC') AS is_leased
FROM
(
    SELECT
        assumeNotNull(item_id) AS item_id, run_id, project, workflow, run_started_at, assumeNotNull(reason) AS reason,
        question, field_path, priority, if(outcome = 'escalated', 1, priority) AS urgency, due_at,
        ifNull(due_at < now64(6, 'UTC'), 0) AND state = 'open' AS is_overdue, links, policy_hash, created_at,
        dateDiff('millisecond', created_at, ifNull(resolved_at, now64(6, 'UTC'))) / 1000 AS age_s,
        toString(state) AS state, toString(outcome) AS outcome, reviewer_ref, override_ref, note_ref, resolved_at,
        review_event_id
    FROM reviews WHERE reviews.item_id IS NOT NULL
) AS items
LEFT JOIN
(
    -- Of claims of one lease, whose tokens let one stand, the first counts all the same.
    SELECT item_id, lease, argMin(reviewer_ref, (leased_at, claim_id)) AS leased_by,
           min((leased_at, claim_id, lease_ms)) AS first,
           first.1 + toIntervalMillisecond(first.3) AS leased_until
    FROM review_lease_rows GROUP BY item_id, lease ORDER BY lease DESC LIMIT 1 BY item_id
) AS leases USING (item_id)
"""
_MOST_URGENT_FIRST = " ORDER BY urgency, due_at IS NULL, due_at, created_at, item_id LIMIT {limit:UInt32}"
_NEWEST_DECISION_FIRST = " ORDER BY resolved_at DESC, item_id LIMIT {limit:UInt32}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One reason for a person to look at one run. `outcome` and what follows are those of the last answer to it.

    `urgency` is the priority, but 1 for an item that was escalated. `lease` counts the leases it has had.
    """

    item_id: str
    run_id: str
    project: str
    workflow: str
    run_started_at: datetime
    reason: str
    question: str | None
    field_path: str | None
    priority: int
    urgency: int
    due_at: datetime | None
    is_overdue: bool
    links: tuple[str, ...]
    policy_hash: str | None
    created_at: datetime
    age_s: float
    """Seconds since it was made, of a resolved one until it was."""
    state: str
    outcome: str | None
    reviewer_ref: str | None
    override_ref: str | None
    note_ref: str | None
    resolved_at: datetime | None
    review_event_id: str | None
    lease: int
    leased_by: str | None
    leased_until: datetime | None


def _item(row: Record) -> Item:
    of_item = {each.name: row.get(each.name) for each in fields(Item)}
    if not row["is_leased"]:
        of_item |= {"leased_by": None, "leased_until": None}
    of_item |= {"is_overdue": bool(of_item["is_overdue"]), "links": tuple(cast("list[str]", of_item["links"]))}
    return Item(**cast("dict[str, Any]", of_item))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which items: None does not ask."""

    state: str | None = "open"
    workflow: str | None = None
    reason: str | None = None
    run_id: str | None = None
    overdue: bool = False

    def condition(self) -> tuple[str, dict[str, object]]:
        """As SQL, and its parameters."""
        named = {name: getattr(self, name) for name in ("state", "workflow", "reason", "run_id")}
        parameters: dict[str, object] = {name: value for name, value in named.items() if value is not None}
        conditions = [f"{name} = {{{name}:String}}" for name in parameters] + ["is_overdue"] * self.overdue
        return " AND ".join(conditions) or "1", parameters


def items(store: Store, wanted: Wanted, *, limit: int = 50) -> list[Item]:
    """The items of a filter, the most urgent first; resolved ones by when they were decided, the newest first."""
    condition, parameters = wanted.condition()
    order = _NEWEST_DECISION_FIRST if wanted.state == "resolved" else _MOST_URGENT_FIRST
    sql = f"SELECT * FROM ({_ITEMS}) WHERE {condition}{order}"  # noqa: S608 - constants
    return [_item(row) for row in store.ask(sql, {**parameters, "limit": checked_limit(limit)})]


def item_by_id(store: Store, text: str) -> Item:
    """The item whose id is `text`, or begins with it; raises NotFound where there is none, or more than one."""
    sql = f"SELECT * FROM ({_ITEMS}) WHERE startsWith(item_id, {{text:String}}){_MOST_URGENT_FIRST}"  # noqa: S608
    rows = store.ask(sql, {"text": text.strip().lower(), "limit": 2}) if text.strip() else []
    if not rows:
        raise NotFound(f"No review item has the id {text}.", hint="causeline reviews list --state all")
    if len(rows) > 1:
        raise NotFound(f"Several review items begin with {text}.", hint="Give more of the id.")
    return _item(rows[0])


def free_items(store: Store, reviewer_ref: str, wanted: Wanted, *, limit: int) -> list[Item]:
    """Open items that nobody has leased and that the reviewer did not pass on, the most urgent first."""
    condition, parameters = wanted.condition()
    sql = (
        f"SELECT * FROM ({_ITEMS}) WHERE {condition} AND NOT is_leased"  # noqa: S608 - constants
        " AND NOT (ifNull(outcome = 'escalated', 0) AND ifNull(reviewer_ref = {reviewer:String}, 0))"
        f"{_MOST_URGENT_FIRST}"
    )
    return [_item(row) for row in store.ask(sql, {**parameters, "reviewer": reviewer_ref, "limit": limit})]


def held_by(store: Store, reviewer_ref: str, wanted: Wanted) -> Item | None:
    """The most urgent open item that the reviewer has leased; None where there is none."""
    condition, parameters = wanted.condition()
    sql = (
        f"SELECT * FROM ({_ITEMS}) WHERE {condition} AND is_leased"  # noqa: S608 - constants
        f" AND leased_by = {{reviewer:String}}{_MOST_URGENT_FIRST}"
    )
    rows = store.ask(sql, {**parameters, "reviewer": reviewer_ref, "limit": 1})
    return _item(rows[0]) if rows else None


def stats(store: Store, wanted: Wanted) -> Record:
    """Counts, shares (percent of all, of resolved) and ages (seconds) of the items of a filter."""
    condition, parameters = wanted.condition()
    sql = f"""
        SELECT
            count() AS items, countIf(state = 'open') AS open, countIf(state = 'resolved') AS resolved,
            countIf(is_leased AND state = 'open') AS leased, countIf(is_overdue) AS overdue,
            countIf(state = 'open' AND outcome = 'escalated') AS escalated,
            countIf(outcome = 'approved' AND state = 'resolved') AS approved,
            countIf(outcome = 'overridden' AND state = 'resolved') AS overridden,
            countIf(outcome = 'rejected' AND state = 'resolved') AS rejected,
            if(items = 0, NULL, round(100 * resolved / items, 1)) AS resolved_percent,
            if(resolved = 0, NULL, round(100 * approved / resolved, 1)) AS approved_percent,
            if(resolved = 0, NULL, round(100 * overridden / resolved, 1)) AS overridden_percent,
            if(resolved = 0, NULL, round(100 * rejected / resolved, 1)) AS rejected_percent,
            if(open = 0, NULL, round(100 * overdue / open, 1)) AS overdue_percent,
            if(open = 0, NULL, quantileExactIf(0.5)(age_s, state = 'open')) AS open_age_p50_s,
            if(open = 0, NULL, quantileExactIf(0.9)(age_s, state = 'open')) AS open_age_p90_s,
            if(open = 0, NULL, maxIf(age_s, state = 'open')) AS open_age_max_s,
            if(resolved = 0, NULL, quantileExactIf(0.5)(age_s, state = 'resolved')) AS resolved_after_p50_s,
            if(resolved = 0, NULL, quantileExactIf(0.9)(age_s, state = 'resolved')) AS resolved_after_p90_s
        FROM ({_ITEMS}) WHERE {condition}
    """  # noqa: S608 - constants; values are parameters
    return store.ask(sql, parameters)[0]

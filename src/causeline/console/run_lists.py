"""Lists of runs: which they are is told by `run_order` where they stand by their start, and held against `runs`."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol, cast

from causeline.console.run_filter import Order, RunFilter, checked_limit, order_by
from causeline.console.store import Store
from causeline.schemas.run import Run

LISTED = [
    "run_id",
    "project",
    "workflow",
    "revision",
    "verdict",
    "close_reason",
    "missing",
    "events",
    "events_lost",
    "amended",
    "started_at",
    "finished_at",
    "duration_us",
    "final_state",
    "status",
    "error_type",
    "error_step",
    "route",
    "route_confidence",
    "model_provider",
    "model_name",
    "prompt_id",
    "prompt_version",
    "confidence",
    "fallback_taken",
    "review_outcome",
    "retry_count",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "slowest_step",
    "costliest_step",
    "missing_anchors",
    "gap_kinds",
    "session_id",
    "user_hash",
]
"""The columns of a list of runs; the nested ones are read for one run at a time."""
_SPARE = 16
"""Candidates beyond those wanted: earlier revisions of a run that have not been merged away yet."""


class Place(Protocol):
    """A place in the order newest first: after the run of this start (UTC) and id."""

    @property
    def started_at(self) -> datetime: ...

    @property
    def run_id(self) -> str: ...


def find_runs(
    store: Store, wanted: RunFilter, *, order: Order = Order.NEWEST, limit: int = 50, after: Place | None = None
) -> list[Run]:
    """The runs of a filter without their nested arrays, which are left empty.

    With `after`, those that follow that place in the order newest first (or oldest first, by `order`), whatever was
    added meanwhile.
    """
    if order in (Order.NEWEST, Order.OLDEST):
        return _by_start(store, wanted, order, checked_limit(limit), after)
    # Which runs they are is told from the few columns of the filter and the order; the rest is read of these alone.
    condition = wanted.condition()
    sql = (
        f"SELECT {', '.join(LISTED)} FROM runs WHERE run_id IN"  # noqa: S608 - constants; values are parameters
        f" (SELECT run_id FROM runs WHERE {condition.sql} ORDER BY {order_by(order)} LIMIT {{limit:UInt32}})"
        f" ORDER BY {order_by(order)} LIMIT {{limit:UInt32}}"
    )
    rows = store.ask(sql, {**condition.parameters, "limit": checked_limit(limit)})
    return [Run.from_record(row) for row in rows]


def _by_start(store: Store, wanted: RunFilter, order: Order, limit: int, after: Place | None) -> list[Run]:
    """The first runs of a list by start.

    `run_order` ends after as many candidates as are wanted; a candidate that `runs` does not know so any more (an
    earlier revision of it had another start, or another state) is none, and more of them are taken in its place.
    """
    condition, following = wanted.condition(), ""
    asked, most = {**condition.parameters, "limit": limit}, limit + _SPARE
    if after is not None:
        # The first term alone lets parts be passed over by their range of starts.
        sign = ">" if order is Order.OLDEST else "<"
        following = (
            f" AND started_at {sign}= {{after_start:DateTime64(6, 'UTC')}}"
            f" AND (started_at, run_id) {sign} ({{after_start:DateTime64(6, 'UTC')}}, {{after_id:String}})"
        )
        asked |= {"after_start": f"{after.started_at:%Y-%m-%d %H:%M:%S.%f}", "after_id": after.run_id}
    places = _places(wanted, following, order)
    sql = (
        f"SELECT {', '.join(LISTED)} FROM runs WHERE {_at(places, wanted)}"  # noqa: S608 - constants; values are parameters
        f" ORDER BY {order_by(order)} LIMIT {{limit:UInt32}}"
    )
    while True:
        given = {**asked, "most": most}
        rows = store.ask(sql, given)
        if len(rows) >= limit or _count(store, places, given) < most:
            return [Run.from_record(row) for row in rows]
        most *= 8


def _places(wanted: RunFilter, following: str, order: Order) -> str:
    condition = wanted.condition(of_order=True).sql
    return (
        f"SELECT started_at, run_id FROM run_order WHERE {condition}{following}"  # noqa: S608 - as above
        f" ORDER BY {order_by(order)} LIMIT {{most:UInt32}}"
    )


def _at(places: str, wanted: RunFilter) -> str:
    """What holds for the runs of `places` that are still there and still of the filter.

    Starts are compared so that no index knows of it: rows that are replaced by key (`FINAL`) are read wherever the key
    may be once any other column has narrowed them, and ids alone narrow them to a few granules. When the run must have
    started need not be said again: its place says it to the microsecond.
    """
    still = replace(wanted, since_us=None, until_us=None).condition().sql
    return f"(identity(started_at), run_id) IN ({places}) AND {still}"


def _count(store: Store, sql: str, parameters: Mapping[str, object]) -> int:
    rows = store.ask(f"SELECT count() AS rows FROM ({sql})", parameters)  # noqa: S608 - our own
    return int(cast("int", rows[0]["rows"])) if rows else 0


def sample_of_runs(store: Store, wanted: RunFilter, *, most: int) -> list[Run]:
    """About the `most` newest runs of a filter, whole, in one question; one amended meanwhile may be missing."""
    sql = f"SELECT * FROM runs WHERE {_at(_places(wanted, '', Order.NEWEST), wanted)}"  # noqa: S608 - as above
    return [Run.from_record(row) for row in store.ask(sql, {**wanted.condition().parameters, "most": most})]


def newest_ids(store: Store, wanted: RunFilter, *, most: int) -> list[str]:
    """The ids of the newest runs of a filter, as any of their revisions said: quick, to know what is new."""
    condition = wanted.condition(of_order=True)
    sql = (
        f"SELECT run_id FROM run_order WHERE {condition.sql}"  # noqa: S608 - as above
        f" ORDER BY {order_by(Order.NEWEST)} LIMIT 1 BY run_id LIMIT {{most:UInt32}}"
    )
    return [str(row["run_id"]) for row in store.ask(sql, {**condition.parameters, "most": most})]

"""What the console asks of the store, and the typed answers; over the public views only."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from causeline.console.answers import Counts, LiveGap, OpenRun, Record
from causeline.console.run_filter import Order, RunFilter, checked_limit, id_text, order_by
from causeline.console.run_text import record_of
from causeline.console.store import Store
from causeline.schemas.errors import NotFound
from causeline.schemas.run import Run

_LISTED = [
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
]
"""The columns of a list of runs; the nested ones are read for one run at a time."""

_SHOWN_CANDIDATES = 5
_BULK = 500


def find_runs(store: Store, wanted: RunFilter, *, order: Order = Order.NEWEST, limit: int = 50) -> list[Run]:
    """The runs of a filter without their nested arrays, which are left empty."""
    condition = wanted.condition()
    sql = (
        f"SELECT {', '.join(_LISTED)} FROM runs WHERE {condition.sql}"  # noqa: S608 - constants; values are parameters
        f" ORDER BY {order_by(order)} LIMIT {{limit:UInt32}}"
    )
    return [Run.from_record(row) for row in store.ask(sql, {**condition.parameters, "limit": checked_limit(limit)})]


def count_runs(store: Store, wanted: RunFilter) -> int:
    """How many runs there are of a filter."""
    condition = wanted.condition()
    rows = store.ask(f"SELECT count() AS runs FROM runs WHERE {condition.sql}", condition.parameters)  # noqa: S608 - as above
    return _int(rows[0]["runs"])


def run_by_id(store: Store, text: str) -> Run:
    """The run whose id is `text`, or begins with it; raises MalformedId, or NotFound naming what there is instead."""
    wanted = id_text(text)
    rows = _by_id(store, wanted) if len(wanted) == 32 else _by_prefix(store, wanted)
    if not rows:
        raise _not_there(store, wanted)
    return Run.from_record(rows[0])


def _by_id(store: Store, run_id: str) -> Sequence[Record]:
    # The value is taken only where it is of the revision that stands: a run that was erased, or stored before there
    # were values, must be told as the view tells it.
    rows = store.ask(
        "SELECT document FROM run_texts WHERE run_id = {run_id:String}"
        " AND revision = (SELECT max(revision) FROM runs WHERE run_id = {run_id:String})",
        {"run_id": run_id},
        is_small=True,
    )
    if rows:
        return [record_of(str(row["document"])) for row in rows]
    return store.ask("SELECT * FROM runs WHERE run_id = {run_id:String}", {"run_id": run_id})


def runs_by_id(store: Store, run_ids: Sequence[str]) -> dict[str, Run]:
    """The runs of whole ids that are there, by id; in few questions however many they are."""
    found: dict[str, Run] = {}
    for start in range(0, len(run_ids), _BULK):
        part = list(run_ids[start : start + _BULK])
        rows = store.ask("SELECT * FROM runs WHERE run_id IN {run_ids:Array(String)}", {"run_ids": part})
        found |= {run.run_id: run for run in map(Run.from_record, rows)}
    return found


def _by_prefix(store: Store, prefix: str) -> Sequence[Record]:
    ids = store.ask(
        "SELECT run_id FROM runs WHERE startsWith(run_id, {prefix:String}) ORDER BY run_id LIMIT {limit:UInt32}",
        {"prefix": prefix, "limit": _SHOWN_CANDIDATES + 1},
    )
    candidates = [str(row["run_id"]) for row in ids]
    if len(candidates) > 1:
        more = ", …" if len(candidates) > _SHOWN_CANDIDATES else ""
        raise NotFound(
            f"Several runs begin with {prefix}: {', '.join(candidates[:_SHOWN_CANDIDATES])}{more}.",
            hint="Give more of the id.",
        )
    if not candidates:
        return []
    return _by_id(store, candidates[0])


def _not_there(store: Store, text: str) -> NotFound:
    still_open = open_run(store, text)
    if still_open is None:
        shown = f"No run has the id {text}." if len(text) == 32 else f"No run's id begins with {text}."
        return NotFound(shown, hint="causeline runs --id TEXT finds runs by any part of their id.")
    return NotFound(
        f"Run {still_open.run_id} is not joined yet: {still_open.events} of its events are in,"
        f" the last of {still_open.last_seen:%Y-%m-%d %H:%M:%S} UTC.",
        hint="An unfinished run is closed 60 s after its last event; `causeline status` shows whether workers lag.",
    )


def open_run(store: Store, text: str) -> OpenRun | None:
    """A run whose id begins with `text`, told from its events alone; None where there are none."""
    rows = store.ask(
        "SELECT run_id, count() AS events, max(occurred_at) AS last_seen FROM events"
        " WHERE startsWith(run_id, {prefix:String}) GROUP BY run_id ORDER BY run_id LIMIT 1",
        {"prefix": text},
    )
    if not rows:
        return None
    return OpenRun(str(rows[0]["run_id"]), _int(rows[0]["events"]), cast("datetime", rows[0]["last_seen"]))


def gaps_of(store: Store, run_id: str) -> list[LiveGap]:
    """The gaps of a run as they were told while it was live, oldest first."""
    rows = store.ask(
        "SELECT event_id, kind, field_path, provenance_score, threshold, next_step, decided_next_step FROM gaps"
        " WHERE run_id = {run_id:String} ORDER BY occurred_at, gap_id",
        {"run_id": run_id},
    )
    return [LiveGap(**cast("dict[str, Any]", row)) for row in rows]


def events_of(store: Store, run_id: str, *, limit: int = 10_000) -> list[Record]:
    """The events of a run in the order they came true; fields that an event does not say are left out."""
    rows = store.ask(
        "SELECT * FROM events WHERE run_id = {run_id:String}"
        " ORDER BY occurred_at, emitter_id, seq LIMIT {limit:UInt32}",
        {"run_id": run_id, "limit": limit},
    )
    return [{name: value for name, value in row.items() if value not in (None, [], {}, "")} for row in rows]


def counts(store: Store) -> Counts:
    """How many rows each public view has."""
    views = ("events", "runs", "steps", "gaps", "reviews", "dead_letters")
    columns = ", ".join(f"(SELECT count() FROM {view}) AS {view}" for view in views)  # noqa: S608 - constants
    row: Mapping[str, object] = store.ask(f"SELECT {columns}")[0]
    return Counts(**{view: _int(row[view]) for view in views})


def _int(value: object) -> int:
    return int(cast("int", value))

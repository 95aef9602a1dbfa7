"""What the console asks of the store, and the typed answers; over the public views only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from causeline.console.answers import LiveGap, OpenRun, Record, RowCounts
from causeline.console.run_cache import RunCache
from causeline.console.run_filter import RunFilter, id_text
from causeline.console.store import Store
from causeline.schemas.errors import NotFound
from causeline.schemas.run import Run

_SHOWN_CANDIDATES = 5
_BULK = 500


def runs_by_part(store: Store, text: str, *, limit: int) -> list[str]:
    """Ids of runs of which `text` is the id, its end, its beginning or, where there is none such, any part."""
    part = id_text(text)
    if len(part) == 32:
        sql = "SELECT run_id FROM runs WHERE run_id = {part:String} LIMIT {limit:UInt32}"
        return [str(row["run_id"]) for row in store.ask(sql, {"part": part, "limit": limit}, is_small=True)]
    tests = (
        "endsWith(run_id, {part:String})",
        "startsWith(run_id, {part:String})",
        "position(run_id, {part:String}) > 0",
    )
    for test in tests:
        sql = (
            f"SELECT run_id FROM run_order WHERE {test} GROUP BY run_id"  # noqa: S608 - constants
            " ORDER BY max(started_at) DESC LIMIT {limit:UInt32}"
        )
        if found := [str(row["run_id"]) for row in store.ask(sql, {"part": part, "limit": limit})]:
            return found
    return []


def workflows(store: Store) -> list[str]:
    """The workflows of the last weeks by name, at most 200: told from counts, so that no run is read."""
    rows = store.ask(
        "SELECT DISTINCT workflow FROM rollups WHERE window_start > now() - INTERVAL 30 DAY ORDER BY 1 LIMIT 200"
    )
    return [str(row["workflow"]) for row in rows]


def last_good_run(store: Store, workflow: str, but: str) -> str | None:
    """The newest run of a workflow, another than `but`, that answered without error, gap, fallback or correction."""
    rows = store.ask(
        "SELECT run_id FROM runs WHERE workflow = {workflow:String} AND run_id != {but:String} AND verdict = 'complete'"
        " AND final_state = 'answered' AND ifNull(status, 'ok') != 'error' AND empty(gap_kinds)"
        " AND fallback_taken IS NULL AND ifNull(review_outcome, 'approved') = 'approved'"
        " ORDER BY started_at DESC LIMIT 1",
        {"workflow": workflow, "but": but},
    )
    return str(rows[0]["run_id"]) if rows else None


@dataclass(frozen=True, slots=True)
class SpanCounts:
    """Runs of a time span: how many, how many of them in trouble, and what they cost."""

    runs: int
    errors: int
    gaps: int
    incomplete: int
    cost_usd: float | None


def counts_since(store: Store, since_us: int) -> SpanCounts:
    """Counts over the runs that started then or later."""
    row = store.ask(
        "SELECT count() AS runs, countIf(status = 'error') AS errors, countIf(notEmpty(gap_kinds)) AS gaps,"
        " countIf(verdict != 'complete') AS incomplete, sumOrNull(cost_usd) AS cost_usd FROM runs"
        " WHERE started_at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')",
        {"since": since_us},
    )[0]
    return SpanCounts(**cast("dict[str, Any]", row))


def count_runs(store: Store, wanted: RunFilter) -> int:
    """How many runs there are of a filter."""
    condition = wanted.condition()
    rows = store.ask(f"SELECT count() AS runs FROM runs WHERE {condition.sql}", condition.parameters)  # noqa: S608 - as above
    return _int(rows[0]["runs"])


def run_by_id(store: Store, text: str, cache: RunCache | None = None) -> Run:
    """The run whose id is `text`, or begins or ends with it; raises MalformedId, or NotFound naming what there is.

    What an id ends with tells runs apart where its beginning, which is a time, does not. With a cache, a run whose
    stored text is still that of the kept one is not sent and read again, and is the same object.
    """
    wanted = id_text(text)
    run = _by_id(store, wanted, cache) if len(wanted) == 32 else _by_part(store, wanted, cache)
    if run is None:
        raise _not_there(store, wanted)
    return run


def _by_id(store: Store, run_id: str, cache: RunCache | None) -> Run | None:
    # The value is taken only where it is of the revision that stands: a run that was erased, or stored before there
    # were values, must be told as the view tells it.
    kept = cache.get(run_id) if cache else None
    digest = "lower(hex(sipHash128(document)))" if cache else "''"
    rows = store.ask(
        f"SELECT {digest} AS digest, if({digest} = {{known:String}}, '', document) AS text FROM run_texts"  # noqa: S608 - constants
        " WHERE run_id = {run_id:String}"
        " AND revision = (SELECT max(revision) FROM runs WHERE run_id = {run_id:String})",
        {"run_id": run_id, "known": kept[0] if kept else "none"},
        is_small=True,
    )
    if not rows:
        rows = store.ask("SELECT * FROM runs WHERE run_id = {run_id:String}", {"run_id": run_id})
        return Run.from_record(rows[0]) if rows else None
    if kept is not None and rows[0]["digest"] == kept[0]:
        return kept[1]
    from causeline.console.run_text import record_of  # noqa: PLC0415 - Avro, which a list of runs goes without

    run = Run.from_record(record_of(str(rows[0]["text"])))
    if cache is not None:
        cache.put(str(rows[0]["digest"]), run)
    return run


def runs_by_id(store: Store, run_ids: Sequence[str]) -> dict[str, Run]:
    """The runs of whole ids that are there, by id; in few questions however many they are."""
    found: dict[str, Run] = {}
    for start in range(0, len(run_ids), _BULK):
        part = list(run_ids[start : start + _BULK])
        rows = store.ask("SELECT * FROM runs WHERE run_id IN {run_ids:Array(String)}", {"run_ids": part})
        found |= {run.run_id: run for run in map(Run.from_record, rows)}
    return found


def revisions_of(store: Store, run_ids: Sequence[str]) -> dict[str, int]:
    """The standing revision of each of these runs, as far as they are stored: nothing else of them is read."""
    return {
        str(row["run_id"]): _int(row["revision"])
        for place in range(0, len(run_ids), _BULK)
        for row in store.ask(
            "SELECT run_id, revision FROM runs WHERE run_id IN {run_ids:Array(String)}",
            {"run_ids": list(run_ids[place : place + _BULK])},
        )
    }


def _by_part(store: Store, part: str, cache: RunCache | None) -> Run | None:
    """By how the id begins, which its key finds; else by how it ends, for which every id is looked at."""
    for place, said in (("startsWith", "begin"), ("endsWith", "end")):
        ids = store.ask(
            f"SELECT run_id FROM runs WHERE {place}(run_id, {{part:String}})"  # noqa: S608 - one of two words
            " ORDER BY run_id LIMIT {limit:UInt32}",
            {"part": part, "limit": _SHOWN_CANDIDATES + 1},
        )
        candidates = [str(row["run_id"]) for row in ids]
        if len(candidates) > 1:
            more = ", …" if len(candidates) > _SHOWN_CANDIDATES else ""
            raise NotFound(
                f"Several runs {said} with {part}: {', '.join(candidates[:_SHOWN_CANDIDATES])}{more}.",
                hint="Give more of the id.",
            )
        if candidates:
            return _by_id(store, candidates[0], cache)
    return None


def _not_there(store: Store, text: str) -> NotFound:
    still_open = open_run(store, text)
    if still_open is None:
        shown = f"No run has the id {text}." if len(text) == 32 else f"No run's id begins or ends with {text}."
        return NotFound(shown, hint="causeline runs --id TEXT finds runs by any part of their id.")
    return NotFound(
        f"Run {still_open.run_id} is not joined yet: {still_open.events} of its events are in,"
        f" the last of {still_open.last_seen:%Y-%m-%d %H:%M:%S} UTC.",
        hint=(
            "Its end is stored, so a worker should have joined it within seconds: `causeline status` shows whether"
            f" workers lag, `causeline amend {still_open.run_id}` joins it from what is stored."
            if still_open.has_ended
            else "A run without an end is closed when nothing of it has come for 60 s, or as its policy says;"
            " `causeline status` shows whether workers lag."
        ),
    )


def open_run(store: Store, text: str) -> OpenRun | None:
    """A run whose id begins with `text`, told from its events alone; None where there are none."""
    rows = store.ask(
        "SELECT run_id, count() AS events, max(occurred_at) AS last_seen,"
        " countIf(event_type = 'run_finished') > 0 AS has_ended FROM events"
        " WHERE startsWith(run_id, {prefix:String}) GROUP BY run_id ORDER BY run_id LIMIT 1",
        {"prefix": text},
    )
    if not rows:
        return None
    return OpenRun(
        str(rows[0]["run_id"]),
        _int(rows[0]["events"]),
        cast("datetime", rows[0]["last_seen"]),
        bool(rows[0]["has_ended"]),
    )


def mark_of(store: Store, run_id: str) -> str:
    """What changes whenever a run's record does (see `mark`); empty where there is none."""
    rows = store.ask(
        "SELECT revision, toUnixTimestamp64Micro(closed_at) AS closed_us FROM runs WHERE run_id = {run_id:String}",
        {"run_id": run_id},
        is_small=True,
    )
    return f"{_int(rows[0]['revision'])}.{_int(rows[0]['closed_us'])}" if rows else ""


def mark(run: Run) -> str:
    """The mark of a record as it stands: `revision.closed_us`."""
    return f"{run.revision}.{round(run.closed_at.timestamp() * 1e6) if run.closed_at else 0}"


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


def counts(store: Store) -> RowCounts:
    """How many rows each public view has."""
    views = ("events", "runs", "steps", "gaps", "reviews", "causes", "dead_letters")
    columns = ", ".join(f"(SELECT count() FROM {view}) AS {view}" for view in views)  # noqa: S608 - constants
    row: Mapping[str, object] = store.ask(f"SELECT {columns}")[0]
    return RowCounts(**{view: _int(row[view]) for view in views})


def _int(value: object) -> int:
    return int(cast("int", value))

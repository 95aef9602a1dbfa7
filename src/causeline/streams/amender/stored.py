"""What the store holds of runs: their events, to be assembled again, and where their record stands."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from causeline.schemas.decisions import DECISIONS as DECISION_TYPES
from causeline.streams.runs import contract
from causeline.streams.runs.assemble import CANONICAL_ORDER
from causeline.streams.runs.shapes import event_columns


class Arrow(Protocol):
    """Where the store's rows come from."""

    def arrow(self, sql: str, parameters: Mapping[str, object]) -> bytes:
        """The rows of a SELECT as an Arrow IPC stream. Raises CauselineError, Unreachable among it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a run stands in the store. `revision` 0: no record of it was published, or none has arrived yet."""

    run_id: str
    events: int
    """Its events that the store shows."""
    seen: bool
    """Whether one of the events asked about is among them."""
    awaited: int = 0
    """Events that its record counts and the store does not show yet: decisions come by a way of their own, and may be
    there before the last of the run's own events, so that the mere numbers agree."""
    newest_us: int = 0
    """When the newest of them came true, microseconds."""
    revision: int = 0
    source_partition: int | None = None
    first_offset: int | None = None
    last_offset: int | None = None
    close_reason: str = ""
    closed_at_us: int = 0
    missing: tuple[str, ...] = ()


_STANDINGS = """
SELECT run_id, events, seen, greatest(0, revision - decided - others) AS awaited, newest_us,
       revision, source_partition, first_offset, last_offset, close_reason,
       toUnixTimestamp64Micro(closed_at) AS closed_at_us, missing
FROM
(
    SELECT run_id, toInt64(count()) AS events,
           toInt64(countIf(event_type NOT IN {decisions:Array(String)})) AS others,
           countIf(has({marks:Array(String)}, event_id)) > 0 AS seen,
           toUnixTimestamp64Micro(max(occurred_at)) AS newest_us
    FROM events WHERE run_id IN {run_ids:Array(String)} GROUP BY run_id
) AS counted
LEFT JOIN
(
    SELECT run_id, revision, source_partition, first_offset, last_offset, toString(close_reason) AS close_reason,
           closed_at, missing, toInt64(length(reviews) + length(evals)) AS decided
    FROM runs WHERE run_id IN {run_ids:Array(String)} ORDER BY revision DESC LIMIT 1 BY run_id
) AS record USING (run_id)
"""
_UNSETTLED = """
SELECT run_id FROM runs
WHERE amended AND arrayExists(lacked -> lacked = 'start' OR startsWith(lacked, 'parent:'), missing)
  AND closed_at > now64(6) - toIntervalSecond({window_s:UInt32})
  AND source_partition IN {partitions:Array(Int32)}
ORDER BY closed_at DESC LIMIT {limit:UInt32}
"""
_GAPS = """
SELECT run_id, ifNull(gap.event_id, '') AS event_id, ifNull(toString(gap.kind), '') AS kind,
       ifNull(toString(gap.next_step), '') AS next_step
FROM runs ARRAY JOIN gaps AS gap WHERE run_id IN {run_ids:Array(String)}
"""
_STARTED = """
SELECT run_id FROM runs
WHERE started_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')
  AND (empty({workflows:Array(String)}) OR has({workflows:Array(String)}, workflow))
ORDER BY started_at, run_id LIMIT {limit:UInt32}
"""
_ORDER = ", ".join(CANONICAL_ORDER)


class Stored:
    """Reads runs and events of the public views, a bounded number at a time."""

    def __init__(self, source: Arrow) -> None:
        self._source = source

    def standings(self, run_ids: Sequence[str], marks: Sequence[str] = ()) -> dict[str, Standing]:
        """Where each run of which there is an event stands; `marks` are ids of events that are waited for."""
        if not run_ids:
            return {}
        rows = self._frame(
            _STANDINGS, {"run_ids": list(run_ids), "marks": list(marks), "decisions": sorted(DECISION_TYPES)}
        )
        return {
            row["run_id"]: Standing(
                run_id=row["run_id"],
                events=row["events"],
                seen=bool(row["seen"]),
                awaited=row["awaited"],
                newest_us=row["newest_us"],
                revision=row["revision"],
                source_partition=row["source_partition"],
                first_offset=row["first_offset"],
                last_offset=row["last_offset"],
                close_reason=row["close_reason"],
                closed_at_us=row["closed_at_us"],
                missing=tuple(row["missing"]),
            )
            for row in rows.iter_rows(named=True)
        }

    def events(self, run_ids: Sequence[str], *, at_most: int) -> pl.DataFrame:
        """The events of `run_ids` with the columns of a TraceEvent; of each run its ends and the first, `at_most`.

        The contract is asked here too: a table may hold what was stored before a rule was there. Where such a rule
        is about what may come in, and nothing of a run is misled by it, what is there stays.
        """
        columns = ", ".join(_read(name) for name in event_columns())
        sql = (
            f"SELECT {columns} FROM events WHERE run_id IN {{run_ids:Array(String)}}"  # noqa: S608 - constants
            f" ORDER BY run_id, event_type NOT IN ('run_started', 'run_finished'), {_ORDER}"
            " LIMIT {at_most:UInt32} BY run_id"
        )
        frame = self._frame(sql, {"run_ids": list(run_ids), "at_most": at_most})
        events = frame.cast(pl.Schema(event_columns()))
        return events.filter(contract.valid(events, stored=True))

    def unsettled(self, partitions: Sequence[int], *, window_s: int, limit: int) -> list[str]:
        """Runs of `partitions` that were amended within the window and whose start, or a parent, was never seen."""
        rows = self._frame(_UNSETTLED, {"partitions": list(partitions), "window_s": window_s, "limit": limit})
        return list(rows["run_id"])

    def gaps(self, run_ids: Sequence[str]) -> dict[str, list[tuple[str, str, str]]]:
        """By run the gaps of its record: evidence event, kind, next step. A run without any is left out."""
        found: dict[str, list[tuple[str, str, str]]] = {}
        for run_id, *gap in self._frame(_GAPS, {"run_ids": list(run_ids)}).iter_rows():
            found.setdefault(run_id, []).append((gap[0], gap[1], gap[2]))
        return found

    def started(self, since_us: int, workflows: Sequence[str], *, limit: int) -> list[str]:
        """Runs that started then or later, the oldest first; of `workflows`, or of all when there are none."""
        rows = self._frame(_STARTED, {"since_us": since_us, "workflows": list(workflows), "limit": limit})
        return list(rows["run_id"])

    def _frame(self, sql: str, parameters: Mapping[str, object]) -> pl.DataFrame:
        return pl.read_ipc_stream(io.BytesIO(self._source.arrow(sql, parameters)))


def _read(name: str) -> str:
    # A map has no one type among readers of Arrow; pairs have.
    return f"CAST({name}, 'Array(Tuple(key String, value String))') AS {name}" if name == "labels" else name

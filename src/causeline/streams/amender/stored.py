"""What the store holds of runs: their events, to be assembled again, and where their record stands."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, Final, NamedTuple, Protocol

from causeline.schemas.contract import RULES, Form, broken_by
from causeline.schemas.decisions import DECISIONS as DECISION_TYPES
from causeline.streams.definition.records import Event
from causeline.streams.runs.core import Core, Part


class Rows(Protocol):
    """Where the store's rows come from."""

    def rows(self, sql: str, parameters: Mapping[str, object]) -> Iterator[Sequence[Any]]:
        """The rows of a SELECT, as they come: an array is a list, a tuple with names a dict.

        Raises CauselineError, Unreachable among it.
        """
        ...


class Standing(NamedTuple):
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


_STANDINGS = """
SELECT run_id, events, seen, greatest(0, revision - decided - others) AS awaited, newest_us,
       revision, source_partition, first_offset, last_offset, close_reason
FROM
(
    SELECT run_id, toInt64(count()) AS events,
           toInt64(countIf(event_type NOT IN {decisions:Array(String)})) AS others,
           toBool(countIf(has({marks:Array(String)}, event_id)) > 0) AS seen,
           toUnixTimestamp64Micro(max(occurred_at)) AS newest_us
    FROM events WHERE run_id IN {run_ids:Array(String)} GROUP BY run_id
) AS counted
LEFT JOIN
(
    SELECT run_id, revision, source_partition, first_offset, last_offset, toString(close_reason) AS close_reason,
           toInt64(length(reviews) + length(evals)) AS decided
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
_TIMES: Final = frozenset(name for rule in RULES if rule.form is Form.MOMENT for name in rule.columns)


def _read(name: str) -> str:
    """A column as an event has it: times are microseconds, labels are pairs."""
    if name in _TIMES:
        return f"toUnixTimestamp64Micro({name})"
    return f"CAST({name}, 'Array(Tuple(key String, value String))')" if name == "labels" else name


_EVENTS: Final = f"""
SELECT {", ".join(map(_read, Event._fields))}
FROM events WHERE run_id IN {{run_ids:Array(String)}}
ORDER BY run_id, event_type NOT IN ('run_started', 'run_finished'), occurred_at, emitter_id, seq, event_id
LIMIT {{at_most:UInt32}} BY run_id
"""  # noqa: S608 - constants


_EVENTS_A_PART = 1_000
"""So many events of a run are held as they were read; a core keeps them in less."""


class Stored:
    """Reads runs and events of the public views, a bounded number at a time."""

    def __init__(self, source: Rows) -> None:
        self._rows = source.rows

    def standings(self, run_ids: Sequence[str], marks: Sequence[str] = ()) -> dict[str, Standing]:
        """Where each run of which there is an event stands; `marks` are ids of events that are waited for."""
        if not run_ids:
            return {}
        parameters = {"run_ids": list(run_ids), "marks": list(marks), "decisions": sorted(DECISION_TYPES)}
        return {each.run_id: each for each in map(Standing._make, self._rows(_STANDINGS, parameters))}

    def parts(self, run_ids: Sequence[str], *, at_most: int, core: Core) -> dict[str, list[Part]]:
        """The events of `run_ids` by run; of each its ends and the first, `at_most`. A run without any is left out.

        The contract is asked here too: a table may hold what was stored before a rule was there. Where such a rule
        is about what may come in, and nothing of a run is misled by it, what is there stays.
        """
        found: dict[str, list[Part]] = {}
        rows = self._rows(_EVENTS, {"run_ids": list(run_ids), "at_most": at_most})
        sound = (event for event in map(Event._make, rows) if broken_by(event._asdict(), stored=True) is None)
        for run_id, events in groupby(sound, key=attrgetter("run_id")):
            while some := list(islice(events, _EVENTS_A_PART)):  # a run may have more than anybody wants to hold
                found.setdefault(run_id, []).append(core.part_of(some))
        return found

    def unsettled(self, partitions: Sequence[int], *, window_s: int, limit: int) -> list[str]:
        """Runs of `partitions` that were amended within the window and whose start, or a parent, was never seen."""
        parameters = {"partitions": list(partitions), "window_s": window_s, "limit": limit}
        return [run_id for (run_id,) in self._rows(_UNSETTLED, parameters)]

    def gaps(self, run_ids: Sequence[str]) -> dict[str, list[tuple[str, str, str]]]:
        """By run the gaps of its record: evidence event, kind, next step. A run without any is left out."""
        found: dict[str, list[tuple[str, str, str]]] = {}
        for run_id, *gap in self._rows(_GAPS, {"run_ids": list(run_ids)}):
            found.setdefault(run_id, []).append((gap[0], gap[1], gap[2]))
        return found

    def started(self, since_us: int, workflows: Sequence[str], *, limit: int) -> list[str]:
        """Runs that started then or later, the oldest first; of `workflows`, or of all when there are none."""
        parameters = {"since_us": since_us, "workflows": list(workflows), "limit": limit}
        return [run_id for (run_id,) in self._rows(_STARTED, parameters)]

"""The oracle for many millions of events: the same letters C, D, I and E over arrays of numbers instead of ids.

An id stands as the number of its last 16 hex digits, 62 bits of which are drawn at random.
"""

import threading
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.settings import EmitterSettings
from causeline.runtime.clickhouse import clickhouse_client
from causeline.stack.endpoints import Endpoints
from tests.faults.oracle import Violation

Numbers = npt.NDArray[np.uint64]
_NUMBER_OF = "reinterpretAsUInt64(reverse(unhex(right({column}, 16))))"
_SHOWN = 20
_PARTS = 8
_PATIENCE_S = 300.0


def number_of(identity: str) -> int:
    """The number that an id of 32 hex digits stands as."""
    return int(identity[16:], 16)


@dataclass(frozen=True, slots=True)
class CompactLedger:
    """Each emitted event and, at the same place, its run; and what was acknowledged."""

    events: Numbers
    runs: Numbers
    acknowledged: Numbers


@dataclass(frozen=True, slots=True)
class CompactSeen:
    """All rows of the events view, and of the runs view their ids, event counts, and whether they are complete."""

    events: Numbers
    runs: Numbers
    counts: Numbers
    complete: npt.NDArray[np.bool_]


class CountingEmitter(Emitter):
    """An emitter with a ledger of numbers; emit from one thread."""

    def __init__(self, endpoints: Endpoints, **settings: object) -> None:
        self._lock = threading.Lock()
        self._events, self._runs, self._acknowledged = array("Q"), array("Q"), array("Q")
        super().__init__(
            EmitterSettings.model_validate({"topic_prefix": endpoints.topic_prefix, **settings}),
            kafka=endpoints.kafka(),
            on_delivered=self._note,
        )

    def emit(self, run_id: str, event_id: str, item: bytes) -> bool:
        """Note the event, then take it."""
        self._events.append(number_of(event_id))
        self._runs.append(number_of(run_id))
        return super().emit(run_id, event_id, item)

    def ledger(self) -> CompactLedger:
        """As of now."""
        with self._lock:
            return CompactLedger(
                *(np.array(each, dtype=np.uint64) for each in (self._events, self._runs, self._acknowledged))
            )

    def _note(self, event_ids: Sequence[str]) -> None:
        with self._lock:
            self._acknowledged.extend(map(number_of, event_ids))


def read_compact(endpoints: Endpoints, project: str) -> CompactSeen:
    """The views of `project`, as numbers."""
    mine = {"p": project}
    with clickhouse_client(endpoints.clickhouse(), timeout_s=_PATIENCE_S) as client:
        events = []
        for part in range(_PARTS):
            asked = f"SELECT {_NUMBER_OF.format(column='event_id')} FROM events WHERE project = {{p:String}}"
            asked += f" AND cityHash64(event_id) % {_PARTS} = {part}"
            events += [np.array(each, np.uint64) for each in client.query(asked, parameters=mine).result_columns[:1]]
        asked = f"SELECT {_NUMBER_OF.format(column='run_id')}, events, verdict = 'complete' AND events_lost = 0"
        columns = client.query(f"{asked} FROM runs WHERE project = {{p:String}}", parameters=mine).result_columns
    runs, counts, complete = columns or ([], [], [])
    return CompactSeen(
        np.concatenate(events or [np.empty(0, np.uint64)]),
        np.array(runs, np.uint64),
        np.array(counts, np.uint64),
        np.array(complete, np.bool_),
    )


def judge_compact(ledger: CompactLedger, seen: CompactSeen) -> list[Violation]:
    """Violations of C, D, I and E, at most some twenty of each kind; empty when all promises are kept."""
    found = _violations("C", _missing(ledger.acknowledged, seen.events), "an acknowledged event is not visible")
    for what, ids in (("event", seen.events), ("run", seen.runs)):
        distinct, times = np.unique(ids, return_counts=True)
        found += _violations("D", distinct[times > 1], f"this {what} is shown more than once")
    found += _violations("I", _missing(seen.events, ledger.events), "an event that nobody emitted")
    found += _violations("I", _missing(seen.runs, ledger.runs), "a run that nobody began")
    return found + _run_differences(ledger, seen)


def _run_differences(ledger: CompactLedger, seen: CompactSeen) -> list[Violation]:
    runs, emitted = np.unique(ledger.runs, return_counts=True)
    sure = np.isin(ledger.events, ledger.acknowledged)
    partly_unsure, partly_sure = np.unique(ledger.runs[~sure]), np.unique(ledger.runs[sure])
    order = np.argsort(seen.runs)
    shown, counts, complete = seen.runs[order], seen.counts[order], seen.complete[order]
    place = np.searchsorted(shown, runs)
    there = place < len(shown)
    there[there] = shown[place[there]] == runs[there]
    right = np.zeros(len(runs), np.bool_)
    right[there] = complete[place[there]] & (counts[place[there]] == emitted[there].astype(np.uint64))
    wrong = runs[np.where(there, ~right & ~np.isin(runs, partly_unsure), np.isin(runs, partly_sure))]
    return _violations("E", wrong, "an acknowledged run is not there, not complete, or of another length")


def _missing(wanted: Numbers, there: Numbers) -> Numbers:
    return np.setdiff1d(wanted, there)


def _violations(letter: str, ids: Numbers, what: str) -> list[Violation]:
    return [Violation(letter, f"…{int(each):016x}", f"{what} ({len(ids)} such)") for each in ids[:_SHOWN]]

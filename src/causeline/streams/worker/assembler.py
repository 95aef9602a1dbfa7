"""The assembler: takes events as they come, and gives each run when its time has come. No I/O; the clock is given.

A run is closed at once when its end, its start and all that its emitters say they sent are in; else, once its end was
seen, after a short grace; else when it is idle for too long, open for too long, or larger than a run may be. What an
event costs does not grow with the number of open runs: each run is a small record that knows its events, and the
queues by age, one for each wait that a policy asks for, are ordered by construction.

Decided in ADRs 9 and 11.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.vocabulary import CloseReason
from causeline.streams.runs.core import Core, Part, Share, Written
from causeline.streams.worker.ages import Ages
from causeline.streams.worker.coverage import Coverage
from causeline.streams.worker.held import OpenRun, RunKey
from causeline.streams.worker.settings import Limits

_CLOSED_AT_ONCE = 10_000
"""Runs of about so many events are closed in one call: the caller has other things to do in between."""
_FEW = 8
"""So many parts of fewer events become one: a part by itself takes as much memory as the events of some."""


class Fragment(NamedTuple):
    """The events of a run whose start was never seen."""

    key: RunKey
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Closed:
    """What one call of `close` gives.

    `written` are the runs, each with the partition it came from. `fragments` are the runs that closed without their
    start ever seen: what they belong to may be closed already, so they are not runs of their own. `keys` are all the
    runs closed.
    """

    written: Sequence[tuple[int, Written]]
    fragments: Sequence[Fragment]
    keys: tuple[RunKey, ...]
    duplicates: int
    conflicting: int
    too_large: int = 0
    """Of the runs, those closed because they have as many events as a run may have."""
    crowded_out: int = 0
    """Those closed because more events are open than may be."""
    are_more_due: bool = False
    """Whether another call gives more at once."""


class Assembler:
    """Joins the events of many partitions into runs. Times are microseconds, by a clock that never goes back."""

    def __init__(self, limits: Limits, policy: Policy = DEFAULT_POLICY, *, core: Core) -> None:
        self._limits = limits
        self._core = core
        self.policy = policy
        """Judges the runs that close from now on."""
        self._open: dict[RunKey, OpenRun] = {}  # longest open first
        self._ended = Ages(_ended_at)  # their end is seen, something is missing
        self._idle = Ages(_seen_at)
        self._aging = Ages(_opened_at)
        self._due: dict[RunKey, CloseReason] = {}
        self._crowded_out: set[RunKey] = set()
        self._duplicates = 0
        self._conflicting = 0
        self.open_events = 0
        """Events held for runs that are open."""

    @property
    def open_runs(self) -> int:
        """Runs that are open."""
        return len(self._open)

    @property
    def due_events(self) -> int:
        """Events of runs that the next `close` gives whatever the time is."""
        return sum(self._open[key].events for key in self._due)

    def holds(self, key: RunKey) -> bool:
        """Whether the run is open."""
        return key in self._open

    def take(self, shares: Iterable[Share], now_us: int) -> None:
        """Take in what messages hold of runs."""
        touched: dict[RunKey, OpenRun] = {}
        for share in shares:
            run = self._touch((share.partition, share.run_id), share.workflow, now_us)
            touched[run.key] = run
            self._note(run, share, now_us)
            if _cover(run, share.emitter_id, share.seqs):
                self._hold(run, share.part, share.steps)
                if run.known is not None:
                    run.known.take(share.part)
            else:
                self._take_new(run, share.part)
        for run in touched.values():
            self._file(run)
        self._bound()

    def close(self, now_us: int) -> Closed:
        """The runs whose time has come, or of many the first."""
        due: dict[RunKey, CloseReason] = {}
        events = 0
        for key, reason in self._all_due(now_us):
            if key in due:
                continue
            if events >= _CLOSED_AT_ONCE:
                return self._give(due, now_us, are_more_due=True)
            due[key] = reason
            events += self._open[key].events
        return self._give(due, now_us, are_more_due=False)

    def _all_due(self, now_us: int) -> Iterator[tuple[RunKey, CloseReason]]:
        yield from self._due.items()
        for ages, reason in self._ages():
            yield from ((key, reason) for key in ages.due(now_us))

    def next_deadline_us(self) -> int | None:
        """When `close` has something to give, if nothing more comes; None when no run is open."""
        if self._due:
            return 0
        moments = (ages.next_us() for ages, _ in self._ages())
        return min((moment for moment in moments if moment is not None), default=None)

    def forget(self, partitions: Collection[int] | None = None) -> None:
        """Drop all that is held of `partitions`, or of all: another worker reads them anew."""
        gone = [run for key, run in self._open.items() if partitions is None or key[0] in partitions]
        self._remove(gone)

    def _ages(self) -> tuple[tuple[Ages, CloseReason], ...]:
        """Each age, and the reason of a close by it."""
        return (
            (self._ended, CloseReason.GRACE),
            (self._idle, CloseReason.IDLE),
            (self._aging, CloseReason.MAX_OPEN),
        )

    # --- taking in

    def _touch(self, key: RunKey, workflow: str, now_us: int) -> OpenRun:
        run = self._open.get(key)
        if run is None:
            return self._opened(key, workflow, now_us)
        run.seen_at_us = now_us
        self._idle.renew(run, run.idle_us)
        return run

    def _opened(self, key: RunKey, workflow: str, now_us: int) -> OpenRun:
        """A new run; how long it may wait is what the policy says now, whatever it says later."""
        rules = self.policy.rules(workflow)
        run = self._open[key] = OpenRun(
            key,
            now_us,
            idle_us=_micros(rules.idle_timeout_s) or self._limits.idle_timeout_us,
            max_open_us=_micros(rules.max_open_s) or self._limits.max_open_us,
        )
        self._idle.put(run, run.idle_us)
        self._aging.put(run, run.max_open_us)
        return run

    def _note(self, run: OpenRun, share: Share, now_us: int) -> None:
        run.started = run.started or share.starts > 0
        if share.ends:
            coverage = run.coverage.setdefault(share.emitter_id, Coverage())
            coverage.expected = max(coverage.expected, share.expected_events or 0)
            run.open_ended = run.open_ended or share.expected_events is None
            run.expected_steps = max(run.expected_steps, share.expected_steps)
            if run.ended_at_us is None:
                run.ended_at_us = now_us

    def _take_new(self, run: OpenRun, part: Part) -> None:
        """Of events some of whose sequence numbers are held already, take in those that are not."""
        if run.known is None:
            run.known = self._core.known()
            for held in run.parts:
                run.known.take(held)
        fresh = run.known.take(part)
        self._duplicates += fresh.duplicates
        self._conflicting += fresh.conflicting
        if fresh.part is not None:
            self._hold(run, fresh.part, fresh.steps)

    def _hold(self, run: OpenRun, part: Part, steps: int) -> None:
        run.hold(part, steps)
        self.open_events += len(part)
        small = run.parts[-_FEW:]
        if len(small) == _FEW and all(len(each) < _FEW for each in small):
            run.parts[-_FEW:] = [self._core.together(small)]

    def _file(self, run: OpenRun) -> None:
        if run.events >= self._limits.max_run_events:
            self._due[run.key] = CloseReason.OVERFLOW
        elif run.is_whole:
            self._due.setdefault(run.key, CloseReason.FINISHED)
        elif run.ended_at_us is not None:
            self._ended.put(run, self._limits.grace_us)

    def _bound(self) -> None:
        excess = self.open_events - self._limits.max_open_events
        if excess <= 0:
            return
        excess -= self.due_events
        for key, run in self._open.items():
            if excess <= 0:
                return
            if key not in self._due:
                self._due[key] = CloseReason.OVERFLOW
                self._crowded_out.add(key)
                excess -= run.events

    # --- giving

    def _give(self, due: dict[RunKey, CloseReason], now_us: int, *, are_more_due: bool) -> Closed:
        duplicates, conflicting = self._duplicates, self._conflicting
        self._duplicates = self._conflicting = 0
        runs = [self._open[key] for key in due]
        written = [(run.key[0], self._written(run, due[run.key], now_us)) for run in runs if run.started]
        fragments = [Fragment(run.key, run.parts) for run in runs if not run.started]
        overflowed = [key for key, reason in due.items() if reason is CloseReason.OVERFLOW]
        crowded_out = sum(key in self._crowded_out for key in overflowed)
        self._remove(runs)
        return Closed(
            written,
            fragments,
            tuple(due),
            duplicates + sum(run.duplicates for _, run in written),
            conflicting + sum(run.conflicting for _, run in written),
            len(overflowed) - crowded_out,
            crowded_out,
            are_more_due,
        )

    def _written(self, run: OpenRun, reason: CloseReason, now_us: int) -> Written:
        return self._core.joined(run.parts, closed_at=now_us, reason=reason.value, policy=self.policy)

    def _remove(self, runs: list[OpenRun]) -> None:
        for run in runs:
            del self._open[run.key]
            self._idle.drop(run, run.idle_us)
            self._aging.drop(run, run.max_open_us)
            self._ended.drop(run, self._limits.grace_us)
            self._due.pop(run.key, None)
            self._crowded_out.discard(run.key)
            self.open_events -= run.events


def _cover(run: OpenRun, emitter_id: str, seqs: Sequence[int]) -> bool:
    """Note sequence numbers; True when none was held before, so that no event can be a repeat."""
    coverage = run.coverage.get(emitter_id)
    if coverage is None:
        coverage = run.coverage[emitter_id] = Coverage()
    distinct = set(seqs)
    low, high = min(seqs), max(seqs)
    if high - low + 1 == len(distinct):
        return coverage.add(low, high + 1) == len(seqs)
    return sum(coverage.add(seq, seq + 1) for seq in distinct) == len(seqs)


def _micros(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e6)


def _ended_at(run: OpenRun) -> int:
    return run.ended_at_us or 0


def _seen_at(run: OpenRun) -> int:
    return run.seen_at_us


def _opened_at(run: OpenRun) -> int:
    return run.opened_at_us

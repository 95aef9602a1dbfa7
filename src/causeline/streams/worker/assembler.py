"""The assembler: takes events as they come, and gives each run when its time has come. No I/O; the clock is given.

A run is closed at once when its end, its start and all that its emitters say they sent are in; else, once its end was
seen, after a short grace; else when it is idle for too long, open for too long, or larger than a run may be. What an
event costs does not grow with the number of open runs: each run is a small record that knows its rows, and the queues
by age, one for each wait that a policy asks for, are ordered by construction.

Decided in ADRs 9 and 11.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import polars as pl

from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.vocabulary import CloseReason, EventType
from causeline.streams.runs.assemble import assemble
from causeline.streams.runs.distinct import RUN, identities, repeats
from causeline.streams.runs.shapes import no_events, no_runs
from causeline.streams.worker.ages import Ages
from causeline.streams.worker.coverage import Coverage
from causeline.streams.worker.held import Chunk, OpenRun, RunKey, gather, let_go
from causeline.streams.worker.settings import Limits
from causeline.streams.worker.tally import Rows, Share, Tally, tally


@dataclass(frozen=True, slots=True)
class Closed:
    """What one call of `close` gives.

    `runs` has the columns of a Run. `fragments` are the events of runs that closed without their start ever seen:
    what they belong to may be closed already, so they are not runs of their own. `keys` are all the runs closed.
    """

    runs: pl.DataFrame
    fragments: pl.DataFrame
    keys: tuple[RunKey, ...]
    duplicates: int
    conflicting: int
    too_large: int = 0
    """Of the runs, those closed because they have as many events as a run may have."""
    crowded_out: int = 0
    """Those closed because more events are open than may be."""


class Assembler:
    """Joins the events of many partitions into runs. Times are microseconds, by a clock that never goes back."""

    def __init__(self, limits: Limits, policy: Policy = DEFAULT_POLICY) -> None:
        self._limits = limits
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

    def add(self, frame: pl.DataFrame, now_us: int) -> None:
        """Take in decoded events: `_partition`, `_offset` and the columns of a TraceEvent."""
        tallied = tally(frame)
        self.take(tallied, range(len(tallied.shares)), now_us)

    def take(self, tallied: Tally, wanted: Iterable[int], now_us: int) -> None:
        """Take in those shares of a tally whose places are `wanted`."""
        chunk = Chunk(tallied.frame)
        touched: dict[RunKey, OpenRun] = {}
        doubtful: list[tuple[OpenRun, Share, Rows]] = []
        for place in wanted:
            share, rows = tallied.shares[place], tallied.rows[place]
            run = self._touch((share.partition, share.run_id), share.workflow, now_us)
            touched[run.key] = run
            self._note(run, share, now_us)
            if _cover(run, share, rows, tallied.frame):
                run.hold(chunk, rows)
                run.steps += share.steps
                self.open_events += len(rows)
            else:
                doubtful.append((run, share, rows))
        if doubtful:
            self._take_new(doubtful, chunk)
        for run in touched.values():
            self._file(run)
        self._bound()

    def close(self, now_us: int) -> Closed:
        """The runs whose time has come."""
        due = dict(self._due)
        for ages, reason in self._ages():
            for key in ages.due(now_us):
                due.setdefault(key, reason)
        return self._give(due, now_us)

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
            run.expected_steps = max(run.expected_steps, share.expected_steps or 0)
            if run.ended_at_us is None:
                run.ended_at_us = now_us

    def _take_new(self, doubtful: list[tuple[OpenRun, Share, Rows]], chunk: Chunk) -> None:
        """Of shares whose sequence numbers are held already, take in the events that are not."""
        runs = list({run.key: run for run, _, _ in doubtful}.values())
        holding = [run for run in runs if run.pieces]
        # Those that hold something first: `gather` numbers by place, and what holds nothing has none to gather.
        runs = [*holding, *(run for run in runs if not run.pieces)]
        numbers = {run.key: number for number, run in enumerate(runs)}
        held = identities(gather(holding)) if holding else None
        coming = pl.concat(
            chunk.frame[rows].with_columns(pl.lit(numbers[run.key], dtype=pl.UInt32).alias(RUN))
            for run, _, rows in doubtful
        )
        found = repeats(identities(coming), held)
        self._duplicates += found.duplicates
        self._conflicting += found.conflicting
        at = 0
        new, step = found.is_new.to_numpy(), (coming["event_type"] == EventType.STEP_FINISHED).to_numpy()
        for run, _, rows in doubtful:
            mine = slice(at, at + len(rows))
            at += len(rows)
            fresh = rows[new[mine]]
            if len(fresh):
                run.hold(chunk, fresh)
                run.steps += int((new[mine] & step[mine]).sum())
                self.open_events += len(fresh)

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

    def _give(self, due: dict[RunKey, CloseReason], now_us: int) -> Closed:
        duplicates, conflicting = self._duplicates, self._conflicting
        self._duplicates = self._conflicting = 0
        if not due:
            return Closed(no_runs(), no_events(), (), duplicates, conflicting)
        runs = [self._open[key] for key in due]
        whole = sorted((run for run in runs if run.started), key=lambda run: run.place)
        parts = [run for run in runs if not run.started]
        joined = no_runs()
        if whole:
            reasons = pl.DataFrame(
                {RUN: range(len(whole)), "close_reason": [due[run.key].value for run in whole]},
                schema={RUN: pl.UInt32, "close_reason": pl.String},
            )
            assembled = assemble(gather(whole), closed_at_us=now_us, reasons=reasons, policy=self.policy)
            joined = assembled.runs
            duplicates += assembled.duplicates
            conflicting += assembled.conflicting
        fragments = gather(parts).drop(RUN) if parts else no_events()
        overflowed = [key for key, reason in due.items() if reason is CloseReason.OVERFLOW]
        crowded_out = sum(key in self._crowded_out for key in overflowed)
        self._remove(runs)
        return Closed(
            joined, fragments, tuple(due), duplicates, conflicting, len(overflowed) - crowded_out, crowded_out
        )

    def _remove(self, runs: list[OpenRun]) -> None:
        for run in runs:
            del self._open[run.key]
            self._idle.drop(run, run.idle_us)
            self._aging.drop(run, run.max_open_us)
            self._ended.drop(run, self._limits.grace_us)
            self._due.pop(run.key, None)
            self._crowded_out.discard(run.key)
            self.open_events -= run.events
        let_go(runs)


def _cover(run: OpenRun, share: Share, rows: Rows, frame: pl.DataFrame) -> bool:
    """Note the share's sequence numbers; True when none was held before, so that no event can be a repeat."""
    coverage = run.coverage.get(share.emitter_id)
    if coverage is None:
        coverage = run.coverage[share.emitter_id] = Coverage()
    if share.seq_high - share.seq_low + 1 == share.seq_distinct:
        return coverage.add(share.seq_low, share.seq_high + 1) == share.events
    new = sum(coverage.add(seq, seq + 1) for seq in frame["seq"].gather(rows).unique().to_list())
    return new == share.events


def _micros(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e6)


def _ended_at(run: OpenRun) -> int:
    return run.ended_at_us or 0


def _seen_at(run: OpenRun) -> int:
    return run.seen_at_us


def _opened_at(run: OpenRun) -> int:
    return run.opened_at_us

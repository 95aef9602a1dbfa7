"""The events of open runs, as they came: frames with the rows that are still wanted, and runs that know their rows."""

from collections.abc import Sequence
from itertools import count
from typing import TypeAlias

import numpy as np
import polars as pl

from causeline.streams.runs.distinct import RUN
from causeline.streams.worker.coverage import Coverage
from causeline.streams.worker.tally import Rows

_KEEP_SHARE = 4
"""A chunk of which less than one row in so many is wanted is made smaller."""

RunKey = tuple[int, str]
"""Partition and run id."""


class Chunk:
    """A frame of events; `live` of its rows belong to open runs, and `holders` are those runs."""

    __slots__ = ("frame", "holders", "live", "serial")
    _serials = count()

    def __init__(self, frame: pl.DataFrame) -> None:
        self.serial = next(self._serials)
        self.frame = frame
        self.live = 0
        self.holders: set[OpenRun] = set()


class OpenRun:
    """What is known of a run that is open: little, whatever the number of its events."""

    __slots__ = (
        "coverage",
        "ended_at_us",
        "events",
        "expected_steps",
        "idle_us",
        "key",
        "max_open_us",
        "open_ended",
        "opened_at_us",
        "pieces",
        "seen_at_us",
        "started",
        "steps",
    )

    def __init__(self, key: RunKey, now_us: int, *, idle_us: int, max_open_us: int) -> None:
        self.key = key
        self.idle_us = idle_us
        self.max_open_us = max_open_us
        self.opened_at_us = now_us
        self.seen_at_us = now_us
        self.ended_at_us: int | None = None
        self.started = False
        self.open_ended = False
        """Its end is seen, and nobody says how many events there are: more may come after it."""
        self.events = 0
        self.steps = 0
        self.expected_steps = 0
        self.coverage: dict[str, Coverage] = {}
        self.pieces: list[tuple[Chunk, Rows]] = []

    @property
    def is_whole(self) -> bool:
        """Whether its start, its end and all that lies between are in, as far as its emitters say."""
        return (
            self.started
            and self.ended_at_us is not None
            and not self.open_ended
            and self.steps >= self.expected_steps
            and all(coverage.is_whole for coverage in self.coverage.values())
        )

    def hold(self, chunk: Chunk, rows: Rows) -> None:
        """Take rows of a chunk as this run's own."""
        self.pieces.append((chunk, rows))
        self.events += len(rows)
        chunk.live += len(rows)
        chunk.holders.add(self)

    @property
    def place(self) -> tuple[bool, int]:
        """Whether it stands in more than one chunk, and the first of them: runs in this order are gathered fastest."""
        first = self.pieces[0][0]
        return any(chunk is not first for chunk, _ in self.pieces), first.serial


_Wanted: TypeAlias = dict[Chunk, tuple[list[Rows], list[int]]]
"""By chunk the rows that are wanted, and whose they are."""


def gather(runs: Sequence[OpenRun]) -> pl.DataFrame:
    """The events of `runs` in order of arrival within each, with `_run`, their place in `runs`.

    Where `runs` are ordered by `place`, the events come run by run, and need not be moved again.
    """
    alone: _Wanted = {}
    scattered: _Wanted = {}
    for number, run in enumerate(runs):
        wanted = scattered if run.place[0] else alone
        for chunk, rows in run.pieces:
            parts, numbers = wanted.setdefault(chunk, ([], []))
            parts.append(rows)
            numbers.append(number)
    frames = _taken(alone)
    if scattered:
        frames.append(pl.concat(_taken(scattered)).sort(RUN, maintain_order=True))
    return pl.concat(frames, rechunk=True)


def _taken(wanted: _Wanted) -> list[pl.DataFrame]:
    frames = []
    for chunk, (parts, numbers) in sorted(wanted.items(), key=lambda item: item[0].serial):
        owners = np.repeat(np.array(numbers, dtype=np.uint32), [len(part) for part in parts])
        frames.append(chunk.frame[np.concatenate(parts)].with_columns(pl.Series(RUN, owners)))
    return frames


def let_go(runs: Sequence[OpenRun]) -> None:
    """Give up the rows of closed runs; what is left of their chunks is made smaller where little is left."""
    touched: set[Chunk] = set()
    for run in runs:
        for chunk, rows in run.pieces:
            chunk.live -= len(rows)
            chunk.holders.discard(run)
            touched.add(chunk)
        run.pieces = []
    for chunk in touched:
        if chunk.holders and chunk.live * _KEEP_SHARE < chunk.frame.height:
            _shrink(chunk)


def _shrink(chunk: Chunk) -> None:
    parts: list[Rows] = []
    at = 0
    for run in chunk.holders:
        pieces = []
        for holder, rows in run.pieces:
            if holder is not chunk:
                pieces.append((holder, rows))
                continue
            parts.append(rows)
            pieces.append((chunk, np.arange(at, at + len(rows), dtype=np.uint32)))
            at += len(rows)
        run.pieces = pieces
    chunk.frame = chunk.frame[np.concatenate(parts)].rechunk()

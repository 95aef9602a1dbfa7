"""Windows of time, by the start of the runs in them: what there is, and which of them are over for good."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

BASE = timedelta(minutes=5)
"""What a roll-up covers; longer windows are sums of these."""


class Length(StrEnum):
    """How long a window lasts."""

    FIVE_MINUTES = "5m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def delta(self) -> timedelta:
        """As a duration."""
        return _DELTAS[self]


_DELTAS = {Length.FIVE_MINUTES: BASE, Length.HOUR: timedelta(hours=1), Length.DAY: timedelta(days=1)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """One window: from `start` (UTC, a multiple of its length) up to, not including, `end`."""

    start: datetime
    length: Length

    @property
    def end(self) -> datetime:
        """Where the next one starts."""
        return self.start + self.length.delta

    def earlier(self, count: int) -> "Window":
        """The window so many before this one."""
        return Window(self.start - count * self.length.delta, self.length)


def floor(moment: datetime, length: timedelta = BASE) -> datetime:
    """The start of the window that a moment lies in."""
    return moment - (moment - _EPOCH) % length


def window_of(moment: datetime, length: Length) -> Window:
    """The window that a moment lies in."""
    return Window(floor(moment, length.delta), length)


def windows_between(first: datetime, end: datetime, length: Length) -> Iterator[Window]:
    """Every whole window from the one that `first` lies in, as long as it is over by `end`."""
    window = window_of(first, length)
    while window.end <= end:
        yield window
        window = Window(window.end, length)


def watermark(now: datetime, newest_close: datetime, settle: timedelta) -> datetime:
    """Up to when windows are over for good: their runs have had `settle` to come to their end.

    Two clocks must agree. The newest close of a run keeps a server whose clock jumps ahead from judging what has not
    come in; the server's clock keeps a worker whose clock is ahead from the same. A clock that jumps back only waits.
    """
    return min(now - settle, newest_close)

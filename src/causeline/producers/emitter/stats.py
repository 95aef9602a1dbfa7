"""What an emitter has done, as counters that anybody may look at."""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from causeline.schemas.wire import event_id_of, run_id_of

_LAST_REASONS = 10


@dataclass(frozen=True, slots=True)
class Left:
    """What could not be delivered within the time given."""

    events: int = 0
    batches: int = 0

    def __bool__(self) -> bool:
        return self.events > 0

    def __add__(self, other: "Left") -> "Left":
        return Left(self.events + other.events, self.batches + other.batches)


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters since the emitter was made, of all tracers that share it. An event is invalid, too large, withheld by
    its mask, dropped, or accepted; accepted ones end up delivered or lost, and are waiting until then."""

    accepted: int = 0
    delivered: int = 0
    lost: int = 0
    """Refused by the broker for good: invalid, or by itself larger than the topic takes."""
    dropped: int = 0
    """Refused because the buffer was full or the emitter closed."""
    invalid: int = 0
    """Could not be made an event at all; the hole in the run's numbers says so too."""
    too_large: int = 0
    """Larger than one event may be."""
    mended: int = 0
    """Events with a field that could not be used: published without it, and with its name in `fields.dropped`."""
    steps_outside: int = 0
    """Decorated steps that were called outside a run, which are not on record, and steps that ended after their run."""
    mask_failed: int = 0
    """The masking hook raised or gave nothing, so nothing was published."""
    waiting: int = 0
    """Not delivered yet, in memory or on disk."""
    in_flight: int = 0
    """Those of the waiting that are handed to the Kafka client."""
    batches: int = 0
    """Delivered."""
    open_runs: int = 0
    """Runs begun and not ended."""
    spooled: int = 0
    """Those of the waiting that are on disk, also from processes before."""
    spool_dropped: int = 0
    """Dropped from the disk because the spool was full; their runs say so."""
    lost_in_children: int = 0
    """Of forked children that were killed or ended by `os._exit`, before they had delivered them."""
    sampled_out: int = 0
    """Runs outside the sample, dropped whole because nothing in them is always kept."""
    last_error: str | None = None
    last_invalid: tuple[str, ...] = ()
    """The last reasons why an event, or a field of one, was not published; never its content."""

    def __add__(self, other: "Stats") -> "Stats":
        """What two emitters have done together."""
        sums = {
            each.name: getattr(self, each.name) + getattr(other, each.name)
            for each in fields(self)
            if each.name != "last_error"
        }
        return Stats(**sums, last_error=other.last_error or self.last_error)


class Counters:
    """The counters behind `Stats`. Its lock may be taken again by a finaliser or signal handler of the same thread."""

    def __init__(self, log: logging.Logger, now_s: Callable[[], float]) -> None:
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()
        self._reasons: deque[str] = deque(maxlen=_LAST_REASONS)
        self.last_error: str | None = None
        self._complaints = RateLimitedLog(log, now_s)

    def add(self, name: str, change: int = 1) -> None:
        """Add to one of the counters of `Stats`."""
        with self._lock:
            self._counts[name] += change

    def __getitem__(self, name: str) -> int:
        with self._lock:
            return self._counts[name]

    def unpublished(self, name: str, reason: str) -> None:
        """Count, under `name`, an event that could not be published; at most one line a minute tells of it."""
        self._note(name, reason)
        self._complaints.complain(name, "An event was not published: %s", reason)

    def refused(self, item: bytes, why: str) -> None:
        """Count an accepted event that by itself is larger than the topic takes; it and its run are named."""
        reason = f"event {event_id_of(item)} of run {run_id_of(item)} has {len(item)} bytes, too many for the topic"
        self._note("lost", f"{reason}.")
        self._complaints.complain("refused", "An event was lost: %s. %s", reason, why)

    def mended(self, reasons: Sequence[str]) -> None:
        """Count an event that was published without some of its fields; at most one line a minute tells of it."""
        self._note("mended", *reasons)
        self._complaints.complain("mended", "An event was published without a field: %s", reasons[0])

    def outside(self, reason: str) -> None:
        """Count a step that was not within its run; at most one line a minute tells of it."""
        self._note("steps_outside", reason)
        self._complaints.complain("outside", "A step was not within its run: %s", reason)

    def _note(self, name: str, *reasons: str) -> None:
        with self._lock:
            self._counts[name] += 1
            self._reasons.extend(reasons)

    def fault(self, kind: str, message: str) -> None:
        """Remember a fault of the way to the broker; at most one line a minute tells of it."""
        self.last_error = message
        self._complaints.complain(kind, "%s", message)

    def snapshot(self, **gauges: int) -> Stats:
        """The counters as they stand, with those that others keep."""
        with self._lock:
            counts, reasons = dict(self._counts), tuple(self._reasons)
        return Stats(last_error=self.last_error, last_invalid=reasons, **counts, **gauges)


class RateLimitedLog:
    """At most one line a minute for each kind of complaint, with how many were kept back."""

    _INTERVAL_S = 60.0

    def __init__(self, log: logging.Logger, now_s: Callable[[], float]) -> None:
        self._log = log
        self._now_s = now_s
        self._said: dict[str, float] = {}
        self._kept_back: dict[str, int] = {}

    def complain(self, kind: str, message: str, *arguments: object) -> None:
        """Log a warning, unless one of its kind was logged within the last minute."""
        now = self._now_s()
        if now - self._said.get(kind, -self._INTERVAL_S) < self._INTERVAL_S:
            self._kept_back[kind] = self._kept_back.get(kind, 0) + 1
            return
        self._said[kind] = now
        if kept := self._kept_back.pop(kind, 0):
            message += " (%d more since the last such line)"
            arguments = (*arguments, kept)
        self._log.warning(message, *arguments)

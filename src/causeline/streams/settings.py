"""The assembler's limits."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run is closed that does not end by itself. Times are judged by when events arrive, never by what they say.

    A clock that is wrong on a producer can therefore neither close a run nor hold it open.
    """

    grace_s: float = 2.0
    """After its end was seen, a run waits so long for events that are missing."""
    idle_timeout_s: float = 60.0
    """A run without a new event for so long is closed."""
    max_open_s: float = 300.0
    """A run open for so long is closed."""
    max_run_events: int = 50_000
    """A run with so many events is closed as it is; what comes later is late."""
    max_open_events: int = 1_000_000
    """With more events open than this, the oldest runs are closed as they are."""

    @property
    def grace_us(self) -> int:
        """`grace_s` in microseconds."""
        return round(self.grace_s * 1e6)

    @property
    def idle_timeout_us(self) -> int:
        """`idle_timeout_s` in microseconds."""
        return round(self.idle_timeout_s * 1e6)

    @property
    def max_open_us(self) -> int:
        """`max_open_s` in microseconds."""
        return round(self.max_open_s * 1e6)

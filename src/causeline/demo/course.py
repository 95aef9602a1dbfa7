"""When the demo's runs began: a minute ago, or over the last whole hours, in which something moved.

Drift is judged by windows that are over. So that it can be looked at without waiting for one, `demo --drift` lets its
runs begin in hours that are: in the third a release goes out, and in the last one provider has changed its backend
without a word.
"""

from dataclasses import dataclass
from typing import Final

HOURS: Final = 4
BEFORE, AFTER = "2026.10", "2026.11"
"""The releases; the second from half of the hours on."""
RELEASED_AT: Final = 0.5
DRIFT_AT: Final = 0.75
_HEAD_START_US: Final = 60_000_000
"""A run begins a minute ago, so that its simulated time does not run into the future."""
_HOUR_US: Final = 3_600_000_000
_OVER_US: Final = 1_200_000_000
"""A window is judged ten minutes after its end; twice that, so that it is while one looks."""


@dataclass(frozen=True, slots=True)
class Course:
    """The whole hours before `end_us`, and how many runs they have."""

    end_us: int
    runs: int

    def begin_us(self, index: int) -> int:
        """When the run of this index began."""
        return self.end_us - HOURS * _HOUR_US + index * HOURS * _HOUR_US // self.runs

    def labels(self, index: int) -> dict[str, str]:
        """What the run says of its release."""
        return {"release": BEFORE if index < RELEASED_AT * self.runs else AFTER}


def last_hours(now_us: int, runs: int) -> Course:
    """The course of the last hours of which all windows are over."""
    return Course((now_us - _OVER_US) // _HOUR_US * _HOUR_US, runs)


def just_now(now_us: int) -> int:
    """When a run begins that is to be seen as one of now."""
    return now_us - _HEAD_START_US

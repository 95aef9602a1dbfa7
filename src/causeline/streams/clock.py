"""A clock that never goes back: the machine's time when it was made, and from then on only what has passed."""

import time

from causeline.schemas.clock import Clock, system_clock


def steady_clock() -> Clock:
    """Microseconds since the epoch that a change of the machine's time can neither hold nor hasten."""
    offset_us = system_clock() - time.monotonic_ns() // 1000
    return lambda: offset_us + time.monotonic_ns() // 1000

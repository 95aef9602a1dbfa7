"""Time as the wire has it: microseconds since the epoch, UTC."""

import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], int]
"""Gives the present as microseconds since the epoch; injected wherever the present matters."""


def system_clock() -> int:
    """The machine's present, microseconds since the epoch, UTC."""
    return time.time_ns() // 1000


def steady_clock() -> Clock:
    """The machine's time when this was called, and from then on only what has passed: it never goes back.

    A change of the machine's time can neither hold nor hasten it.
    """
    offset_us = system_clock() - time.monotonic_ns() // 1000
    return lambda: offset_us + time.monotonic_ns() // 1000

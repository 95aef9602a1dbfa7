"""Time as the wire has it: microseconds since the epoch, UTC."""

import time
from collections.abc import Callable
from typing import TypeAlias

Clock: TypeAlias = Callable[[], int]
"""Gives the present as microseconds since the epoch; injected wherever the present matters."""


def system_clock() -> int:
    """The machine's present, microseconds since the epoch, UTC."""
    return time.time_ns() // 1000

"""Waiting for a condition with a deadline: the one place of the stack that polls."""

import time
from collections.abc import Callable
from typing import TypeVar

from causeline.schemas.errors import EnvironmentFault

T = TypeVar("T")


def wait_until(condition: Callable[[], T | None], *, timeout_s: float, what: str, interval_s: float = 0.05) -> T:
    """The first truthy answer of `condition`; raises `EnvironmentFault` naming `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        if answer := condition():
            return answer
        if time.monotonic() >= deadline:
            raise EnvironmentFault(f"Waited {timeout_s:g} s in vain: {what}.", hint="See the logs folder of the stack.")
        time.sleep(interval_s)

"""Waiting for a condition with a deadline: the one place of the stack that polls."""

import time
from collections.abc import Callable
from typing import TypeVar

from causeline.schemas.errors import EnvironmentFault

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T | None], *, timeout_s: float, what: str | Callable[[], str], interval_s: float = 0.05
) -> T:
    """The first truthy answer of `condition`; raises `EnvironmentFault` naming `what`, asked for then, after
    `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        if answer := condition():
            return answer
        if time.monotonic() >= deadline:
            lacking = what if isinstance(what, str) else what()
            raise EnvironmentFault(f"Waited {timeout_s:g} s in vain: {lacking}.", hint="See the logs folder.")
        time.sleep(interval_s)

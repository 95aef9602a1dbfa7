"""When a service that ended is started again, and when it is given up: a pure rule over its failures."""

from collections import deque
from dataclasses import dataclass

UNMENDABLE_EXIT_CODES = (2, 4)
"""A usage error or a fault of this machine: before the first success, another start meets the same fault."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Exponential back-off between `first_delay_s` and `max_delay_s`, and the bounds of patience.

    A service that ran for `steady_after_s` starts over with the first delay. `max_failures` within `window_s`
    are too many; a service that was never ready has `max_first_failures`.
    """

    first_delay_s: float = 0.2
    max_delay_s: float = 10.0
    steady_after_s: float = 20.0
    max_failures: int = 10
    max_first_failures: int = 4
    window_s: float = 180.0


@dataclass(frozen=True, slots=True)
class RestartIn:
    """Start again after `delay_s`."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Leave it; `reason` says why as the end of a sentence about the service."""

    reason: str


class RestartHistory:
    """The failures of one service so far; time is given, in seconds of any monotonic clock."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._failures: deque[float] = deque()
        self._in_a_row = 0

    def failed(self, now: float, *, ran_s: float, exit_code: int | None, was_ever_ready: bool) -> RestartIn | GiveUp:
        """What to do after an end at `now`; `exit_code` is None when it never became ready and was stopped."""
        policy = self._policy
        if not was_ever_ready and exit_code in UNMENDABLE_EXIT_CODES:
            return GiveUp(f"ended with exit code {exit_code}, which another start would not change")
        self._failures.append(now)
        while self._failures[0] <= now - policy.window_s:
            self._failures.popleft()
        allowed = policy.max_failures if was_ever_ready else policy.max_first_failures
        if len(self._failures) >= allowed:
            return GiveUp(f"failed {len(self._failures)} times within {policy.window_s:g} s")
        self._in_a_row = 0 if ran_s >= policy.steady_after_s else self._in_a_row
        delay = min(policy.first_delay_s * 2.0**self._in_a_row, policy.max_delay_s)
        self._in_a_row += 1
        return RestartIn(delay)

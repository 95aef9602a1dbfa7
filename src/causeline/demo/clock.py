"""A run's own clock: simulated work takes simulated time, so that a demo is quick and its timings still tell."""


class SimulatedClock:
    """Microseconds since the epoch; moves when it is told to, and a little whenever it is read."""

    def __init__(self, start_us: int) -> None:
        self._now_us = start_us

    def __call__(self) -> int:
        self._now_us += 37
        return self._now_us

    def advance(self, duration_us: float) -> None:
        """Let time pass."""
        self._now_us += max(0, int(duration_us))

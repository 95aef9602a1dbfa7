"""What is known of runs that are open, and the events that they hold."""

from causeline.streams.runs.core import Known, Part
from causeline.streams.worker.coverage import Coverage

RunKey = tuple[int, str]
"""Partition and run id."""


class OpenRun:
    """What is known of a run that is open: little, whatever the number of its events."""

    __slots__ = (
        "coverage",
        "ended_at_us",
        "events",
        "expected_steps",
        "idle_us",
        "key",
        "known",
        "max_open_us",
        "open_ended",
        "opened_at_us",
        "parts",
        "seen_at_us",
        "started",
        "steps",
    )

    def __init__(self, key: RunKey, now_us: int, *, idle_us: int, max_open_us: int) -> None:
        self.key = key
        self.idle_us = idle_us
        self.max_open_us = max_open_us
        self.opened_at_us = now_us
        self.seen_at_us = now_us
        self.ended_at_us: int | None = None
        self.started = False
        self.open_ended = False
        """Its end is seen, and nobody says how many events there are: more may come after it."""
        self.events = 0
        self.steps = 0
        self.expected_steps = 0
        self.coverage: dict[str, Coverage] = {}
        self.parts: list[Part] = []
        """Its events, in order of arrival."""
        self.known: Known | None = None
        """They again by their ids, once some may have come again."""

    @property
    def is_whole(self) -> bool:
        """Whether its start, its end and all that lies between are in, as far as its emitters say."""
        return (
            self.started
            and self.ended_at_us is not None
            and not self.open_ended
            and self.steps >= self.expected_steps
            and all(coverage.is_whole for coverage in self.coverage.values())
        )

    def hold(self, part: Part, steps: int) -> None:
        """Take events as this run's own; so many of them say that a step finished."""
        self.parts.append(part)
        self.events += len(part)
        self.steps += steps

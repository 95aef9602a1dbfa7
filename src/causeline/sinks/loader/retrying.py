"""What a failed insert means, decided here once: try again later, or look at the rows.

Only codes that rows can cause are the rows' fault. Whatever else a server or a network says (too many parts, memory,
read-only, disk full, a missing table, a login refused) heals in time or by an operator, and no message dies of it.
"""

import random
import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Protocol, TypeVar

T = TypeVar("T")

ROWS_AT_FAULT: Mapping[int, str] = {
    6: "CANNOT_PARSE_TEXT",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    32: "ATTEMPT_TO_READ_AFTER_EOF",
    33: "CANNOT_READ_ALL_DATA",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    128: "TOO_LARGE_ARRAY_SIZE",
    131: "TOO_LARGE_STRING_SIZE",
    190: "SIZES_OF_ARRAYS_DONT_MATCH",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    395: "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO",
    407: "DECIMAL_OVERFLOW",
    467: "CANNOT_PARSE_BOOL",
    748: "AVRO_EXCEPTION",
}
"""ClickHouse's codes that say something about the rows; 395 is our own rule in the INSERT."""


class Fault(StrEnum):
    """Whose fault a failed insert is."""

    ROWS = "rows"  # look at them: what is bad becomes a dead letter
    SERVICE = "service"  # wait, and send the same again


def fault_of(code: int | None) -> Fault:
    """Whose fault an error of this code is; None is an error that did not come from ClickHouse itself."""
    return Fault.ROWS if code in ROWS_AT_FAULT else Fault.SERVICE


class RowsRefused(Exception):
    """ClickHouse read the rows and does not take them; `name` is its word for why."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class TryLater(Exception):
    """A service did not do its part; `name` is the word for it, and nothing is known of the rows."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Cancelled(Exception):
    """The partition was given up, or time is over, before the attempt succeeded."""


class Patience(Protocol):
    """How long to wait between attempts."""

    def pause(self, failures: int, cancelled: threading.Event) -> bool:
        """Wait after the given count of failures in a row; True when cancelled meanwhile."""
        ...


class Backoff:
    """Exponential pauses with full jitter, so that loaders that failed together do not come back together."""

    def __init__(self, shortest_s: float, longest_s: float, randomness: random.Random | None = None) -> None:
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self._random = randomness or random.SystemRandom()

    def seconds(self, failures: int) -> float:
        """A pause after `failures` in a row, the first being 1."""
        ceiling = min(self._longest_s, self._shortest_s * 2 ** min(failures - 1, 30))
        return self._random.uniform(self._shortest_s / 2, ceiling)

    def pause(self, failures: int, cancelled: threading.Event) -> bool:
        """See `Patience`."""
        return cancelled.wait(self.seconds(failures))


def until_done(
    attempt: Callable[[], T],
    patience: Patience,
    cancelled: threading.Event,
    on_failure: Callable[[TryLater, int], None],
) -> T:
    """The answer of `attempt`, repeated while it raises TryLater; raises Cancelled, and whatever else it raises."""
    failures = 0
    while not cancelled.is_set():
        try:
            return attempt()
        except TryLater as error:
            failures += 1
            on_failure(error, failures)
            if patience.pause(failures, cancelled):
                break
    raise Cancelled

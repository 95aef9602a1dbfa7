"""Every error that Causeline raises on purpose.

CauselineError
├── UsageError              2  an option, a file or an id is malformed
│   └── MalformedId         2
├── NotFound                1  the thing asked for is not there
├── CheckFailed             1  the check ran, and its answer is no
│   └── NotVisibleYet       1
├── Unreachable             3  a service does not answer
├── EnvironmentFault        4  this machine: port, disk, permission, runtime
├── InvalidEvent            2  an event breaks the contract
│   └── EventTooLarge       2
└── UnreadableMessage       5  a Kafka value that cannot be read; carries a `Reason`

The number is the exit code of a command that ends with the error.
"""

from enum import StrEnum


class CauselineError(Exception):
    """Base of the tree: one sentence that names the thing, and `hint`, the way out."""

    exit_code = 5

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(CauselineError):
    """The caller asked for something that cannot be meant."""

    exit_code = 2


class MalformedId(UsageError):
    """An id is not of its form."""


class NotFound(CauselineError):
    """The thing asked for does not exist."""

    exit_code = 1


class CheckFailed(CauselineError):
    """A check ran to its end and the answer is no."""

    exit_code = 1


class NotVisibleYet(CheckFailed):
    """What was asked for is done, and cannot be read yet."""


class Unreachable(CauselineError):
    """A service does not answer, or not as itself."""

    exit_code = 3


class EnvironmentFault(CauselineError):
    """This machine lacks something: a free port, disk, a permission, a runtime."""

    exit_code = 4


class InvalidEvent(CauselineError):
    """An event does not keep the contract; nothing of it was published."""

    exit_code = 2


class EventTooLarge(InvalidEvent):
    """An encoded event is larger than a batch may be."""


class Reason(StrEnum):
    """Why a message could not be read; the reason code of its dead letter."""

    EMPTY = "empty"  # no value, or a tombstone
    BAD_MAGIC = "bad_magic"  # the first byte is not 0
    UNKNOWN_SCHEMA = "unknown_schema"  # the schema id is not allowed for this topic
    TRUNCATED = "truncated"  # fewer bytes than the framing or a count promises
    OVERSIZED = "oversized"  # more bytes or items than a batch may have
    CORRUPT = "corrupt"  # the payload does not decode under its schema
    TRAILING_BYTES = "trailing_bytes"  # bytes are left after the last item
    INVALID_EVENT = "invalid_event"  # decodes, and breaks the contract (ids, times, vocabulary)
    REFUSED = "refused"  # the store refuses the rows


class UnreadableMessage(CauselineError):
    """A Kafka value that cannot be read; `reason` is the code of its dead letter."""

    def __init__(self, reason: Reason, message: str, *, schema_id: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.schema_id = schema_id

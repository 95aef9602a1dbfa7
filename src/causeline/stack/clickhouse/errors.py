"""The engine's errors, and the HTTP statuses that a ClickHouse server gives them."""

import re
from typing import Final

from causeline.schemas.errors import CauselineError

BAD_ARGUMENTS: Final = 36
NOT_IMPLEMENTED: Final = 48
SYNTAX_ERROR: Final = 62
TIMEOUT_EXCEEDED: Final = 159
READONLY: Final = 164
TOO_MANY_SIMULTANEOUS_QUERIES: Final = 202
INTO_OUTFILE_NOT_ALLOWED: Final = 358
SESSION_NOT_FOUND: Final = 372
SESSION_IS_LOCKED: Final = 373
INVALID_SESSION_TIMEOUT: Final = 374
QUERY_IS_TOO_LARGE: Final = 382
TOO_MANY_ROWS_OR_BYTES: Final = 396
ACCESS_DENIED: Final = 497
AUTHENTICATION_FAILED: Final = 516
CANNOT_DECOMPRESS: Final = 271
UNKNOWN_EXCEPTION: Final = 1002

_PATTERN = re.compile(r"Code: (\d+)\. DB::(?:\w+)?Exception: ", re.DOTALL)
_VERSION = re.compile(r" \(version [^()]*(?:\([^()]*\))?\)\s*$")

# As in ClickHouse's exceptionCodeToHTTPStatus; what is not listed is 500.
_STATUS: Final[dict[int, int]] = {
    **dict.fromkeys((6, 8, 15, 25, 26, 27, 36, 38, 41, 44, 53, 56, 57, 62, 72, 117, 168, 190, 321, 376, 427, 441), 400),
    **dict.fromkeys((167, 62, 675, 676, 683), 400),
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511), 404),
    **dict.fromkeys((192, 193, 497, 512, 516), 403),
    194: 401,
    TIMEOUT_EXCEEDED: 408,
    QUERY_IS_TOO_LARGE: 413,
    TOO_MANY_ROWS_OR_BYTES: 413,
    NOT_IMPLEMENTED: 501,
    76: 503,
    209: 503,
    439: 503,
    TOO_MANY_SIMULTANEOUS_QUERIES: 503,
}


class EngineError(CauselineError):
    """What ClickHouse answers instead of a result: `code` and `name` as in system.errors."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.name = name

    @classmethod
    def from_engine(cls, text: str) -> "EngineError":
        """From the engine's own words, `Code: 60. DB::Exception: … (UNKNOWN_TABLE)`."""
        found = _PATTERN.search(text)
        if found is None:
            return cls(UNKNOWN_EXCEPTION, "UNKNOWN_EXCEPTION", text)
        message = _VERSION.sub("", text[found.end() :]).strip()
        name = ""
        if message.endswith(")") and (start := message.rfind("(")) >= 0:
            message, name = message[:start].strip(), message[start + 1 : -1]
        return cls(int(found[1]), name, message)

    @property
    def status(self) -> int:
        """The HTTP status of this error."""
        return _STATUS.get(self.code, 500)

    def text(self, version: str) -> str:
        """The error as a ClickHouse server of `version` words it."""
        return f"Code: {self.code}. DB::Exception: {self.message} ({self.name}) (version {version})"

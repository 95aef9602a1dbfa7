"""What a failed span's error is called, where no attribute of its says so: never its message."""

import re
from collections.abc import Iterator
from typing import Final

from causeline.otlp.receiver.telemetry import Span
from causeline.otlp.receiver.values import READERS
from causeline.schemas import otel_names as names

_CODES: Final = ("http.response.status_code", "http.status_code")
_FIRST_BAD: Final = 400
_MESSAGES: Final = ("langfuse.observation.status_message",)
_STATUS: Final = "status.message"
_CLASS: Final = re.compile(r"([A-Z][A-Za-z0-9]{2,60}(?:Error|Exception|Timeout|Failure))(?::|$)")
"""How programs begin a message: with the class of what was raised."""
_CODE: Final = re.compile(r"(?i)\b(?:error|status)(?:[ _-]?code)?\W{1,3}([45]\d\d)\b")


def error_of(span: Span) -> str | None:
    """The class of the exception it recorded, else its answer's code, else what its message begins with or numbers."""
    for event in span.events:
        if event.name == names.EXCEPTION_EVENT:
            found: str | None = READERS["word"](event.attributes.get(names.EXCEPTION_TYPE))
            return found
    for key in _CODES:
        code = span.attributes.get(key)
        if isinstance(code, int) and code >= _FIRST_BAD:
            return str(code)
    for message in _messages(span):
        if (named := _CLASS.match(message)) is not None:
            return named[1]
        if (numbered := _CODE.search(message)) is not None:
            return numbered[1]
    return None


def _messages(span: Span) -> Iterator[str]:
    said = [value for key, value in span.said_besides if key == _STATUS]
    said += [span.attributes.get(key) for key in _MESSAGES]
    yield from (each[:1000] for each in said if isinstance(each, str))

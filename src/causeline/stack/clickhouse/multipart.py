"""multipart/form-data: form fields and the files that ClickHouse takes as external tables."""

from dataclasses import dataclass
from email.message import Message
from typing import Final

from causeline.stack.clickhouse import errors
from causeline.stack.clickhouse.errors import EngineError

_MAX_PARTS: Final = 256


@dataclass(frozen=True)
class Part:
    """One part: a field, or a file when it has a name of one."""

    name: str
    data: bytes
    is_file: bool


def read_parts(content_type: str, body: bytes) -> list[Part]:
    """The parts of `body`. Raises EngineError when it is not what `content_type` says."""
    boundary = _parameter(content_type, "boundary")
    if not boundary:
        raise _malformed("it names no boundary")
    delimiter = b"--" + boundary.encode("latin-1", "replace")
    pieces = (b"\r\n" + body).split(b"\r\n" + delimiter)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise _malformed("its last boundary is missing")
    if len(pieces) > _MAX_PARTS:
        raise _malformed(f"it has more than {_MAX_PARTS} parts")
    return [_read_part(piece) for piece in pieces[1:-1]]


def _read_part(piece: bytes) -> Part:
    head, separator, data = piece.partition(b"\r\n\r\n")
    if not separator:
        raise _malformed("a part has no header")
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            field = _parameter(value, "name")
            if field:
                return Part(field, data, is_file=_parameter(value, "filename") is not None)
    raise _malformed("a part has no name")


def _parameter(header: str, name: str) -> str | None:
    message = Message()
    message["Content-Disposition"] = header.strip()
    value = message.get_param(name, header="Content-Disposition")
    return value if isinstance(value, str) else None


def _malformed(reason: str) -> EngineError:
    return EngineError(errors.BAD_ARGUMENTS, "BAD_ARGUMENTS", f"The multipart body cannot be read: {reason}.")

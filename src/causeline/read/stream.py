"""Arrow's stream as a server sends it: batch by batch, and an answer that breaks off is an error, never a short one."""

import contextlib
import io
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final, cast

import pyarrow
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from pyarrow import ipc
from urllib3.exceptions import HTTPError

from causeline.runtime.clickhouse_errors import in_our_words, translated
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import CauselineError, Unreachable

END_OF_STREAM: Final = b"\xff\xff\xff\xff\0\0\0\0"
_MARK: Final = b"__exception__"
_TAIL_BYTES: Final = 64 << 10  # longer than what a server says of an error


class Answer(io.RawIOBase):
    """The body of an answer as a file; its end is kept, because there a server says what broke it off."""

    def __init__(self, source: IO[bytes]) -> None:
        super().__init__()
        self._source = source
        self._tail = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes."""
        piece = self._source.read(size)
        self._tail = (self._tail + piece)[-_TAIL_BYTES:]
        return piece

    def close(self) -> None:
        """Give its connection back."""
        self._source.close()
        super().close()

    def is_whole(self) -> bool:
        """Whether the stream has its end, and nothing behind it."""
        while self.read(_TAIL_BYTES):
            continue
        return self._tail.endswith(END_OF_STREAM)

    def complaint(self) -> DatabaseError | None:
        """The error of the server that stands in place of the end."""
        before, mark, _ = self._tail.rpartition(_MARK)
        said = before.rpartition(_MARK)[2].decode("utf-8", "replace") if mark else ""
        code = said.partition("Code: ")[2].partition(".")[0]
        name = said.rpartition(" (version")[0].rpartition("(")[2].rstrip(")")
        return DatabaseError(said.strip(), code=int(code), name=name or None) if code.isdecimal() else None


@contextlib.contextmanager
def opened(
    client: Client,
    connection: ClickHouseConnection,
    statement: str,
    parameters: Mapping[str, object],
    settings: dict[str, object] | None = None,
) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Arrow's schema and the record batches of a SELECT, for the length of the block.

    Raises Unreachable, or what the server's refusal means, while it is read too.
    """
    with translated(connection, reading=True):
        source = client.raw_stream(statement, parameters=dict(parameters), settings=settings, fmt="ArrowStream")
    with contextlib.closing(Answer(cast("IO[bytes]", source))) as answer:
        with _whole(answer, connection):
            reader = ipc.open_stream(answer)
        yield reader.schema, _batches(reader, answer, connection)


def _batches(reader: Any, answer: Answer, connection: ClickHouseConnection) -> Iterator[Any]:
    while True:
        with _whole(answer, connection):
            batch = next(reader, None)
            if batch is None:
                if not answer.is_whole():
                    raise EOFError
                return
        yield batch


@contextlib.contextmanager
def _whole(answer: Answer, connection: ClickHouseConnection) -> Iterator[None]:
    try:
        yield
    except (pyarrow.ArrowException, HTTPError, OSError, EOFError) as error:
        raise _reason(answer, connection) from error


def _reason(answer: Answer, connection: ClickHouseConnection) -> CauselineError:
    with contextlib.suppress(HTTPError, OSError):
        answer.is_whole()
        if (complaint := answer.complaint()) is not None:
            return in_our_words(complaint, connection, reading=True)
    return Unreachable(
        f"The answer of ClickHouse at {connection.host}:{connection.port} broke off.", hint="Ask again, or for less."
    )

"""Answers as ClickHouse sends them: headers, compressed results, errors before and in the middle of a result."""

import json
import secrets
import time
from dataclasses import dataclass, field

from starlette.types import Send

from causeline.stack.clickhouse import codecs
from causeline.stack.clickhouse.engine import Counts
from causeline.stack.clickhouse.errors import EngineError

_CONTENT_TYPES = {
    "json": "application/json; charset=UTF-8",
    "jsoneachrow": "application/x-ndjson; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8; header=absent",
    "csvwithnames": "text/csv; charset=UTF-8; header=present",
    "tabseparated": "text/tab-separated-values; charset=UTF-8",
    "xml": "application/xml; charset=UTF-8",
    "markdown": "text/markdown; charset=UTF-8",
    "parquet": "application/octet-stream",
    "native": "application/octet-stream",
    "rowbinary": "application/octet-stream",
    "arrow": "application/octet-stream",
    "arrowstream": "application/octet-stream",
}


@dataclass
class Answer:
    """The answer to one request. `start` it, `write` it and `finish` it, or `fail` it at any point."""

    send: Send
    version: str
    timezone: str
    display_name: str
    query_id: str = ""
    accept_encoding: tuple[str, ...] = ()
    without_body: bool = False  # HEAD
    close: bool = False  # the request body was not read to its end
    is_started: bool = False
    began_at: float = field(default_factory=time.monotonic)
    _encoder: codecs.Encoder | None = None
    _tag: str = field(default_factory=lambda: secrets.token_hex(8))

    async def start(self, output_format: str | None, counts: Counts, *, size: int | None = None) -> None:
        """The head of a result of `size` bytes, if that is known; without a format, of a statement that has none."""
        headers = self._common_headers()
        headers += [
            ("Content-Type", _CONTENT_TYPES.get((output_format or "").lower(), "text/plain; charset=UTF-8")),
            ("X-ClickHouse-Timezone", self.timezone),
            ("X-ClickHouse-Summary", self._summary(counts)),
            ("X-ClickHouse-Exception-Tag", self._tag),
        ]
        if output_format:
            headers.append(("X-ClickHouse-Format", output_format))
        if (found := codecs.encoder(self.accept_encoding)) and size != 0:
            name, self._encoder = found
            headers.append(("Content-Encoding", name))
        elif size is not None:
            headers.append(("Content-Length", str(size)))
        await self._send_head(200, headers)

    async def write(self, data: bytes) -> None:
        """A piece of the result."""
        piece = self._encoder.compress(data) if self._encoder else data
        if piece and not self.without_body:
            await self.send({"type": "http.response.body", "body": piece, "more_body": True})

    async def finish(self) -> None:
        """The end of the result."""
        last = self._encoder.flush() if self._encoder and not self.without_body else b""
        await self.send({"type": "http.response.body", "body": last, "more_body": False})

    async def fail(self, error: EngineError, *, status: int | None = None) -> None:
        """The error in place of the result or, when that has begun, at its end as the client looks for it there."""
        text = error.text(self.version)
        if self.is_started:
            message = text + "\n"
            tail = f"{message}{len(message.encode())} {self._tag}"
            await self.write(f"\r\n__exception__\r\n{self._tag}\r\n{tail}\r\n__exception__\r\n".encode())
            await self.finish()
            return
        body = (text + "\n").encode("utf-8", "replace")
        headers = self._common_headers()
        headers += [
            ("Content-Type", "text/plain; charset=UTF-8"),
            ("Content-Length", str(len(body))),
            ("X-ClickHouse-Exception-Code", str(error.code)),
        ]
        if error.status in {401, 403} and error.code in {194, 516}:
            headers.append(("WWW-Authenticate", 'Basic realm="ClickHouse server HTTP API"'))
        await self._send_head(status or error.status, headers)
        await self.send({"type": "http.response.body", "body": b"" if self.without_body else body, "more_body": False})

    async def plain(self, status: int, text: str) -> None:
        """A short answer that is not a result."""
        body = text.encode()
        headers = [
            *self._common_headers(),
            ("Content-Type", "text/html; charset=UTF-8"),
            ("Content-Length", str(len(body))),
        ]
        await self._send_head(status, headers)
        await self.send({"type": "http.response.body", "body": b"" if self.without_body else body, "more_body": False})

    async def _send_head(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.is_started = True
        if self.close:
            headers.append(("Connection", "close"))
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
        await self.send({"type": "http.response.start", "status": status, "headers": encoded})

    def _common_headers(self) -> list[tuple[str, str]]:
        headers = [("X-ClickHouse-Server-Display-Name", self.display_name)]
        if self.query_id:
            headers.append(("X-ClickHouse-Query-Id", _printable(self.query_id)))
        return headers

    def _summary(self, counts: Counts) -> str:
        numbers = {
            "read_rows": counts.read_rows,
            "read_bytes": counts.read_bytes,
            "written_rows": counts.written_rows,
            "written_bytes": counts.written_bytes,
            "total_rows_to_read": counts.read_rows,
            "result_rows": counts.written_rows or counts.result_rows,
            "result_bytes": counts.written_bytes or counts.result_bytes,
            "elapsed_ns": int((time.monotonic() - self.began_at) * 1e9),
        }
        return json.dumps({name: str(number) for name, number in numbers.items()}, separators=(",", ":"))


def _printable(text: str) -> str:
    """`text` as it may stand in a header."""
    return "".join(character for character in text if character.isprintable())[:256]

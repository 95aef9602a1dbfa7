"""The request body: read as it comes, decompressed, limited in size, given up when the client is slow or gone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.types import Receive

from causeline.stack.clickhouse import errors
from causeline.stack.clickhouse.codecs import Decoder
from causeline.stack.clickhouse.errors import EngineError

MAX_STATEMENT_BYTES: Final = 1 << 20
_DRAIN_BYTES: Final = 64 << 20


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class Incoming:
    """The raw messages of one request; raises EngineError when none comes for `idle_timeout_s`."""

    def __init__(self, receive: Receive, *, idle_timeout_s: float) -> None:
        self._receive, self._idle_timeout_s = receive, idle_timeout_s
        self.is_complete = False

    async def next(self) -> bytes:
        """The next bytes of the body as they were sent. Raises ClientGone."""
        try:
            message = await asyncio.wait_for(self._receive(), self._idle_timeout_s)
        except TimeoutError:
            raise EngineError(
                errors.TIMEOUT_EXCEEDED,
                "TIMEOUT_EXCEEDED",
                f"No byte of the request body came for {self._idle_timeout_s:g} seconds.",
            ) from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        self.is_complete = not message.get("more_body", False)
        return bytes(message.get("body", b""))

    async def until_disconnect(self) -> None:
        """Returns when the client has closed the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def drain(self, error: EngineError) -> bool:
        """Reads and forgets the rest of a failed request, within limits: clients read the answer only after sending.

        Returns whether the connection can be used again.
        """
        left = _DRAIN_BYTES
        while not self.is_complete and left > 0 and error.code != errors.TIMEOUT_EXCEEDED:
            try:
                left -= len(await self.next()) + 1
            except (EngineError, ClientGone):
                return False
        return self.is_complete


class Body:
    """The decompressed body; `limit_bytes` bounds what comes out of it."""

    def __init__(self, incoming: Incoming, decoder: Decoder, *, limit_bytes: int) -> None:
        self._incoming, self._decoder, self._limit_bytes = incoming, decoder, limit_bytes
        self._pieces = self._read()
        self._head = b""

    async def head(self, size: int) -> tuple[bytes, bool]:
        """At least `size` bytes or all there is, left in place; and whether that is all."""
        head = bytearray()
        async for piece in self._pieces:
            head += piece
            if len(head) >= size:
                break
        self._head = bytes(head)
        return self._head, len(head) < size

    def skip_head(self) -> None:
        """Forgets the head, which has been used."""
        self._head = b""

    async def rest(self, limit_bytes: int) -> bytes:
        """All of it at once. Raises EngineError above `limit_bytes`."""
        whole = bytearray()
        async for piece in self.pieces():
            whole += piece
            if len(whole) > limit_bytes:
                raise EngineError(
                    errors.QUERY_IS_TOO_LARGE,
                    "QUERY_IS_TOO_LARGE",
                    f"The statement is larger than {limit_bytes} bytes; send data behind INSERT … FORMAT.",
                )
        return bytes(whole)

    async def pieces(self) -> AsyncIterator[bytes]:
        """What has not been used, in pieces of some size."""
        if self._head:
            head, self._head = self._head, b""
            yield head
        async for piece in self._pieces:
            yield piece

    async def until_disconnect(self) -> None:
        """Returns when the client has closed the connection; to be used after the body's end."""
        await self._incoming.until_disconnect()

    async def _read(self) -> AsyncIterator[bytes]:
        total = 0
        while not self._incoming.is_complete:
            for piece in self._decoder.feed(await self._incoming.next()):
                total += len(piece)
                if total > self._limit_bytes:
                    raise EngineError(
                        errors.TOO_MANY_ROWS_OR_BYTES,
                        "TOO_MANY_ROWS_OR_BYTES",
                        f"The request body is larger than {self._limit_bytes} bytes; send it in several requests.",
                    )
                yield piece
        self._decoder.finish()

"""Compression of bodies: what clients send as Content-Encoding, what they accept back, and ClickHouse's block framing.

Everything decompresses in pieces of at most `PIECE_BYTES`, so that a small body cannot become a large allocation.
"""

import importlib
import sys
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Final, Protocol, cast

from causeline.stack.clickhouse import errors
from causeline.stack.clickhouse.errors import EngineError

PIECE_BYTES: Final = 1 << 20
_MAX_BLOCK_BYTES: Final = 64 << 20
_BLOCK_HEADER_BYTES: Final = 25  # checksum 16, method 1, sizes 4 + 4


class Decoder(Protocol):
    """Decompresses a body as it comes."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` completes, in pieces."""
        ...

    def finish(self) -> None:
        """Raises EngineError when the body ended inside something."""
        ...


class Encoder(Protocol):
    """Compresses a result as it goes."""

    def compress(self, data: bytes) -> bytes:
        """Some compressed bytes, perhaps none yet."""
        ...

    def flush(self) -> bytes:
        """The rest."""
        ...


class _BoundedDecompressor(Protocol):
    """The standard library's shape, which lz4 and zstd share."""

    eof: bool
    needs_input: bool
    unused_data: bytes | None

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Identity:
    """No compression."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """`data` as it is."""
        if data:
            yield data

    def finish(self) -> None:
        """Nothing can be missing."""


class _Zlib:
    """gzip and deflate; several gzip members in a row are one body."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=47)  # 32 + 15: gzip or zlib, as the header says
        self._is_fresh = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream.eof:
                self._stream = zlib.decompressobj(wbits=47)
            self._is_fresh = False
            try:
                piece = self._stream.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise _corrupt(str(error)) from None
            if piece:
                yield piece
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    def finish(self) -> None:
        if not self._is_fresh and not self._stream.eof:
            raise _corrupt("the body ends inside a compressed stream")


class _Frames:
    """lz4 and zstd: frames, one behind the other."""

    def __init__(self, make: Callable[[], _BoundedDecompressor], failures: tuple[type[Exception], ...]) -> None:
        self._make, self._failures = make, failures
        self._frame: _BoundedDecompressor | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data or (self._frame is not None and not self._frame.needs_input and not self._frame.eof):
            if self._frame is None or self._frame.eof:
                self._frame = self._make()
            try:
                piece = self._frame.decompress(data, PIECE_BYTES)
            except self._failures as error:
                raise _corrupt(str(error)) from None
            data = (self._frame.unused_data or b"") if self._frame.eof else b""
            if piece:
                yield piece

    def finish(self) -> None:
        if self._frame is not None and not self._frame.eof:
            raise _corrupt("the body ends inside a compressed frame")


class ClickHouseBlocks:
    """ClickHouse's own framing (`decompress=1`): checksum, method, sizes, payload. Checksums are not verified."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The blocks that `data` completes."""
        self._pending += data
        while len(self._pending) >= _BLOCK_HEADER_BYTES:
            method = self._pending[16]
            size = int.from_bytes(self._pending[17:21], "little")
            plain_size = int.from_bytes(self._pending[21:25], "little")
            if size < 9 or max(size, plain_size) > _MAX_BLOCK_BYTES:
                raise _corrupt("a block has an impossible size")
            if len(self._pending) < 16 + size:
                return
            payload = bytes(self._pending[_BLOCK_HEADER_BYTES : 16 + size])
            del self._pending[: 16 + size]
            yield _block(method, payload, plain_size)

    def finish(self) -> None:
        """Raises EngineError when half a block is left."""
        if self._pending:
            raise _corrupt("the body ends inside a block")


def decoder(content_encoding: str) -> Decoder:
    """The decoder for a Content-Encoding. Raises EngineError for one that is not known."""
    match content_encoding:
        case "" | "identity":
            return Identity()
        case "gzip" | "x-gzip" | "deflate":
            return _Zlib()
        case "lz4":
            lz4_frame = importlib.import_module("lz4.frame")
            return _Frames(
                cast("Callable[[], _BoundedDecompressor]", lz4_frame.LZ4FrameDecompressor), (RuntimeError, EOFError)
            )
        case "zstd":
            zstd = _zstd()
            return _Frames(
                cast("Callable[[], _BoundedDecompressor]", zstd.ZstdDecompressor), (zstd.ZstdError, EOFError)
            )
    raise EngineError(
        errors.NOT_IMPLEMENTED,
        "NOT_IMPLEMENTED",
        f"Content-Encoding {content_encoding!r} is not known; send gzip, deflate, lz4, zstd or nothing.",
    )


def encoder(accepted: tuple[str, ...]) -> tuple[str, Encoder] | None:
    """The name and encoder for the first encoding that both sides know, best first; None for none."""
    for name in ("zstd", "lz4", "gzip", "deflate"):
        if name in accepted:
            return name, _encoder(name)
    return None


def _encoder(name: str) -> Encoder:
    if name == "zstd":
        return cast("Encoder", _zstd().ZstdCompressor(level=1))
    if name == "lz4":
        return _Lz4Encoder()
    return zlib.compressobj(level=1, wbits=31 if name == "gzip" else 15)


class _Lz4Encoder:
    def __init__(self) -> None:
        self._frame = importlib.import_module("lz4.frame").LZ4FrameCompressor()
        self._begun = False

    def compress(self, data: bytes) -> bytes:
        head = b"" if self._begun else bytes(self._frame.begin())
        self._begun = True
        return head + bytes(self._frame.compress(data))

    def flush(self) -> bytes:
        return (b"" if self._begun else bytes(self._frame.begin())) + bytes(self._frame.flush())


def _block(method: int, payload: bytes, plain_size: int) -> bytes:
    try:
        match method:
            case 0x02:
                plain = payload
            case 0x82:
                plain = bytes(importlib.import_module("lz4.block").decompress(payload, uncompressed_size=plain_size))
            case 0x90:
                plain = next(_Frames(_zstd().ZstdDecompressor, (_zstd().ZstdError,)).feed(payload), b"")
            case _:
                raise _corrupt(f"a block is compressed by the unknown method {method:#04x}")
    except (RuntimeError, ValueError) as error:
        raise _corrupt(f"a block does not decompress: {error}") from None
    if len(plain) != plain_size:
        raise _corrupt("a block's size is not what its header says")
    return plain


def _zstd() -> ModuleType:
    """The standard library's module, or its backport before Python 3.14."""
    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def _corrupt(reason: str) -> EngineError:
    return EngineError(errors.CANNOT_DECOMPRESS, "CANNOT_DECOMPRESS", f"The compressed body cannot be read: {reason}.")

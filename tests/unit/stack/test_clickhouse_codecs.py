"""Compressed bodies, in pieces as they come."""

import gzip
import importlib
import zlib
from collections.abc import Callable

import lz4.block
import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.stack.clickhouse import codecs, errors
from causeline.stack.clickhouse.errors import EngineError


def _zstd(data: bytes) -> bytes:
    return bytes(importlib.import_module("backports.zstd").compress(data))


_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "lz4": lz4.frame.compress,
    "zstd": _zstd,
}


def _read(decoder: codecs.Decoder, body: bytes, size: int) -> bytes:
    pieces = [piece for start in range(0, len(body), size) for piece in decoder.feed(body[start : start + size])]
    decoder.finish()
    assert all(len(piece) <= codecs.PIECE_BYTES for piece in pieces)
    return b"".join(pieces)


@pytest.mark.parametrize("name", list(_COMPRESS))
@given(data=st.binary(max_size=2000), size=st.integers(1, 500))
def test_what_was_compressed_comes_back(name: str, data: bytes, size: int) -> None:
    assert _read(codecs.decoder(name), _COMPRESS[name](data), size) == data


@pytest.mark.parametrize("name", ["gzip", "lz4", "zstd"])
def test_two_streams_are_one_body(name: str) -> None:
    assert _read(codecs.decoder(name), _COMPRESS[name](b"one") + _COMPRESS[name](b"two"), 7) == b"onetwo"


@pytest.mark.parametrize("name", ["gzip", "deflate", "lz4", "zstd"])
def test_a_bomb_comes_out_in_small_pieces(name: str) -> None:
    body = _COMPRESS[name](bytes(20 << 20))
    assert len(body) < 200_000
    assert len(_read(codecs.decoder(name), body, len(body))) == 20 << 20


@pytest.mark.parametrize("name", ["gzip", "deflate", "lz4", "zstd"])
def test_a_broken_or_cut_body_is_an_error(name: str) -> None:
    for body in (b"this is not compressed at all", _COMPRESS[name](b"x" * 1000)[:-3]):
        with pytest.raises(EngineError) as caught:
            _read(codecs.decoder(name), body, 10)
        assert caught.value.code == errors.CANNOT_DECOMPRESS


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(EngineError, match="'br'"):
        codecs.decoder("br")


@pytest.mark.parametrize("name", ["gzip", "deflate", "lz4", "zstd"])
def test_results_are_compressed_as_the_client_asks(name: str) -> None:
    found = codecs.encoder((name, "br"))
    assert found is not None
    assert found[0] == name
    packed = b"".join([found[1].compress(b"a" * 1000), found[1].compress(b"b" * 1000), found[1].flush()])
    assert _read(codecs.decoder(name), packed, 100) == b"a" * 1000 + b"b" * 1000


def test_without_a_common_encoding_nothing_is_compressed() -> None:
    assert codecs.encoder(("br",)) is None


def _block(method: int, payload: bytes, plain_size: int) -> bytes:
    size = (len(payload) + 9).to_bytes(4, "little")
    return bytes(16) + bytes([method]) + size + plain_size.to_bytes(4, "little") + payload


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_clickhouses_own_blocks_are_read(size: int) -> None:
    plain = b"0123456789" * 50
    body = b"".join(
        [
            _block(0x82, lz4.block.compress(plain, store_size=False), len(plain)),
            _block(0x02, plain, len(plain)),
            _block(0x90, _zstd(plain), len(plain)),
        ]
    )
    assert _read(codecs.ClickHouseBlocks(), body, size) == plain * 3


@pytest.mark.parametrize(
    "body",
    [
        _block(0x82, b"garbage", 100),
        _block(0x55, b"x", 1),
        _block(0x02, b"x", 2),
        _block(0x82, b"x", 1 << 31),
        _block(0x02, b"xyz", 3)[:-1],
    ],
)
def test_broken_blocks_are_errors(body: bytes) -> None:
    with pytest.raises(EngineError):
        _read(codecs.ClickHouseBlocks(), body, 1000)

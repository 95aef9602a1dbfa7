"""Batches in a file in place of a topic: each stands as the value that Kafka would have had, after its length.

The length is four bytes, little-endian. One write is one batch, so processes may share a file.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

_LENGTH = struct.Struct("<I")


def append_batch(file: Path, value: bytes) -> None:
    """Append a batch; raises OSError. A file that is made is readable by its owner only, as a spool is."""
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "ab", buffering=0) as out:
        out.write(_LENGTH.pack(len(value)) + value)


def read_batches(file: Path) -> Iterator[bytes]:
    """The batches of a file, oldest first; one that was cut short by the end of its process is left out."""
    data = file.read_bytes() if file.exists() else b""
    at = 0
    while at + _LENGTH.size <= len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + length > len(data):
            return
        yield data[at : at + length]
        at += length

"""A segment of the spool: one append-only file of records, each with its checksum, locked by the process that holds it.

    segment = repeat(record);  record = header, repeat(item's length as 4 bytes, item)
    header  = magic, CRC-32 of all that follows it, bytes of the body, number of events, number of the first of them

A process that is killed leaves whole records and at most one torn one at the end, which the next reader leaves out. The
lock is the operating system's (`flock`), so it goes with the process, however that ends.
"""

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from causeline.schemas.errors import EnvironmentFault

SUFFIX = ".spool"

_MAGIC = b"CLs1"
_HEADER = struct.Struct("<4sI")
_ABOUT = struct.Struct("<IIQ")
_LENGTH = struct.Struct("<I")
_HEAD_BYTES = _HEADER.size + _ABOUT.size


@dataclass(slots=True, eq=False)
class Record:
    """Some events in a segment, in the order in which they came. `first` is the number of the first in its process."""

    segment: "Segment"
    at: int
    size_bytes: int
    events: int
    first: int
    is_under_way: bool = False

    def items(self) -> list[bytes]:
        """The events' bytes; raises EnvironmentFault when they cannot be read or are not what was written."""
        return self.segment.read(self)


class Segment:
    """One file of records, open and locked. Not safe for threads."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle
        self.size_bytes = 0
        self.damaged_bytes = 0
        """At the end of the file, torn or altered: left out."""
        self.records: dict[int, Record] = {}
        """Those that are not done, by their place."""

    @classmethod
    def create(cls, path: Path) -> "Segment | None":
        """A new one; None when the name is taken. Raises OSError."""
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return None
        if _lock(handle):
            return cls(path, handle)
        os.close(handle)
        return None

    @classmethod
    def adopt(cls, path: Path) -> "Segment | None":
        """One that a process has left behind, with its records; None while its process lives. Raises OSError."""
        try:
            handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        if not _lock(handle) or os.fstat(handle).st_nlink == 0:
            os.close(handle)
            return None
        segment = cls(path, handle)
        segment.records = {record.at: record for record in segment._scan()}
        return segment

    def append(self, first: int, items: Sequence[bytes]) -> Record:
        """Write one record. Raises OSError, after which the file is as it was before."""
        body = b"".join(part for item in items for part in (_LENGTH.pack(len(item)), item))
        about = _ABOUT.pack(len(body), len(items), first)
        data = b"".join((_HEADER.pack(_MAGIC, zlib.crc32(body, zlib.crc32(about))), about, body))
        record = Record(self, self.size_bytes, len(data), len(items), first)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        except OSError:
            os.ftruncate(self._handle, self.size_bytes)
            raise
        self.size_bytes += len(data)
        self.records[record.at] = record
        return record

    def read(self, record: Record) -> list[bytes]:
        """The events of a record; raises EnvironmentFault."""
        data = os.pread(self._handle, record.size_bytes, record.at)
        if len(data) < record.size_bytes or not _is_sound(data):
            raise EnvironmentFault(
                f"The spool's file {self.path.name} has been altered.",
                hint="Its damaged events are lost; check the disk.",
            )
        items = []
        at = _HEAD_BYTES
        for _ in range(record.events):
            (size,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size + size
            items.append(data[at - size : at])
        return items

    def remove(self) -> None:
        """Delete the file and let go of it. Raises OSError."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the file: another process may take it over."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _scan(self) -> Iterator[Record]:
        end = os.fstat(self._handle).st_size
        while self.size_bytes < end:
            head = os.pread(self._handle, _HEAD_BYTES, self.size_bytes)
            body_bytes, events, first = (
                _ABOUT.unpack_from(head, _HEADER.size) if len(head) == _HEAD_BYTES else (0, 0, 0)
            )
            size = _HEAD_BYTES + body_bytes
            if size > end - self.size_bytes or not _is_sound(os.pread(self._handle, size, self.size_bytes)):
                self.damaged_bytes = end - self.size_bytes
                return
            yield Record(self, self.size_bytes, size, events, first)
            self.size_bytes += size


@dataclass(frozen=True, slots=True)
class SegmentState:
    """What a segment's file says from the outside, bytes and seconds since the epoch."""

    name: str
    events: int
    """Of a file that is held, delivered ones too: it goes as a whole."""
    size_bytes: int
    damaged_bytes: int
    written_at_s: float
    is_held: bool
    """Whether a living process holds it."""


def look_at(path: Path) -> SegmentState | None:
    """The state of a segment that anybody may hold; None when it is gone meanwhile. Raises OSError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    segment = Segment(path, handle)
    try:
        is_held = not _try_lock(handle, fcntl.LOCK_SH)
        fcntl.flock(handle, fcntl.LOCK_UN)
        events = sum(record.events for record in segment._scan())  # noqa: SLF001 - our own
        about = os.fstat(handle)
    finally:
        segment.close()
    damaged = 0 if is_held else segment.damaged_bytes  # its process may be in the midst of a record
    return SegmentState(path.name, events, about.st_size, damaged, about.st_mtime, is_held)


def segments_in(folder: Path) -> list[SegmentState]:
    """The segments of a spool, by name; none where there is no folder. Raises OSError."""
    states = (look_at(path) for path in sorted(folder.glob(f"*{SUFFIX}")))
    return [state for state in states if state is not None]


def _is_sound(data: bytes) -> bool:
    if len(data) < _HEAD_BYTES:
        return False
    magic, checksum = _HEADER.unpack_from(data)
    return bool(magic == _MAGIC) and zlib.crc32(memoryview(data)[_HEADER.size :]) == checksum


def _lock(handle: int) -> bool:
    """Hold a file; False while a living process does. Whoever only looks at it has it shared, and for a moment."""
    while not _try_lock(handle, fcntl.LOCK_EX):
        if not _try_lock(handle, fcntl.LOCK_SH):
            return False
        fcntl.flock(handle, fcntl.LOCK_UN)
    return True


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

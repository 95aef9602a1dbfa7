"""Many small artifacts in a few files: appended to a pack, with an index of where each stands.

A file each costs more than a small artifact is worth when thousands come a second. Each process appends to packs of its
own, and the index is one SQLite database, so this is safe for threads and processes. What `write` has returned from
survives `kill -9`: the bytes are written before the index names them.
"""

import fcntl
import os
import secrets
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable
from pathlib import Path

from causeline.schemas.errors import EnvironmentFault

MAX_PACKED_BYTES = 64 * 1024
"""Larger artifacts are files of their own."""
_INDEX = "packs/index.sqlite3"
_MAX_PACK_BYTES = 1024**3
_BUSY_S = 30
_CACHE_KIB = -64 * 1024  # negative: SQLite's way to say KiB
_CHECKPOINT_PAGES = 16_000
"""Digests are spread over the whole index, so nearly each goes to a page of its own. With the pages at hand, and
written back once in 64 MB of log, a blob costs 9 us in an index of 400,000, and 17 with SQLite's own bounds."""
_A_DAY_S = 86_400
_ROWS = 200
"""Of one statement: SQLite lets go of the interpreter's lock for each, which costs more than a row does."""


def _insert(rows: int) -> str:
    return (
        "INSERT INTO blobs (digest, pack, start, size, stored_on)"  # noqa: S608 - constants
        f" VALUES {', '.join(['(?, ?, ?, ?, ?)'] * rows)}"
        " ON CONFLICT (digest) DO UPDATE SET stored_on = excluded.stored_on WHERE stored_on < excluded.stored_on"
    )


class PackedBlobs:
    """Small blobs by SHA-256, in packs below a directory; made when the first is written."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._index_file = root / _INDEX
        self._lock = threading.Lock()
        self._index: sqlite3.Connection | None = None
        self._pack: int | None = None
        self._pack_bytes = 0
        self._pack_name = ""
        self._opened_in = 0

    def write(self, blobs: Iterable[tuple[bytes, bytes]]) -> None:
        """Store (digest, bytes) pairs, all or none; one that is there stays. Raises EnvironmentFault."""
        lot = list(blobs)
        today = int(time.time() // _A_DAY_S)
        try:
            with self._lock:
                index = self._open()
                pack = self._open_pack()
                places = []
                at = self._pack_bytes
                for digest, data in lot:
                    places.append((digest, self._pack_name, at, len(data), today))
                    at += len(data)
                self._append(pack, b"".join(data for _, data in lot))
                with index:
                    for rows in (places[at : at + _ROWS] for at in range(0, len(places), _ROWS)):
                        index.execute(_insert(len(rows)), [value for row in rows for value in row])
        except (sqlite3.Error, OSError) as error:
            raise EnvironmentFault(
                f"Artifacts cannot be written: {error}.",
                hint=f"Check space and permissions of {self._root}, or set CAUSELINE_ARTIFACTS.",
            ) from error

    def size(self, digest: bytes) -> int | None:
        """How many bytes a blob has; None when it is not here. Raises EnvironmentFault."""
        found = self._find(digest)
        return None if found is None else found[2]

    def read(self, digest: bytes) -> bytes | None:
        """The bytes of a blob; None when it is not here. Raises EnvironmentFault."""
        found = self._find(digest)
        if found is None:
            return None
        name, at, size = found
        try:
            with self._pack_file(name).open("rb") as pack:
                pack.seek(at)
                return pack.read(size)
        except OSError as error:
            raise EnvironmentFault(f"An artifact cannot be read: {error.strerror}.") from error

    def touch(self, digest: bytes) -> None:
        """Note that a blob was stored again."""
        today = int(time.time() // _A_DAY_S)
        with self._lock, self._open() as index:
            index.execute("UPDATE blobs SET stored_on = ? WHERE digest = ? AND stored_on < ?", (today, digest, today))

    def unused_since(self, cutoff_s: float) -> list[bytes]:
        """Digests of blobs that nobody stored since then, to the day."""
        if self._index is None and not self._index_file.exists():
            return []
        with self._lock:
            found = self._open().execute("SELECT digest FROM blobs WHERE stored_on < ?", (int(cutoff_s // _A_DAY_S),))
            return [digest for (digest,) in found]

    def remove(self, digest: bytes, cutoff_s: float) -> int:
        """Overwrite a blob where it lies and forget it; its bytes, 0 where it is not here or was stored since then.

        A pack of which nothing is left goes, unless a process may still append to it.
        """
        if self._index is None and not self._index_file.exists():
            return 0
        last_day = 1 << 40 if cutoff_s == float("inf") else int(cutoff_s // _A_DAY_S)
        try:
            with self._lock, self._open() as index:
                row = index.execute(
                    "DELETE FROM blobs WHERE digest = ? AND stored_on < ? RETURNING pack, start, size",
                    (digest, last_day),
                ).fetchone()
                if row is None:
                    return 0
                name, start, size = row
                with self._pack_file(name).open("r+b") as pack:
                    pack.seek(start)
                    pack.write(bytes(size))
                    os.fsync(pack.fileno())
                if index.execute("SELECT 1 FROM blobs WHERE pack = ? LIMIT 1", (name,)).fetchone() is None:
                    self._drop(name)
        except (sqlite3.Error, OSError) as error:
            raise EnvironmentFault(f"An artifact cannot be removed: {error}.") from error
        return int(size)

    def _drop(self, name: str) -> None:
        """Remove a pack that nobody has open for writing: writers hold a shared lock for as long as they live."""
        file = self._pack_file(name)
        with file.open("rb") as pack:
            try:
                fcntl.flock(pack, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            file.unlink()

    def _find(self, digest: bytes) -> tuple[str, int, int] | None:
        if self._index is None and not self._index_file.exists():
            return None
        try:
            with self._lock:
                row = self._open().execute("SELECT pack, start, size FROM blobs WHERE digest = ?", (digest,)).fetchone()
        except (sqlite3.Error, OSError) as error:
            raise EnvironmentFault(f"The index of the artifacts cannot be read: {error}.") from error
        return None if row is None else (str(row[0]), int(row[1]), int(row[2]))

    def _open(self) -> sqlite3.Connection:
        if self._opened_in != os.getpid():  # a fork must not use what its parent has open
            self._index = self._pack = None
        if self._index is None:
            self._index_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._index_file.touch(mode=0o600)
            index = sqlite3.connect(self._index_file, timeout=_BUSY_S, check_same_thread=False)
            index.execute("PRAGMA journal_mode = WAL")
            index.execute("PRAGMA synchronous = NORMAL")
            index.execute(f"PRAGMA cache_size = {_CACHE_KIB}")
            index.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            index.execute(
                "CREATE TABLE IF NOT EXISTS blobs (digest BLOB PRIMARY KEY, pack TEXT, start INTEGER, size INTEGER)"
                " WITHOUT ROWID"
            )
            _add_day(index)
            self._index, self._opened_in = index, os.getpid()
            weakref.finalize(self, _close, index, self._opened_in)
        return self._index

    def _open_pack(self) -> int:
        if self._pack is None or self._pack_bytes > _MAX_PACK_BYTES:
            self._pack_name = secrets.token_hex(8)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._pack = os.open(self._pack_file(self._pack_name), flags, 0o600)
            fcntl.flock(self._pack, fcntl.LOCK_SH)
            self._pack_bytes = 0
            weakref.finalize(self, os.close, self._pack)
        return self._pack

    def _append(self, pack: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = os.write(pack, rest)
            self._pack_bytes += written  # also when the next write fails: what is there keeps its place
            rest = rest[written:]

    def _pack_file(self, name: str) -> Path:
        return self._index_file.parent / f"{name}.pack"


def _close(index: sqlite3.Connection, opened_in: int) -> None:
    """In the process that opened it: a fork must not close what its parent goes on with."""
    if os.getpid() == opened_in:
        index.close()


def _add_day(index: sqlite3.Connection) -> None:
    """The day that a blob was last stored on; of an index from before there were days it is unknown, and long ago."""
    if "stored_on" in {name for _, name, *_ in index.execute("PRAGMA table_info(blobs)")}:
        return
    try:
        index.execute("ALTER TABLE blobs ADD COLUMN stored_on INTEGER NOT NULL DEFAULT 0")
    except sqlite3.OperationalError as error:
        if "duplicate column" not in str(error):  # else another process was faster
            raise

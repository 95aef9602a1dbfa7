"""Many small artifacts in one file: a SQLite database beside the others, a transaction for each lot.

A file each costs more than a small artifact is worth when thousands come a second. Safe for threads and processes;
what a `write` has returned from is on disk as far as the operating system is concerned, so it survives `kill -9`.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path

from causeline.schemas.errors import EnvironmentFault

MAX_PACKED_BYTES = 64 * 1024
"""Larger artifacts are files of their own."""
_NAME = "packed.sqlite3"
_BUSY_S = 30


class PackedBlobs:
    """Small blobs by address, in a directory's one database; made when the first is written."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._file = root / _NAME
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened_in = 0

    def write(self, blobs: Iterable[tuple[str, bytes]]) -> None:
        """Store (address, bytes) pairs, all or none; one that is there stays. Raises EnvironmentFault."""
        try:
            with self._lock, self._open() as connection:
                connection.executemany("INSERT OR IGNORE INTO blobs VALUES (?, ?)", blobs)
        except (sqlite3.Error, OSError) as error:
            raise EnvironmentFault(
                f"Artifacts cannot be written: {error}.",
                hint=f"Check space and permissions of {self._root}, or set CAUSELINE_ARTIFACTS.",
            ) from error

    def read(self, address: str) -> bytes | None:
        """The bytes of an address; None when they are not here. Raises EnvironmentFault."""
        if self._connection is None and not self._file.exists():
            return None
        try:
            with self._lock:
                found = self._open().execute("SELECT data FROM blobs WHERE address = ?", (address,)).fetchone()
        except (sqlite3.Error, OSError) as error:
            raise EnvironmentFault(f"The artifact {address} cannot be read: {error}.") from error
        return None if found is None else bytes(found[0])

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._opened_in != os.getpid():  # a fork must not use its parent's connection
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file.touch(mode=0o600)
            connection = sqlite3.connect(self._file, timeout=_BUSY_S, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("CREATE TABLE IF NOT EXISTS blobs (address TEXT PRIMARY KEY, data BLOB NOT NULL)")
            self._connection, self._opened_in = connection, os.getpid()
        return self._connection

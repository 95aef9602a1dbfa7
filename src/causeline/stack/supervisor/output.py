"""The output of one service: a log file of bounded size, its last lines, and the line that says "ready"."""

import asyncio
import logging
import os
import re
from collections import deque
from collections.abc import Sequence
from pathlib import Path

KEPT_LINES = 20
MAX_LOG_BYTES = 5 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_MAX_LINE_BYTES = 16 * 1024

log = logging.getLogger(__name__)
_LOUD = re.compile(r"(?:error: |.*?\b(?:ERROR|CRITICAL)\b[\s:\]]*(?:[\w.]+: )?)(?P<says>.*)", re.DOTALL)


def telling(lines: Sequence[str]) -> str:
    """What a service that ended had to say: the last error among its lines, by itself, or else its last line."""
    said = [line.strip() for line in lines if line.strip()]
    errors = [found["says"] for line in said if (found := _LOUD.match(line)) and found["says"]]
    return (errors or said or ["nothing"])[-1].removesuffix(".")


class RotatingLog:
    """Appends bytes to `file`; past `max_bytes` the file becomes `file.1` and a new one begins.

    A disk without space must not stop a service: what cannot be written is dropped, and said once.
    """

    def __init__(self, file: Path, *, max_bytes: int = MAX_LOG_BYTES) -> None:
        self._file = file
        self._max_bytes = max_bytes
        self._stream = file.open("ab", buffering=0)
        self._size = self._stream.tell()
        self._failing = False

    def write(self, data: bytes) -> None:
        """Append `data`."""
        try:
            if self._size and self._size + len(data) > self._max_bytes:
                self._rotate()
            self._stream.write(data)
            self._size += len(data)
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.warning("%s cannot be written: %s", self._file.name, error.strerror)
            self._failing = True

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _rotate(self) -> None:
        self._stream.close()
        self._file.replace(self._file.with_name(f"{self._file.name}.1"))
        self._stream = self._file.open("ab", buffering=0)
        self._size = 0


class Output:
    """Reads what a service prints until it closes its end."""

    def __init__(self, target: RotatingLog, *, ready_pattern: str | None = None) -> None:
        self._target = target
        self._pattern = re.compile(ready_pattern) if ready_pattern else None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._partial = b""
        self.ready_line_seen = asyncio.Event()

    @property
    def last_lines(self) -> list[str]:
        """The last lines printed, oldest first."""
        tail = [self._partial.decode(errors="replace")] if self._partial else []
        return [*self._lines, *tail][-KEPT_LINES:]

    async def pump(self, descriptor: int) -> None:
        """Copy what comes out of the pipe `descriptor` to the log until its end, then close it."""
        stream = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb", buffering=0)
        )
        try:
            while chunk := await stream.read(_CHUNK_BYTES):
                self.take(chunk)
        finally:
            transport.close()

    def take(self, chunk: bytes) -> None:
        """Log `chunk` and look at the lines that it completes."""
        self._target.write(chunk)
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        for line in lines:
            self._take_line(line)
        if len(self._partial) > _MAX_LINE_BYTES:  # a line without an end must not fill the memory
            self._take_line(self._partial)
            self._partial = b""

    def _take_line(self, raw: bytes) -> None:
        line = raw[:_MAX_LINE_BYTES].decode(errors="replace").rstrip("\r")
        self._lines.append(line)
        if self._pattern and self._pattern.search(line):
            self.ready_line_seen.set()

"""A way into a file in place of the broker: one process traces, another reads what it traced, and nothing else runs."""

import os
from pathlib import Path

from causeline.producers.emitter.transport import Delivered
from causeline.schemas.wire.batch_file import append_batch


class FileTransport:
    """Appends batches to a file; processes may share it, for one write is one batch."""

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self._file = Path(file)
        self._fault: str | None = None

    def partitions(self, timeout_s: float) -> int | None:
        """One."""
        return 1

    def send(self, partition: int, value: bytes, delivered: Delivered) -> None:
        """Append a batch."""
        try:
            append_batch(self._file, value)
        except OSError as error:
            self._fault = f"{self._file.name} cannot be written: {error.strerror}."
            delivered(self._fault)
        else:
            delivered(None)

    def poll(self, timeout_s: float) -> None:
        """Nothing is ever under way."""

    def close(self) -> None:
        """Nothing is open."""

    def abandon(self) -> None:
        """Nothing is shared."""

    def take_fault(self) -> str | None:
        """What has gone wrong since the last call."""
        fault, self._fault = self._fault, None
        return fault

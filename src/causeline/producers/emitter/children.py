"""What the forked children of a process have lost, counted in memory that parent and child share.

A child that ends by its own hooks delivers what it has. One that is killed, or ends by `os._exit`, cannot, and nobody
in it can say so: so it counts what it was given and what is safe where its parent sees both.

1. Before a fork the parent chooses a slot, on the thread that forks; the child finds it there.
2. The child writes its process number into the slot, then what it was offered and what is kept.
3. Once the child is gone the difference is lost, and the slot is free again.
"""

import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SLOTS: Final = 1024
_WIDTH: Final = 4
_PID, _OFFERED, _KEPT = range(3)


class ChildTally:
    """Where a child counts. Its writes are of eight bytes each, which a reader sees whole."""

    __slots__ = ("_at", "_memory", "kept", "offered")

    def __init__(self, memory: memoryview, slot: int) -> None:
        self._memory, self._at = memory, slot * _WIDTH
        self.offered = self.kept = 0
        memory[self._at + _OFFERED] = memory[self._at + _KEPT] = 0
        memory[self._at + _PID] = os.getpid()

    def offer(self) -> None:
        """The child's emitter was given an event."""
        self.offered += 1
        self._memory[self._at + _OFFERED] = self.offered

    def keep(self, events: int) -> None:
        """So many more are delivered, or on the disk."""
        self.kept += events
        self._memory[self._at + _KEPT] = self.kept


class Children:
    """The children of one process, of one emitter."""

    def __init__(self) -> None:
        self._memory: memoryview | None = None
        self._chosen = threading.local()
        self._taken: set[int] = set()
        self._lost = 0
        self._lock = threading.Lock()

    def before_fork(self) -> None:
        """Choose the slot of the child to be; without a free one it is not counted."""
        with self._lock:
            if self._memory is None:
                self._memory = memoryview(mmap.mmap(-1, _SLOTS * _WIDTH * 8)).cast("q")
            self._reap(self._memory)
            slot = next((slot for slot in range(_SLOTS) if slot not in self._taken), None)
            if slot is not None:
                self._memory[slot * _WIDTH + _PID] = 0
                self._taken.add(slot)
        self._chosen.slot = slot

    def in_child(self) -> ChildTally | None:
        """In the child: where it counts."""
        slot = getattr(self._chosen, "slot", None)
        return None if slot is None or self._memory is None else ChildTally(self._memory, slot)

    def lost(self) -> int:
        """Events of children that are gone, and that nobody has."""
        with self._lock:
            if self._memory is not None:
                self._reap(self._memory)
            return self._lost

    def _reap(self, memory: memoryview) -> None:
        for slot in list(self._gone(memory)):
            at = slot * _WIDTH
            self._lost += max(0, memory[at + _OFFERED] - memory[at + _KEPT])
            self._taken.discard(slot)

    def _gone(self, memory: memoryview) -> Iterator[int]:
        for slot in self._taken:
            pid = memory[slot * _WIDTH + _PID]
            if pid and not _is_alive(pid):
                yield slot


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # one that has ended, and that its parent has not waited for yet, is there in name only
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):
        return True

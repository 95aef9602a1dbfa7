"""Acknowledgement in offset order: a message counts as processed only when all before it do.

A message is held while something of it is not yet safely elsewhere: a run that is open or on its way out, a late batch,
a gap, a dead letter; and from its arrival on by whoever takes it in, who lets go of it last, when all the others hold
it. What comes out of `acknowledged` may be committed, and nothing else may.
"""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


class OffsetJump(RuntimeError):
    """A message of the log was not delivered: it would be acknowledged unseen."""


@dataclass(slots=True, eq=False)
class Entry(Generic[T]):
    """A message that is not acknowledged yet: `holds` counts what keeps it, `token` is what acknowledges it."""

    offset: int
    token: T
    arrived_at_us: int
    holds: int = 1
    """At first that of whoever takes the message in."""


class Acknowledger(Generic[T]):
    """The messages of one partition, in one generation of the group, that are not acknowledged yet."""

    def __init__(self, first_offset: int) -> None:
        self.next_offset = first_offset
        """The offset that must arrive next."""
        self._entries: deque[Entry[T]] = deque()
        self._by_offset: dict[int, Entry[T]] = {}

    @property
    def first_unacknowledged(self) -> int:
        """All before this offset is acknowledged."""
        return self._entries[0].offset if self._entries else self.next_offset

    @property
    def oldest(self) -> Entry[T] | None:
        """The message that all others wait for."""
        return self._entries[0] if self._entries else None

    def __len__(self) -> int:
        return len(self._entries)

    def arrive(self, offset: int, token: T, now_us: int, *, since: int | None = None) -> Entry[T]:
        """A message came, held once; raises OffsetJump unless it is the next.

        `since` is the first offset from which on the log holds nothing before this message: offsets may be missing in
        a log, where a transaction ended or where it was compacted.
        """
        if not (offset if since is None else since) <= self.next_offset <= offset:
            raise OffsetJump(f"Offset {offset} came where {self.next_offset} was due.")
        entry = Entry(offset, token, now_us)
        self._entries.append(entry)
        self._by_offset[offset] = entry
        self.next_offset = offset + 1
        return entry

    def pass_over(self, since: int, until: int) -> bool:
        """The log holds nothing from `since` to before `until`; True where that moved `next_offset`."""
        if not since <= self.next_offset < until:
            return False
        self.next_offset = until
        return True

    def entry(self, offset: int) -> Entry[T]:
        """The message of an offset that is not acknowledged yet."""
        return self._by_offset[offset]

    def acknowledged(self) -> list[T]:
        """The tokens of the messages that nothing holds, from the first on until one that is held."""
        tokens = []
        while self._entries and self._entries[0].holds == 0:
            entry = self._entries.popleft()
            del self._by_offset[entry.offset]
            tokens.append(entry.token)
        return tokens

"""What requests under way may hold together, by whichever endpoint they come: bytes, and calls of one peer."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_CALLS_OF_A_PEER: Final = 64


class Full(Exception):
    """There is no room; what is asked can be sent again."""


class Budget:
    """One a process, used on its event loop. Bytes count as soon as they are here, decompressed ones besides."""

    def __init__(self, most_bytes: int, calls_of_a_peer: int = _CALLS_OF_A_PEER) -> None:
        self._most_bytes = most_bytes
        self._calls_of_a_peer = calls_of_a_peer
        self._bytes = 0
        self._calls: Counter[str] = Counter()

    @property
    def held_bytes(self) -> int:
        """Held now."""
        return self._bytes

    def share(self) -> "Share":
        """A request's own share, empty still."""
        return Share(self)

    @contextmanager
    def call_of(self, peer: str) -> Iterator[None]:
        """One call more of a peer; raises Full where it has as many as one may have."""
        if self._calls[peer] >= self._calls_of_a_peer:
            raise Full("This peer has too many calls under way.")
        self._calls[peer] += 1
        try:
            yield
        finally:
            self._calls[peer] -= 1
            if not self._calls[peer]:
                del self._calls[peer]

    def hold(self, change: int) -> None:
        """Count bytes more, or fewer; raises Full past the bound, and then counts them all the same."""
        self._bytes += change
        if change > 0 and self._bytes > self._most_bytes:
            raise Full("Too much is under way.")


class Share:
    """What one request holds of the budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._bytes = 0

    def take(self, size: int) -> None:
        """Hold so many bytes more; raises Full."""
        self._bytes += size
        self._budget.hold(size)

    def release(self) -> None:
        """Give all of it back."""
        self._budget.hold(-self._bytes)
        self._bytes = 0

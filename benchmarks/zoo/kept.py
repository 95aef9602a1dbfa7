"""A transport that keeps what it is given, in one partition."""

from causeline.producers.emitter.transport import Delivered


class Kept:
    """`values` are the messages, in their order."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self._waiting: list[Delivered] = []

    def partitions(self, timeout_s: float) -> int | None:
        """One."""
        return 1

    def send(self, partition: int, value: bytes, delivered: Delivered) -> None:
        """Keep a message."""
        self.values.append(value)
        self._waiting.append(delivered)

    def poll(self, timeout_s: float) -> None:
        """Say of all that is kept that it was delivered."""
        waiting, self._waiting = self._waiting, []
        for delivered in waiting:
            delivered(None)

    def close(self) -> None:
        """Nothing is open."""
        self._waiting.clear()

    def abandon(self) -> None:
        """Nothing is open."""
        self._waiting.clear()

    def take_fault(self) -> str | None:
        """None ever."""
        return None

"""A transport that records instead of sending; held to the same contract tests as Kafka's."""

from collections.abc import Callable

from causeline.producers.emitter import Emitter
from causeline.producers.settings import EmitterSettings
from causeline.producers.transport import Delivered, QueueFull
from causeline.schemas import wire
from causeline.schemas.events import TraceEvent, from_record
from causeline.schemas.registry import Schemas


class RecordingTransport:
    """Keeps what is sent; delivers on poll. `fail_first` batches fail, `room` bounds what is under way."""

    def __init__(self, *, partitions: int | None = 4, fail_first: int = 0, room: int = 1000) -> None:
        self.count = partitions
        self.sent: list[tuple[int, bytes]] = []
        self._fail_first = fail_first
        self._room = room
        self._waiting: list[tuple[Delivered, str | None]] = []
        self.closed = False

    def partitions(self, timeout_s: float) -> int | None:
        return self.count

    def send(self, partition: int, value: bytes, delivered: Delivered) -> None:
        if len(self._waiting) >= self._room:
            raise QueueFull
        if self._fail_first:
            self._fail_first -= 1
            self._waiting.append((delivered, "A batch was not delivered: planted."))
            return
        self.sent.append((partition, value))
        self._waiting.append((delivered, None))

    def poll(self, timeout_s: float) -> None:
        waiting, self._waiting = self._waiting, []
        for delivered, error in waiting:
            delivered(error)

    def close(self) -> None:
        self.closed = True

    def fault(self) -> str | None:
        return None if self.count else "The topic causeline.events does not exist; `causeline topics apply` makes it."


def emitter_over(
    transport: RecordingTransport, *, on_delivered: Callable[..., None] | None = None, **settings: float
) -> Emitter:
    """An emitter that sends into `transport`."""
    return Emitter(EmitterSettings(**settings), transport=lambda: transport, on_delivered=on_delivered)  # type: ignore[arg-type]


def events_of(transport: RecordingTransport) -> list[TraceEvent]:
    """Every event sent, decoded and checked, by run and number."""
    return sorted(
        (
            from_record(record)
            for _, value in transport.sent
            for record in wire.decode_items(wire.read_block(value, "trace-batch", Schemas()))
        ),
        key=lambda event: (event.run_id, event.seq),
    )

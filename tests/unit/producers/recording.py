"""A way to the broker that keeps what it is given, and fails, stalls or fills up when a test says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.sender import OnDelivered
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.emitter.transport import Delivered, QueueFull, TooLarge
from causeline.schemas import wire
from causeline.schemas.events import Record, TraceEvent, from_record
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import MAX_MESSAGE_BYTES

QUICK = EmitterSettings(batch_age_s=0.005, close_timeout_s=10)


class RecordingTransport:
    """Held to the same contract as the real one, in tests/contract/producers."""

    def __init__(self, partitions: int | None = 4) -> None:
        self.count = partitions
        self.sent: list[tuple[int, bytes]] = []
        """What the broker has, with its partition."""
        self.answers = Event()
        """Clear it, and nothing is acknowledged any more."""
        self.answers.set()
        self.patience = 10**9
        """So many batches are acknowledged, and no more."""
        self.errors: list[str] = []
        """What becomes of the next batches, one error each."""
        self.room = 10_000
        self.most_bytes = MAX_MESSAGE_BYTES
        """Size of a batch that is still taken."""
        self.fault: str | None = None
        self.abandoned = self.closed = False
        self._under_way: list[tuple[int, bytes, Delivered]] = []

    def partitions(self, timeout_s: float) -> int | None:
        if self.count is None:
            self.fault = "The topic does not exist; `causeline topics apply` makes it."
        return self.count

    def send(self, partition: int, value: bytes, delivered: Delivered) -> None:
        if len(self._under_way) >= self.room:
            raise QueueFull
        if self.count is not None and partition >= self.count:
            delivered("The topic has no such partition.")
        elif len(value) > self.most_bytes:
            delivered(TooLarge("The batch is too large."))
        else:
            self._under_way.append((partition, value, delivered))

    def poll(self, timeout_s: float) -> None:
        if not self.answers.is_set():
            self.answers.wait(timeout_s)
            return
        reported, self._under_way = self._under_way[: self.patience], self._under_way[self.patience :]
        self.patience -= len(reported)
        for partition, value, delivered in reported:
            error = self.errors.pop(0) if self.errors else None
            if error is None:
                self.sent.append((partition, value))
            delivered(error)

    def close(self) -> None:
        self.closed = True
        reported, self._under_way = self._under_way, []
        for _, _, delivered in reported:
            delivered("The emitter closed.")

    def abandon(self) -> None:
        self.abandoned = True

    def take_fault(self) -> str | None:
        fault, self.fault = self.fault, None
        return fault

    @property
    def under_way(self) -> int:
        """Batches handed over and not acknowledged."""
        return len(self._under_way)

    def events(self) -> list[Record]:
        """The events of all batches, in the order in which they arrived."""
        return [record for _, value in self.sent for record in decode(value)]


def decode(value: bytes) -> list[Record]:
    """The events of one batch."""
    return wire.decode_items(wire.read_block(value, "trace-batch", Schemas()))


def emitter_over(
    transport: RecordingTransport, *, on_delivered: OnDelivered | None = None, **settings: float
) -> Emitter:
    """An emitter that sends into `transport`, quickly."""
    return Emitter(QUICK.model_copy(update=settings), transport=lambda: transport, on_delivered=on_delivered)


@contextmanager
def emitting(transport: RecordingTransport, settings: EmitterSettings = QUICK) -> Iterator[Emitter]:
    """An emitter to `transport`, closed afterwards."""
    emitter = Emitter(settings, transport=lambda: transport)
    try:
        yield emitter
    finally:
        transport.answers.set()
        emitter.close()


def events_of(transport: RecordingTransport) -> list[TraceEvent]:
    """Every event sent, decoded and checked, by run and number."""
    return sorted(map(from_record, transport.events()), key=lambda event: (event.run_id, event.seq))

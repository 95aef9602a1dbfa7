"""The one way out: an idempotent producer with its own thread, whose answers come back to the event loop."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from causeline.runtime.connections import KafkaConnection
from causeline.schemas.topics import MAX_MESSAGE_BYTES
from causeline.streams.worker.publications import Publication

log = logging.getLogger(__name__)

_POLL_S = 0.1
_ANY = -1
"""librdkafka's word for: whichever partition."""


class Outbox:
    """Publishes in order a partition; each delivery is told on the event loop, each failure is a fault of the worker.

    `on_fault` is called on the event loop with a sentence; the worker must end then, since what was to be published
    is published only when its messages are read again.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        prefix: str,
        loop: asyncio.AbstractEventLoop,
        on_fault: Callable[[str], None],
        delivery_timeout_s: float,
        linger_ms: int,
    ) -> None:
        self._prefix = prefix
        self._loop = loop
        self._on_fault = on_fault
        self._producer = Producer(
            {
                **connection.client_config(),
                "client.id": "causeline-worker",
                "enable.idempotence": True,
                "compression.type": "zstd",
                "linger.ms": linger_ms,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "message.timeout.ms": int(delivery_timeout_s * 1000),
                "queue.buffering.max.kbytes": 512 * 1024,
                "partitioner": "murmur2_random",
                "error_cb": self._on_client_error,
            },
            logger=log,
        )
        self.in_flight_bytes = 0
        """Bytes published and not delivered; read and written on the event loop only."""
        self._room = asyncio.Event()
        self._room.set()
        self._answers: deque[tuple[Publication, KafkaError | None]] = deque()
        self._closing = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="causeline-outbox", daemon=True)
        self._poller.start()

    def publish(self, publication: Publication) -> None:
        """Hand a message to the producer; never waits. A full producer is a fault: back-pressure was not heeded."""
        self.in_flight_bytes += len(publication.value)

        def answer(error: KafkaError | None, _message: Message) -> None:
            self._answers.append((publication, error))

        try:
            self._producer.produce(
                publication.topic.full_name(self._prefix),
                value=publication.value,
                key=publication.key,
                headers=list(publication.headers),
                partition=_ANY if publication.partition is None else publication.partition,
                on_delivery=answer,
            )
        except (BufferError, KafkaException) as error:
            self._on_fault(f"A message to {publication.topic.name} cannot be published: {error}.")

    async def room(self, limit_bytes: int) -> None:
        """Wait until no more than `limit_bytes` are on their way."""
        while self.in_flight_bytes > limit_bytes:
            self._room.clear()
            await self._room.wait()

    def close(self, timeout_s: float) -> int:
        """Wait for deliveries, then stop; gives how many messages are left undelivered."""
        left: int = self._producer.flush(timeout_s)
        self._closing.set()
        self._poller.join(timeout_s)
        return left

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(_POLL_S)
            if self._answers and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        while self._answers:
            publication, error = self._answers.popleft()
            self.in_flight_bytes -= len(publication.value)
            if error is None:
                publication.delivered()
            else:
                self._on_fault(f"A message to {publication.topic.name} was not delivered: {error.str()}.")
        self._room.set()

    def _on_client_error(self, error: KafkaError) -> None:
        log.warning("kafka producer: %s", error.str())

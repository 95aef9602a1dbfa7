"""A Kafka topic as a door: the messages of the Collector's Kafka exporter, each an ExportTraceServiceRequest.

A message counts as read when Kafka, or the emitter's spool, has its events, or the dead letters have the message.
What cannot be taken now is read again from where it stands: its events have the same ids then. Nobody answers the
sender, so that what HTTP would refuse, wholly or in part, becomes a dead letter with the message's own bytes.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from causeline.kafka.client import KafkaException, Message, TopicPartition
from causeline.otlp.receiver import from_json, from_protobuf
from causeline.otlp.receiver.dead_letters import STAGE, DeadLetters
from causeline.otlp.receiver.intake import Busy, Intake, Read
from causeline.otlp.receiver.settings import KafkaEncoding, ReceiverSettings
from causeline.otlp.receiver.telemetry import Malformed
from causeline.otlp.receiver.topic_source import POLL_S, Source
from causeline.schemas.dead_letter import DeadLetter
from causeline.schemas.errors import CauselineError, Reason

log = logging.getLogger(__name__)
_READERS: Final[Mapping[KafkaEncoding, Read]] = {
    KafkaEncoding.PROTOBUF: from_protobuf.traces,
    KafkaEncoding.JSON: from_json.traces,
}
_LOT: Final = 256
_AT_ONCE: Final = 32
"""So many messages of a lot are under way together: they wait for the broker side by side."""
_REST_S: Final = (1.0, 2.0, 5.0, 10.0)
"""Between attempts; well within the time in which a group gives up a member that asks for nothing."""


class TopicEndpoint:
    """Reads one topic; one a process. `serve` runs on the receiver's event loop until `stop`."""

    def __init__(self, settings: ReceiverSettings, intake: Intake, source: Source, dead_letters: DeadLetters) -> None:
        self._read = _READERS[settings.kafka_encoding]
        self._max_bytes = settings.max_body_bytes
        self._intake = intake
        self._source = source
        self._dead_letters = dead_letters
        self._stopping = asyncio.Event()
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    def stop(self) -> None:
        """End after the lot that is under way."""
        self._stopping.set()

    async def serve(self) -> None:
        """Read until stopped; raises CauselineError for what waiting does not mend."""
        failures = 0
        try:
            while not self._stopping.is_set():
                lot = await asyncio.to_thread(self._fetch)
                if lot and not await self._take(lot):
                    await self._rest(_REST_S[min(failures, len(_REST_S) - 1)])
                    failures += 1
                elif lot:
                    failures = 0
        finally:
            await asyncio.to_thread(self._source.close)
            self._dead_letters.close()

    def _fetch(self) -> list[Message]:
        first = self._source.poll(POLL_S)
        if first is None:
            return []
        return [first, *self._source.consume(_LOT - 1, 0)]

    async def _take(self, lot: Sequence[Message]) -> bool:
        """Take in a lot as far as it can be; whether all of it was."""
        done = await asyncio.gather(*(self._one(message) for message in lot))
        self._intake.counts.messages += len(lot)
        await asyncio.to_thread(self._note, _read_to(lot, done))
        return all(done)

    async def _one(self, message: Message) -> bool:
        """Whether a message's events, or its dead letter, are kept for good."""
        async with self._at_once:
            bad = None
            try:
                bad = await self._bad(message)
                if bad is not None:
                    await asyncio.to_thread(self._dead_letters.bury, [bad])
                    self._intake.counts.buried += 1
            except (Busy, CauselineError) as error:
                log.warning("A message of %s is read again: %s", message.topic(), error)
                return False
            return True

    async def _bad(self, message: Message) -> DeadLetter | None:
        """Why a message cannot be used, or not all of it; None once its events are durable. Raises Busy."""
        value = message.value()
        if value is None:
            return _as_bad(message, Reason.EMPTY, "It has no value.")
        body = bytes(value)
        if len(body) > self._max_bytes:
            return _as_bad(message, Reason.OVERSIZED, f"A message may have at most {self._max_bytes} bytes.")
        try:
            received = await self._intake.take(body, self._read)
        except Malformed as error:
            return _as_bad(message, Reason.CORRUPT, str(error))
        except (Busy, CauselineError):
            raise
        except Exception as error:
            log.exception("A message of %s cannot be decoded.", message.topic())
            return _as_bad(message, Reason.CORRUPT, f"Decoding it failed with {type(error).__name__}.")
        if received.rejected:
            return _as_bad(message, Reason.INVALID_EVENT, f"Not used of it: {received.message()}.")
        return None

    def _note(self, read_to: Iterable[tuple[TopicPartition, bool]]) -> None:
        for place, goes_on in read_to:
            try:
                self._source.store_offsets(offsets=[place])
                if not goes_on:
                    self._source.seek(place)
            except KafkaException as error:  # it was given to another member, who reads it from its last commit
                log.info("Partition %d of %s is no longer ours: %s", place.partition, place.topic, error)

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


def _read_to(lot: Sequence[Message], done: Sequence[bool]) -> list[tuple[TopicPartition, bool]]:
    """For each partition the offset to go on from, and whether that is past all that was fetched of it."""
    places: dict[tuple[str, int], tuple[int, bool]] = {}
    for message, is_done in sorted(zip(lot, done, strict=True), key=lambda each: each[0].offset() or 0):
        partition = (message.topic() or "", message.partition() or 0)
        offset = message.offset() or 0
        _, goes_on = places.get(partition, (offset, True))
        if goes_on:
            places[partition] = (offset + 1, True) if is_done else (offset, False)
    return [(TopicPartition(topic, number, to), goes_on) for (topic, number), (to, goes_on) in places.items()]


def _as_bad(message: Message, reason: Reason, detail: str) -> DeadLetter:
    key, value = message.key(), message.value()
    kind, at_ms = message.timestamp()
    return DeadLetter(
        stage=STAGE,
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=key.encode() if isinstance(key, str) else key,
        value=b"" if value is None else bytes(value),
        produced_at=at_ms * 1000 if kind else None,
        reason=reason,
        detail=detail,
    )

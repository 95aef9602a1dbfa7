"""The amender as a process: reads late events until it is told to stop, and commits what is amended."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from causeline.schemas.errors import CauselineError, Unreachable
from causeline.schemas.registry import Schemas, from_registry
from causeline.schemas.topics import LATE, MAX_MESSAGE_BYTES, RUNS
from causeline.streams.amender.amender import Amender
from causeline.streams.amender.policy import PolicyFile
from causeline.streams.amender.publish import KafkaPublisher
from causeline.streams.amender.settings import AmenderSettings
from causeline.streams.amender.stored import Arrow, Stored
from causeline.streams.clock import steady_clock
from causeline.streams.decode import Message
from causeline.streams.preflight import check_topics

log = logging.getLogger(__name__)

_POLL_S = 0.1
_BATCH_MESSAGES = 100
_REPORT_EVERY_S = 60.0
_STORE_PAUSE_S = 2.0


def run_amender(settings: AmenderSettings, source: Arrow) -> int:
    """Amend runs until SIGTERM or SIGINT; `source` answers with stored events. Gives 0.

    Logs `ready` once it has partitions. Raises Unreachable when Kafka does not answer at the start, EnvironmentFault
    when a topic is missing; later it waits for Kafka and the store, and tries again. Call it from the main thread,
    which alone may handle signals.
    """
    check_topics(settings.kafka, settings.topic_prefix)
    schemas = schemas_of(settings)
    publisher = KafkaPublisher(
        settings.kafka, prefix=settings.topic_prefix, delivery_timeout_s=settings.delivery_timeout_s
    )
    amender = Amender(
        settings,
        stored=Stored(source),
        publisher=publisher,
        schemas=schemas,
        clock=steady_clock(),
        policy=PolicyFile(settings.policy).current,
    )
    process = Process(settings, amender, Consumer(consumer_config(settings)))
    with _stopped_by_signals(process.stop):
        process.run()
    return 0


def schemas_of(settings: AmenderSettings) -> Schemas:
    """The schemas to read and write by: the registry's beside the bundled ones, where one is named."""
    if settings.registry_url is None:
        return Schemas()
    return from_registry(
        settings.registry_url, {each.subject: f"{each.full_name(settings.topic_prefix)}-value" for each in (LATE, RUNS)}
    )


def consumer_config(settings: AmenderSettings) -> dict[str, object]:
    """librdkafka's settings for the amender: nothing is committed by itself, and what it reads ahead is bounded."""
    named = {} if settings.instance is None else {"group.instance.id": settings.instance}
    session_ms = round(settings.session_timeout_s * 1000)
    return {
        **named,
        **settings.kafka.client_config(),
        "group.id": settings.group,
        "client.id": "causeline-amender",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": session_ms,
        "heartbeat.interval.ms": session_ms // 10,
        "partition.assignment.strategy": "cooperative-sticky",
        "queued.max.messages.kbytes": 8 * 1024,
        "fetch.message.max.bytes": MAX_MESSAGE_BYTES,
        "fetch.wait.max.ms": 100,
        "allow.auto.create.topics": False,
        "log_level": 0,
        "error_cb": lambda error: log.warning("Kafka: %s", error.str()),
    }


class Process:
    """The loop around an amender: one thread, in which everything happens, the consumer's callbacks too."""

    def __init__(self, settings: AmenderSettings, amender: Amender, consumer: Consumer) -> None:
        self._settings = settings
        self._amender = amender
        self._consumer = consumer
        self._stop = threading.Event()
        self._paused = False
        self._busy = False
        self._to_resume: set[int] = set()
        self._store_again_at = 0.0

    def stop(self) -> None:
        """End after the turn that is under way."""
        self._stop.set()

    def run(self) -> None:
        """Read, amend, commit, until `stop`."""
        topic = LATE.full_name(self._settings.topic_prefix)
        self._consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
        report_at = time.monotonic() + _REPORT_EVERY_S
        try:
            while not self._stop.is_set():
                self._read()
                self._amend()
                self._commit(topic)
                if time.monotonic() >= report_at:
                    report_at = time.monotonic() + _REPORT_EVERY_S
                    log.info("%s", self._report())
        finally:
            self._consumer.close()
        log.info("stopped; %s", self._report())

    def _read(self) -> None:
        self._make_room()
        messages = []
        for message in self._consumer.consume(_BATCH_MESSAGES, 0 if self._busy else _POLL_S):
            error = message.error()
            if error is not None:
                if error.fatal():
                    raise Unreachable(f"The amender cannot read on: {error.str()}.")
                log.warning("Kafka: %s", error.str())
                continue
            messages.append(Message(_known(message.partition()), _known(message.offset()), message.value()))
        if messages:
            self._amender.take(messages)

    def _make_room(self) -> None:
        """Reading pauses while too many runs wait; membership of the group does not."""
        if self._amender.is_full != self._paused:
            places = self._consumer.assignment()
            (self._consumer.resume if self._paused else self._consumer.pause)(places)
            self._paused = not self._paused

    def _amend(self) -> None:
        """Whatever is due; when the store does not answer, again a little later, for ever."""
        if time.monotonic() < self._store_again_at:
            return
        try:
            if self._to_resume:
                self._amender.resume(sorted(self._to_resume))
                self._to_resume.clear()
            self._busy = self._amender.turn() > 0
        except CauselineError as error:
            # A refusal heals by an operator as an absence does; no late event is given up for either.
            log.warning("%s Trying again.", error)
            self._busy = False
            self._store_again_at = time.monotonic() + _STORE_PAUSE_S

    def _commit(self, topic: str) -> None:
        moved = self._amender.committable()
        if not moved:
            return
        offsets = [TopicPartition(topic, partition, offset) for partition, offset in moved.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            # What is not committed is read again, and then nothing is new.
            log.warning("offsets not committed: %s", error.args[0].str())

    def _assigned(self, _consumer: Consumer, places: list[TopicPartition]) -> None:
        self._to_resume |= {place.partition for place in places}
        self._paused = False
        log.info("ready: %d partitions", len(places))

    def _revoked(self, _consumer: Consumer, places: list[TopicPartition]) -> None:
        gone = {place.partition for place in places}
        self._to_resume -= gone
        self._amender.forget(gone)

    def _report(self) -> str:
        counters = self._amender.counters
        done = ", ".join(f"{getattr(counters, name)} {name.replace('_', ' ')}" for name in counters.__slots__)
        return f"{done}; {len(self._amender.waiting)} runs wait"


def _known(number: int | None) -> int:
    if number is None:
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG))  # noqa: SLF001 - the client's public code
    return number


@contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda *_: stop())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

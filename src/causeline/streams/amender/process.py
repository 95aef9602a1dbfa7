"""The amender as a process: reads late events and decisions until it is told to stop, and commits what is amended."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence

from causeline.kafka.client import Consumer
from causeline.kafka.consumer import member_config
from causeline.kafka.identity import TopicIds
from causeline.kafka.member import Member
from causeline.kafka.preflight import check_topics
from causeline.runtime.clock import steady_clock
from causeline.runtime.health import Pulse, part_health
from causeline.runtime.policy_watch import PolicyWatch
from causeline.runtime.signals import stopped_by_signals
from causeline.schemas.errors import CauselineError
from causeline.schemas.registry import schemas_of
from causeline.schemas.topics import DEAD, DECISIONS, EVENTS, LATE, RUNS
from causeline.streams.amender.amender import Amender
from causeline.streams.amender.publish import KafkaPublisher
from causeline.streams.amender.settings import AmenderSettings
from causeline.streams.amender.stored import Rows, Stored
from causeline.streams.definition.reading import Message
from causeline.streams.runs.chosen import core

log = logging.getLogger(__name__)

SPOKEN = (LATE, RUNS)
"""Topics whose schemas the amender reads and writes by."""
_POLL_S = 0.1
_READ_AHEAD_BYTES = 8 * 1024 * 1024
_BATCH_MESSAGES = 100
_REPORT_EVERY_S = 60.0
_STORE_PAUSE_S = 2.0


def run_amender(settings: AmenderSettings, source: Rows) -> int:
    """Amend runs until SIGTERM or SIGINT; `source` answers with stored events. Gives 0.

    Logs `ready` once it has partitions. Raises Unreachable when Kafka does not answer at the start, EnvironmentFault
    when a topic is missing; later it waits for Kafka and the store, and tries again. Call it from the main thread,
    which alone may handle signals.
    """
    check_topics(settings.kafka, settings.topic_prefix, (EVENTS, RUNS, LATE, DECISIONS, DEAD))
    schemas = schemas_of(settings.registry_url, SPOKEN, settings.topic_prefix)
    publisher = KafkaPublisher(
        settings.kafka, prefix=settings.topic_prefix, delivery_timeout_s=settings.delivery_timeout_s
    )
    clock, stored, policy = steady_clock(), Stored(source), PolicyWatch(settings.policy).current
    amenders = [
        Amender(
            settings,
            stored=stored,
            publisher=publisher,
            schemas=schemas,
            core=core(schemas),
            clock=clock,
            policy=policy,
            source=topic,
        )
        for topic in (LATE, DECISIONS)
    ]
    consumer = Consumer(member_config(settings, client_id="causeline-amender", read_ahead_bytes=_READ_AHEAD_BYTES))
    ids = TopicIds(settings.kafka, [each.topic for each in amenders])
    process = Process(settings, amenders, Member("amender", consumer, settings.kafka, ids))
    with part_health("amender", process.counts) as pulse, stopped_by_signals(process.stop):
        process.run(pulse)
    return 0


class Process:
    """The loop around an amender for each topic: one thread, in which everything happens, the consumer's callbacks too.

    A partition of one topic may be another member's than that of the other, so each topic has its own state."""

    def __init__(self, settings: AmenderSettings, amenders: Sequence[Amender], member: Member) -> None:
        self._settings = settings
        self._amenders = {amender.topic: amender for amender in amenders}
        self._member = member
        self._stop = threading.Event()
        self._busy = False
        self._to_resume: dict[str, set[int]] = {}
        self._store_again_at = 0.0

    def stop(self) -> None:
        """End after the turn that is under way."""
        self._stop.set()

    def counts(self) -> dict[str, float]:
        """What it has done, for metrics."""
        counters = [amender.counters for amender in self._amenders.values()]
        return {name: sum(getattr(each, name) for each in counters) for name in counters[0].__slots__}

    def run(self, pulse: Pulse) -> None:
        """Read, amend, commit, until `stop`; `pulse` feels each turn."""
        self._member.join(self._amenders, came=self._came, went=self._went)
        report_at = time.monotonic() + _REPORT_EVERY_S
        try:
            while not self._stop.is_set():
                self._read()
                self._amend(pulse)
                self._commit()
                if time.monotonic() >= report_at:
                    report_at = time.monotonic() + _REPORT_EVERY_S
                    log.info("%s", self._report())
        finally:
            self._member.leave()
        log.info("stopped; %s", self._report())

    def _read(self) -> None:
        # Reading pauses while too many runs wait; membership of the group does not.
        self._member.hold(held=any(amender.is_full for amender in self._amenders.values()))
        messages: dict[str, list[Message]] = {}
        for each in self._member.read(_BATCH_MESSAGES, 0 if self._busy else _POLL_S):
            messages.setdefault(each.topic, []).append(Message(each.partition, each.offset, each.value))
        for topic, those in messages.items():
            self._amenders[topic].take(those)

    def _amend(self, pulse: Pulse) -> None:
        """Whatever is due; when the store does not answer, again a little later, for ever."""
        pulse.beat(busy=self._store_again_at > 0)
        if time.monotonic() < self._store_again_at:
            return
        try:
            while self._to_resume:
                topic = next(iter(self._to_resume))
                self._amenders[topic].resume(sorted(self._to_resume[topic]))
                del self._to_resume[topic]
            looked_at = [amender.turn() for amender in self._amenders.values()]
            self._busy = any(looked_at)
            self._store_again_at = 0.0
            pulse.done()
        except CauselineError as error:
            # A refusal heals by an operator as an absence does; no late event is given up for either.
            log.warning("%s Trying again.", error)
            pulse.hindered(type(error).__name__)
            self._busy = False
            self._store_again_at = time.monotonic() + _STORE_PAUSE_S

    def _commit(self) -> None:
        """What is not committed is read again, and then nothing is new."""
        self._member.commit(
            {
                (topic, partition): offset
                for topic, amender in self._amenders.items()
                for partition, offset in amender.committable().items()
            }
        )

    def _came(self, places: Mapping[str, set[int]]) -> None:
        late = LATE.full_name(self._settings.topic_prefix)
        if late in places:  # runs are watched for one topic's sake
            self._to_resume.setdefault(late, set()).update(places[late])
        log.info("ready: %d partitions", sum(map(len, places.values())))

    def _went(self, places: Mapping[str, set[int]]) -> None:
        for topic, partitions in places.items():
            if topic in self._to_resume:
                self._to_resume[topic] -= partitions
            self._amenders[topic].forget(partitions)

    def _report(self) -> str:
        done = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self.counts().items())
        return f"{done}; {sum(len(amender.waiting) for amender in self._amenders.values())} runs wait"

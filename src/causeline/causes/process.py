"""The diagnoser as a process: reads closed runs until it is told to stop, and commits what is told."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from causeline.causes.diagnoser import Diagnoser, RunMessage
from causeline.causes.publish import KafkaPublisher
from causeline.causes.settings import DiagnoserSettings
from causeline.console.store import Store
from causeline.diagnosis import DriftAlert
from causeline.kafka.client import Consumer
from causeline.kafka.consumer import member_config
from causeline.kafka.identity import TopicIds
from causeline.kafka.member import Member, Received, after
from causeline.kafka.preflight import check_topics
from causeline.runtime.clock import steady_clock
from causeline.runtime.health import Pulse, part_health
from causeline.runtime.signals import stopped_by_signals
from causeline.schemas.errors import CauselineError
from causeline.schemas.registry import schemas_of
from causeline.schemas.topics import CAUSES, RUNS

log = logging.getLogger(__name__)

_POLL_S = 0.2
_READ_AHEAD_BYTES = 8 * 1024 * 1024
_AT_ONCE_BYTES = 512 * 1024
_REPORT_EVERY_S = 60.0
_PAUSE_S = 2.0


def run_diagnoser(
    settings: DiagnoserSettings,
    store: Store,
    drift_of: Callable[[Store, str], Sequence[DriftAlert] | None],
) -> int:
    """Diagnose runs until SIGTERM or SIGINT; gives 0.

    Logs `ready` once it has partitions. Raises Unreachable when Kafka does not answer at the start, EnvironmentFault
    when a topic is missing; later it waits for Kafka and the store, and tries again. Call it from the main thread,
    which alone may handle signals.
    """
    partitions = check_topics(settings.kafka, settings.topic_prefix, needed=(RUNS, CAUSES))
    diagnoser = Diagnoser(
        settings,
        store=store,
        publisher=KafkaPublisher(
            settings.kafka, CAUSES.full_name(settings.topic_prefix), timeout_s=settings.delivery_timeout_s
        ),
        schemas=schemas_of(settings.registry_url, (RUNS, CAUSES), settings.topic_prefix),
        clock=steady_clock(),
        drift_of=drift_of,
        partitions=partitions,
    )
    consumer = Consumer(member_config(settings, client_id="causeline-diagnoser", read_ahead_bytes=_READ_AHEAD_BYTES))
    ids = TopicIds(settings.kafka, [RUNS.full_name(settings.topic_prefix)])
    process = Process(settings, diagnoser, Member("diagnoser", consumer, settings.kafka, ids))
    with part_health("diagnoser", diagnoser.counts) as pulse, stopped_by_signals(process.stop):
        process.run(pulse)
    return 0


class Process:
    """The loop around a diagnoser: one thread, in which everything happens, the consumer's callbacks too."""

    def __init__(self, settings: DiagnoserSettings, diagnoser: Diagnoser, member: Member) -> None:
        self._settings, self._diagnoser, self._member = settings, diagnoser, member
        self._topic = RUNS.full_name(settings.topic_prefix)
        self._stop = threading.Event()
        self._held: list[Received] = []
        self._again_at = 0.0
        self._passed_over = 0

    def stop(self) -> None:
        """End after the turn that is under way."""
        self._stop.set()

    def run(self, pulse: Pulse) -> None:
        """Read, diagnose, commit, until `stop`; `pulse` feels each turn."""
        self._member.join([self._topic], came=self._came, went=self._went)
        report_at = time.monotonic() + _REPORT_EVERY_S
        try:
            while not self._stop.is_set():
                self._read()
                self._diagnose(pulse)
                if time.monotonic() >= report_at:
                    report_at = time.monotonic() + _REPORT_EVERY_S
                    self._report()
        finally:
            self._member.leave()
        log.info("stopped; %s", self._said())

    def _read(self) -> None:
        """More messages, unless some are held: then reading pauses, and membership of the group does not."""
        self._member.hold(held=bool(self._held))
        wait_s = 0.0 if self._held else _POLL_S
        self._held += self._member.read(self._settings.max_batch_messages, wait_s)

    def _diagnose(self, pulse: Pulse) -> None:
        """What is held, then what is due; when store or broker do not answer, again a little later, for ever."""
        pulse.beat(busy=bool(self._held))
        if time.monotonic() < self._again_at:
            return
        try:
            if self._held:
                some = _at_once(self._held)
                self._diagnoser.take([_run_message(each) for each in some])
                self._member.commit(after(some))  # what is not committed is told again, and replaces itself
                del self._held[: len(some)]
            self._diagnoser.turn()
            pulse.done()
        except CauselineError as error:
            log.warning("%s Trying again.", error)
            pulse.hindered(type(error).__name__)
            self._again_at = time.monotonic() + _PAUSE_S

    def _came(self, places: Mapping[str, set[int]]) -> None:
        partitions = places.get(self._topic, set())
        self._diagnoser.own(partitions)
        log.info("ready: %d partitions", len(partitions))

    def _went(self, places: Mapping[str, set[int]]) -> None:
        gone = places.get(self._topic, set())
        self._held = [each for each in self._held if each.partition not in gone]
        self._diagnoser.forget(gone)

    def _report(self) -> None:
        passed_over = self._diagnoser.counters.passed_over
        if passed_over > self._passed_over:
            log.warning(
                "it does not keep up: %d runs of the last minute are not diagnosed. Start another beside it.",
                passed_over - self._passed_over,
            )
        self._passed_over = passed_over
        log.info("%s", self._said())

    def _said(self) -> str:
        done = ", ".join(f"{count:.0f} {name.replace('_', ' ')}" for name, count in self._diagnoser.counts().items())
        return f"{done}; {len(self._diagnoser.waiting)} wait for their last word"


def _at_once(held: Sequence[Received]) -> Sequence[Received]:
    """The first messages, at least one, so few that the group hears of this member while they are diagnosed."""
    size = 0
    for count, message in enumerate(held, 1):
        size += len(message.value or b"")
        if size >= _AT_ONCE_BYTES:
            return list(held[:count])
    return list(held)


def _run_message(received: Received) -> RunMessage:
    return RunMessage(received.partition, received.offset, received.value or b"", received.produced_us)

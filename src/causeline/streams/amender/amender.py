"""The amender without Kafka: late batches in, next revisions out, and how far its reading may be committed.

Decisions are late by their nature: those of their own topic are read as late events are, and nothing else of a message
is believed than which runs it speaks of. What a run is made of stands in the store.

In this order, and no other:

1. A late batch arrives; each run in it is wanted, and holds the batch.
2. A run that is due is looked up in the store. It waits, longer each time, while its late events are not visible. A
   partition's events are stored in the order of the log, so once they are, all that came before them is.
3. Of a run of which nothing was published the worker may have the rest open: it waits for that record, for so long as
   a worker holds a run. Spans of a foreign trace wait no longer: their worker gave them up because the trace was idle.
4. What has more events in the store than its record counts is assembled again and published.
5. When the broker has it, the run lets go of its batches, and what nothing holds may be committed.

Decided in ADR 15.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from causeline.runtime.clock import Clock
from causeline.schemas.decisions import DECISIONS as DECISION_TYPES
from causeline.schemas.errors import CauselineError
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import DEAD, DECISIONS, LATE, Topic
from causeline.schemas.vocabulary import EventType
from causeline.streams.amender.publish import Publisher, publish_runs
from causeline.streams.amender.revise import Revision, in_batches, revised
from causeline.streams.amender.settings import AmenderSettings
from causeline.streams.amender.stored import Standing, Stored
from causeline.streams.amender.waiting import Look, Patience, Waiting, Wanted, look, marks_of
from causeline.streams.definition.ends import is_foreign
from causeline.streams.definition.reading import Message, Unreadable, read
from causeline.streams.definition.records import Event
from causeline.streams.runs.core import Core, Part
from causeline.streams.worker.acknowledge import Acknowledger, Entry
from causeline.streams.worker.publications import dead_letter

log = logging.getLogger(__name__)

_ORPHANS_S = 3.0
"""So long the record of a foreign run may need to the store."""


@dataclass(slots=True)
class Counters:
    """What the amender has done since it began."""

    messages: int = 0
    late_events: int = 0
    amended: int = 0
    nothing_new: int = 0
    lost: int = 0
    failed: int = 0
    dead_letters: int = 0


def patience_of(settings: AmenderSettings) -> Patience:
    """The waits of the settings, in microseconds."""
    return Patience(
        visible_us=round(settings.visible_wait_s * 1e6),
        unjoined_us=round(settings.unjoined_wait_s * 1e6),
        orphans_us=round(min(_ORPHANS_S, settings.unjoined_wait_s) * 1e6),
        watch_us=round(settings.watch_s * 1e6),
        retry_min_us=round(settings.retry_min_s * 1e6),
        retry_max_us=round(settings.retry_max_s * 1e6),
    )


class Amender:
    """Amends the runs that the messages of one topic, `source`, speak of, in the partitions it is given; they are
    judged by what `policy` gives. `clock` never goes back."""

    def __init__(
        self,
        settings: AmenderSettings,
        *,
        stored: Stored,
        publisher: Publisher,
        schemas: Schemas,
        core: Core,
        clock: Clock,
        policy: Callable[[], Policy] = lambda: DEFAULT_POLICY,
        source: Topic = LATE,
    ) -> None:
        self._settings = settings
        self._patience = patience_of(settings)
        self._stored = stored
        self._publisher = publisher
        self._schemas = schemas
        self._core = core
        self._clock = clock
        self._policy = policy
        self.topic = source.full_name(settings.topic_prefix)
        self._takes = DECISION_TYPES if source is DECISIONS else None
        self._acks: dict[int, Acknowledger[int]] = {}
        self.waiting = Waiting(self._patience)
        self.counters = Counters()

    @property
    def is_full(self) -> bool:
        """Whether no more should be taken in for now."""
        return len(self.waiting) >= self._settings.max_waiting_runs

    def take(self, messages: Sequence[Message]) -> None:
        """Take in late batches, each after those of its partition that came before; a log may lack offsets."""
        now_us = self._clock()
        arrived = []
        for message in messages:
            acks = self._acks.setdefault(message.partition, Acknowledger(message.offset))
            arrived.append(acks.arrive(message.offset, message.offset, now_us, since=acks.next_offset))
        found = [read(message, self._schemas) for message in messages]
        self._set_aside([unreadable for each in found for unreadable in each.unreadable], now_us)
        for message, entry, each in zip(messages, arrived, found, strict=True):
            self._want(message.partition, entry, [arrival.event for arrival in each.arrivals], now_us)
            entry.holds -= 1
        self.counters.messages += len(messages)

    def resume(self, partitions: Sequence[int]) -> None:
        """Watch again what an amender before this one published without a start; raises what the store raises."""
        settings = self._settings
        found = self._stored.unsettled(
            partitions, window_s=round(settings.watch_s), limit=settings.max_waiting_runs // 2
        )
        for run_id, standing in self._standings(found).items():
            if standing.source_partition is not None:
                self.waiting.watch((standing.source_partition, run_id), self._clock())

    def turn(self) -> int:
        """Look at the runs that are due, and amend those that can be; gives how many were looked at.

        Raises Unreachable when the store or the broker does not answer; nothing is let go of then, and another turn
        begins where this one did.
        """
        now_us = self._clock()
        due = self.waiting.due(now_us, self._settings.max_batch_runs)
        if not due:
            return 0
        try:
            self._amend(due, now_us)
        except BaseException:
            for wanted in due:
                if wanted.due_us < 0:
                    self.waiting.again(wanted, now_us)
            raise
        return len(due)

    def forget(self, partitions: Iterable[int]) -> None:
        """Drop all state of `partitions`: whoever gets them reads them from what is committed."""
        gone = set(partitions)
        self.waiting.forget(gone)
        for partition in gone:
            self._acks.pop(partition, None)

    def committable(self) -> dict[int, int]:
        """By partition, the offset up to which nothing is held, where it has moved since the last call."""
        return {partition: acks.first_unacknowledged for partition, acks in self._acks.items() if acks.acknowledged()}

    # --- taking in

    def _set_aside(self, unreadable: Sequence[Unreadable], now_us: int) -> None:
        """What cannot be used is a dead letter before anything is done with the rest."""
        for each in unreadable:
            letter = dead_letter(
                each, topic=self.topic, key=None, produced_at_us=None, now_us=now_us, schemas=self._schemas
            )
            self._publisher.publish(DEAD, None, letter)
            self.counters.dead_letters += 1
        if unreadable:
            self._publisher.deliver()

    def _want(self, partition: int, entry: Entry[int], events: Sequence[Event], now_us: int) -> None:
        """Each run that a message speaks of waits for the last of its events there, and holds the message."""
        told: dict[str, list[Event]] = {}
        for event in events:
            if self._takes is None or event.event_type in self._takes:  # what else came that way is the loader's letter
                told.setdefault(event.run_id, []).append(event)
        for run_id, some in told.items():
            mark, orphans = some[-1].event_id, any(map(_is_orphan, some))
            self.waiting.want((partition, run_id), now_us, mark=mark, entry=entry, orphans=orphans)
            self.counters.late_events += len(some)

    # --- amending

    def _standings(self, run_ids: Sequence[str], marks: Sequence[str] = ()) -> dict[str, Standing]:
        size = self._settings.max_batch_runs
        found: dict[str, Standing] = {}
        for start in range(0, len(run_ids), size):
            found |= self._stored.standings(run_ids[start : start + size], marks)
        return found

    def _amend(self, due: Sequence[Wanted], now_us: int) -> None:
        at_most = self._settings.max_run_events
        standings = self._standings(sorted({wanted.key[1] for wanted in due}), marks_of(due))
        to_amend: list[Wanted] = []
        for wanted in due:
            standing = standings.get(wanted.key[1])
            match look(wanted, standing, now_us, self._patience, at_most=at_most):
                case Look.AMEND:
                    to_amend.append(wanted)
                case Look.NOTHING_NEW:
                    self.counters.nothing_new += 1
                    self.waiting.settle(wanted, now_us)
                case Look.LOST:
                    self._lost(wanted, now_us)
                case Look.NOT_VISIBLE | Look.NOT_JOINED:
                    self.waiting.again(wanted, now_us)
        by_id = {wanted.key[1]: wanted for wanted in to_amend}
        sizes = {run_id: min(standings[run_id].events, at_most) for run_id in by_id}
        for batch in in_batches(by_id, sizes, at_most=self._settings.max_batch_events):
            self._publish(batch, by_id, standings, now_us)

    def _publish(
        self, batch: Sequence[str], wanted: Mapping[str, Wanted], standings: Mapping[str, Standing], now_us: int
    ) -> None:
        parts = self._parts(batch)
        policy = self._policy()
        found = [
            self._revised(some, standings[run_id], wanted[run_id].key[0], now_us, policy)
            for run_id, some in parts.items()
        ]
        revisions = [each for each in found if each is not None]
        publish_runs(revisions, self._publisher, self._schemas, policy)
        self.counters.amended += len(revisions)
        self._publisher.deliver()
        for run_id in batch:
            # Of a run that no worker has published, one still may publish a part: so it is looked at again.
            self.waiting.settle(wanted[run_id], now_us, watch=standings[run_id].revision == 0)

    def _parts(self, batch: Sequence[str]) -> dict[str, list[Part]]:
        """Their events; a run whose events no core can hold has none, and stops no other."""
        try:
            return self._stored.parts(batch, at_most=self._settings.max_run_events, core=self._core)
        except CauselineError:  # the store's word
            raise
        except Exception as error:  # noqa: BLE001 - told where one run is left
            middle = len(batch) // 2
            if middle:
                return self._parts(batch[:middle]) | self._parts(batch[middle:])
            self._failed(batch[0], error)
            return {}

    def _revised(
        self, parts: Sequence[Part], standing: Standing, partition: int, now_us: int, policy: Policy
    ) -> Revision | None:
        """The next revision; a run that cannot be assembled has none, and stops no other."""
        at_most = self._settings.max_run_events
        try:
            return revised(parts, standing, partition, core=self._core, now_us=now_us, at_most=at_most, policy=policy)
        except Exception as error:  # noqa: BLE001 - told there
            self._failed(standing.run_id, error)
            return None

    def _failed(self, run_id: str, error: Exception) -> None:
        log.error("run %s cannot be assembled again and stays as it is", run_id, exc_info=error)
        self.counters.failed += 1

    def _lost(self, wanted: Wanted, now_us: int) -> None:
        log.error(
            "late events of run %s did not come to the store within %g s; see its dead letters, then amend the run",
            wanted.key[1],
            self._settings.visible_wait_s,
        )
        self.counters.lost += 1
        self.waiting.settle(wanted, now_us)


def _is_orphan(event: Event) -> bool:
    """Whether it is a span of a foreign trace that came alone: its worker waited for what it stands under."""
    return is_foreign(event) and event.event_type == EventType.STEP_FINISHED

"""The worker without Kafka: messages in, publications out, acknowledgements when both are done.

In this order, and no other:

1. A message arrives: it must be the next of its partition, and gets an entry, which holds it.
2. It is decoded. What cannot be read goes to the dead letters, evidence that falls short to the gaps; both hold it.
3. Reviews and evals among its events are claims: they count by a topic of their own, which the amender reads. The
   events are admitted by the done-map: counted ones are skipped, late ones go to the late topic and hold it, the
   rest goes to the assembler, and each run that has an event in the message holds it.
4. Runs that are due are published, those that a person should look at only when the reviews topic has said so: a run
   that is published is not joined again, and its items would be lost. Only then do they enter the done-map.
5. When all that a message holds of anything holds the message, its entry lets go of it.
6. When a publication is delivered, what it stood for lets go of its messages.
7. From the head of the partition on, messages that nothing holds are acknowledged.

After a fault, whatever it was and wherever, nothing more is acknowledged: what was not done is read again by the next
worker.

Decided in ADR 31.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from causeline.runtime.clock import Clock
from causeline.schemas.events import Record
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import DEAD, EVENTS, GAPS, LATE, POLICIES, REVIEWS, RUNS, Topic
from causeline.streams.definition.findings import judged
from causeline.streams.definition.reading import Message, Unreadable
from causeline.streams.runs.core import Check, Core, Part, Share, Written
from causeline.streams.runs.records import record_of
from causeline.streams.runs.review_items import could_match, review_items
from causeline.streams.worker.acknowledge import Acknowledger, Entry
from causeline.streams.worker.assembler import Assembler, Closed
from causeline.streams.worker.done_map import DoneMap, PublishedState
from causeline.streams.worker.held import RunKey
from causeline.streams.worker.publications import (
    REACH_HEADER,
    TOPIC_HEADER,
    Publication,
    Publish,
    dead_letter,
    event_batches,
    gap_value,
    policy_use,
    review_value,
    run_batches,
)
from causeline.streams.worker.settings import Limits

T = TypeVar("T")


def _by(each: Iterable[T], partition: Callable[[T], int]) -> dict[int, list[T]]:
    """By partition, each in its order."""
    found: dict[int, list[T]] = {}
    for one in each:
        found.setdefault(partition(one), []).append(one)
    return found


class Token(Protocol):
    """What acknowledges a message; Faust's event is one."""

    def ack(self) -> object:
        """Mark the message as processed."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message of the events topic."""

    partition: int
    offset: int
    value: bytes | None
    token: Token
    key: bytes | None = None
    produced_at_us: int | None = None
    since: int | None = None
    """From this offset on the log holds nothing before the message; None: from its own."""


@dataclass(slots=True, eq=False)
class PartitionState:
    """All that is known of one partition in one generation of the group; another generation has another."""

    acks: Acknowledger[Token]
    done: DoneMap
    held_by: dict[str, list[Entry[Token]]] = field(default_factory=dict)
    """By open run, the messages that it holds, in their order."""

    def hold(self, run_id: str, offset: int) -> None:
        """A run has an event in the message at `offset`, which is none before the last that it holds."""
        mine = self.held_by.setdefault(run_id, [])
        if not mine or mine[-1].offset != offset:
            entry = self.acks.entry(offset)
            entry.holds += 1
            mine.append(entry)

    def take_held(self, run_ids: Iterable[str]) -> list[Entry[Token]]:
        """The messages that closed runs hold; whoever takes them lets go of them later."""
        return [entry for run_id in run_ids for entry in self.held_by.pop(run_id, [])]


@dataclass(slots=True)
class Counters:
    """What the joiner has done since it began."""

    messages: int = 0
    events: int = 0
    runs: int = 0
    late_events: int = 0
    skipped_events: int = 0
    gaps: int = 0
    review_items: int = 0
    dead_letters: int = 0
    duplicates: int = 0
    conflicting: int = 0
    too_large: int = 0
    crowded_out: int = 0
    acknowledged: int = 0
    gaps_by_kind: dict[str, int] = field(default_factory=dict)
    dead_by_reason: dict[str, int] = field(default_factory=dict)

    def sums(self) -> dict[str, int]:
        """The counters that are plain numbers, by name."""
        return {name: value for name in self.__slots__ if isinstance(value := getattr(self, name), int)}


class Joiner:
    """Joins the partitions it is given; every method returns without waiting for anything."""

    def __init__(
        self,
        *,
        limits: Limits,
        core: Core,
        schemas: Schemas,
        publish: Publish,
        clock: Clock,
        prefix: str,
        policy: Policy = DEFAULT_POLICY,
        topic_id: str = "",
    ) -> None:
        self._mark = ((TOPIC_HEADER, topic_id.encode()),) if topic_id else ()
        self._core = core
        self._schemas = schemas
        self._publish = publish
        self._clock = clock
        self._source_topic = EVENTS.full_name(prefix)
        self.assembler = Assembler(limits, policy, core=core)
        self.partitions: dict[int, PartitionState] = {}
        self.counters = Counters()
        self._ended = False

    def end(self) -> None:
        """There was a fault: nothing more is acknowledged."""
        self._ended = True

    @contextlib.contextmanager
    def _wholly(self) -> Iterator[None]:
        """What is done in part has not been done; a panic of a native part is no `Exception`."""
        try:
            yield
        except BaseException:
            self.end()
            raise

    @property
    def policy(self) -> Policy:
        """What judges evidence as it arrives, and runs as they close."""
        return self.assembler.policy

    def use_policy(self, policy: Policy) -> None:
        """Judge by `policy` what comes from now on, and record from which message on."""
        self.assembler.policy = policy
        for partition in self.partitions:
            self._record_policy(partition)

    def open_partition(self, partition: int, first_offset: int, done: DoneMap) -> None:
        """Begin a partition at `first_offset`, with what is published of it."""
        self.forget([partition])
        self.partitions[partition] = PartitionState(Acknowledger(first_offset), done)
        self._record_policy(partition)

    def forget(self, partitions: Iterable[int] | None = None) -> None:
        """Drop all state of `partitions`, or of all: they are revoked, and whoever gets them reads them anew."""
        gone = list(self.partitions if partitions is None else partitions)
        for partition in gone:
            self.partitions.pop(partition, None)
        self.assembler.forget(gone)

    def handle(self, incoming: Sequence[Incoming]) -> None:
        """Take in messages, each of an open partition; raises OffsetJump."""
        with self._wholly():
            now_us = self._clock()
            arrived = [
                self.partitions[each.partition].acks.arrive(each.offset, each.token, now_us, since=each.since)
                for each in incoming
            ]
            self._join(incoming, now_us)
            for entry in arrived:
                entry.holds -= 1
            self.counters.messages += len(incoming)
            for partition in {each.partition for each in incoming}:
                self._acknowledge(partition, self.partitions[partition])

    def pass_over(self, partition: int, since: int, until: int) -> None:
        """The log holds no message from `since` to before `until`, so there is nothing of them to be done."""
        state = self.partitions.get(partition)
        if state is not None and state.acks.pass_over(since, until):
            self._acknowledge(partition, state)

    def committable(self, partition: int) -> int | None:
        """The offset before which all is acknowledged; None where the partition is not open."""
        state = self.partitions.get(partition)
        return None if state is None or self._ended else state.acks.first_unacknowledged

    def close_due(self) -> bool:
        """Publish the runs whose time has come, or of many the first; True where more are due."""
        with self._wholly():
            closed = self.assembler.close(self._clock())
            self.counters.duplicates += closed.duplicates
            self.counters.conflicting += closed.conflicting
            self.counters.too_large += closed.too_large
            self.counters.crowded_out += closed.crowded_out
            if closed.keys:
                self._publish_runs(closed)
                self._publish_fragments(closed)
        return closed.are_more_due

    def _join(self, incoming: Sequence[Incoming], now_us: int) -> None:
        by_place = {(each.partition, each.offset): each for each in incoming}
        taken = self._core.read([Message(each.partition, each.offset, each.value) for each in incoming])
        for unreadable in taken.unreadable:
            self._bury(unreadable, by_place[unreadable.partition, unreadable.offset], now_us)
        self._tell_gaps(taken.checks, now_us)
        wanted, late = self._admit(taken.shares)
        for share in wanted:
            self.partitions[share.partition].hold(share.run_id, share.offset)
        self.assembler.take(wanted, now_us)
        self._send_late(late)
        self.counters.events += taken.events

    # --- admission

    def _admit(self, shares: Sequence[Share]) -> tuple[list[Share], list[Share]]:
        """The shares to join, and those that come too late."""
        wanted: list[int] = []
        late: list[int] = []
        afterthoughts: list[int] = []
        opened: set[RunKey] = set()
        for place, share in enumerate(shares):
            standing = self.partitions[share.partition].done.standing(share.run_id, share.offset)
            if standing is PublishedState.COUNTED:
                self.counters.skipped_events += len(share.part)
            elif standing is PublishedState.LATE:
                late.append(place)
            elif share.afterthoughts == len(share.part):
                afterthoughts.append(place)
            else:
                wanted.append(place)
                opened.add((share.partition, share.run_id))
        for place in afterthoughts:  # a review of a run that is not open is late at once: nothing else will come
            key = (shares[place].partition, shares[place].run_id)
            (wanted if key in opened or self.assembler.holds(key) else late).append(place)
        return [shares[place] for place in sorted(wanted)], [shares[place] for place in sorted(late)]

    # --- publication

    def _record_policy(self, partition: int) -> None:
        offset = self.partitions[partition].acks.next_offset
        key = f"{self.policy.content_hash}/{partition}".encode()
        value = policy_use(self.policy, partition, offset, self._clock(), self._schemas)
        self._send(partition, POLICIES, value, [], key=key)

    def _publish_runs(self, closed: Closed) -> None:
        for partition, runs in _by(closed.written, lambda each: each[0]).items():
            done = self.partitions[partition].done
            at_once: list[Written] = []
            reviewed: list[Written] = []
            items: list[Record] = []
            for _, run in runs:
                if run.last_offset is not None:
                    done.record(run.brief.run_id, run.last_offset)
                asked = self._review_items(run)
                items += asked
                (reviewed if asked else at_once).append(run)
            if items:
                self._send_reviewed(partition, reviewed, items)
            self._send_runs(partition, at_once)
        self.counters.runs += len(closed.written)

    def _review_items(self, run: Written) -> list[Record]:
        return list(review_items(record_of(run.item), self.policy)) if could_match(run.brief, self.policy) else []

    def _send_reviewed(self, partition: int, runs: Sequence[Written], items: Sequence[Record]) -> None:
        """The items, and when the last of them is delivered, their runs."""
        missing = len(items)

        def arrived() -> None:
            nonlocal missing
            missing -= 1
            if missing == 0:
                self._send_runs(partition, runs)

        for item in items:
            key = str(item["run_id"]).encode()
            self._send(partition, REVIEWS, review_value(item, self._schemas), [], key=key, then=arrived)
        self.counters.review_items += len(items)

    def _send_runs(self, partition: int, runs: Sequence[Written]) -> None:
        state = self.partitions[partition]
        for batch in run_batches(runs, partition, self._schemas):
            reach = str(max(state.done.reach, state.acks.next_offset - 1)).encode()
            held = state.take_held(batch.run_ids)
            self._send(partition, RUNS, batch.value, held, headers=((REACH_HEADER, reach), *self._mark))

    def _publish_fragments(self, closed: Closed) -> None:
        """Runs whose start never came: they may be the rest of a run published long ago, so they are late events."""
        for partition, fragments in _by(closed.fragments, lambda each: each.key[0]).items():
            held = self.partitions[partition].take_held(each.key[1] for each in fragments)
            self._send_events(partition, [part for each in fragments for part in each.parts], held)

    def _send_late(self, shares: Sequence[Share]) -> None:
        for partition, mine in _by(shares, lambda share: share.partition).items():
            acks = self.partitions[partition].acks
            held = [acks.entry(offset) for offset in {share.offset for share in mine}]
            for entry in held:
                entry.holds += 1
            self._send_events(partition, [share.part for share in mine], held)

    def _send_events(self, partition: int, parts: Sequence[Part], held: list[Entry[Token]]) -> None:
        """Events to the late topic; `held` is let go when the last of their batches is delivered."""
        items = self._core.items(parts)
        values = list(event_batches(items, self._schemas))
        for entry in held:
            entry.holds += len(values) - 1
        for value in values:
            self._send(partition, LATE, value, held)
        self.counters.late_events += len(items)

    def _tell_gaps(self, checks: Iterable[Check], now_us: int) -> None:
        for partition, offset, event in checks:
            found = judged(event, self.policy)
            if found is None:
                continue
            entry = self.partitions[partition].acks.entry(offset)
            entry.holds += 1
            kinds = self.counters.gaps_by_kind
            kinds[found.kind.value] = kinds.get(found.kind.value, 0) + 1
            value = gap_value(event, found, now_us, self._schemas, policy_hash=self.policy.content_hash)
            self._send(partition, GAPS, value, [entry], key=event.run_id.encode())
            self.counters.gaps += 1

    def _bury(self, unreadable: Unreadable, source: Incoming, now_us: int) -> None:
        entry = self.partitions[source.partition].acks.entry(source.offset)
        entry.holds += 1
        value = dead_letter(
            unreadable,
            topic=self._source_topic,
            key=source.key,
            produced_at_us=source.produced_at_us,
            now_us=now_us,
            schemas=self._schemas,
        )
        self._send(source.partition, DEAD, value, [entry])
        self.counters.dead_letters += 1
        reasons = self.counters.dead_by_reason
        reasons[unreadable.reason.value] = reasons.get(unreadable.reason.value, 0) + 1

    def _send(
        self,
        source: int,
        topic: Topic,
        value: bytes,
        held: list[Entry[Token]],
        *,
        key: bytes | None = None,
        headers: tuple[tuple[str, bytes], ...] = (),
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Publish what came of partition `source`; when delivered, let go of `held` one hold each, do `then`."""
        state = self.partitions[source]

        def delivered() -> None:
            if self.partitions.get(source) is state:  # else it was revoked, and is another's now
                with self._wholly():
                    then()
                    for entry in held:
                        entry.holds -= 1
                    self._acknowledge(source, state)

        self._publish(Publication(topic, source if topic.like_events else None, value, delivered, key, headers))

    def _acknowledge(self, partition: int, state: PartitionState) -> None:
        if self._ended:
            return
        tokens = state.acks.acknowledged()
        for token in tokens:
            token.ack()
        self.counters.acknowledged += len(tokens)
        state.done.forget_below(state.acks.first_unacknowledged)

"""What the worker publishes: a message on its way out, and the values of runs, late events, gaps and dead letters.

The joiner decides what is published and when; the outbox hands it to the broker.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from causeline.schemas import catalogue, wire
from causeline.schemas.dead_letter import DeadLetter, dead_letter_value
from causeline.schemas.events import Record
from causeline.schemas.ids import derived_id
from causeline.schemas.judge import Judgement
from causeline.schemas.policy import Policy
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import EVENTS, GAPS, MAX_MESSAGE_BYTES, POLICIES, REVIEWS, RUNS, Topic
from causeline.schemas.vocabulary import Verdict
from causeline.streams.definition.reading import Unreadable
from causeline.streams.definition.records import Event, RunRecord
from causeline.streams.runs.core import Written
from causeline.streams.runs.records import item_of, record_of

T = TypeVar("T")

REACH_HEADER = "causeline-reach"
"""On every batch of runs: no run published so far from this partition was counted beyond this offset."""
TOPIC_HEADER = "causeline-topic"
"""On every batch of runs, where it is known: the id of the events topic that these offsets are of."""

STAGE = "worker"
_BATCH_BYTES = 768 * 1024
"""Batches are made about so large; one record may be larger."""
_LARGEST_ITEM = MAX_MESSAGE_BYTES - 64 * 1024
"""What a broker takes, less the framing of a batch and its own."""
_TRUNCATED = "truncated"
_LONG_LISTS = (
    "steps",
    "evidence",
    "gaps",
    "fallbacks",
    "reviews",
    "evals",
    "evidence_refs",
    "context_refs",
    "validation_errors",
    "conflict_sides",
)
"""What a run may have most of, and what its sums do not rest on."""
_CUT_CHARS = 1024
_CUT_MISSING = 100


@dataclass(frozen=True, slots=True)
class Publication:
    """A message to publish; `delivered` is to be called once the broker has it, on the thread of the joiner."""

    topic: Topic
    partition: int | None
    """None: any."""
    value: bytes
    delivered: Callable[[], None]
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


Publish = Callable[[Publication], None]


@dataclass(frozen=True, slots=True)
class RunBatch:
    """A value of the runs topic, and the runs in it."""

    value: bytes
    run_ids: tuple[str, ...]


def run_batches(written: Iterable[Written], source_partition: int, schemas: Schemas) -> Iterator[RunBatch]:
    """Runs, all of one partition, as values no larger than a broker takes; no record is touched on the way."""
    header = wire.encode_long(source_partition)
    fitting = ((run.brief.run_id, _fitting(run.item)) for run in written)
    for some in _together(fitting, size=lambda each: len(each[1])):
        value = wire.encode_batch(schemas.write_id(RUNS.subject), header, [item for _, item in some])
        yield RunBatch(value, tuple(run_id for run_id, _ in some))


def event_batches(items: Iterable[bytes], schemas: Schemas) -> Iterator[bytes]:
    """Events as batches again; they are items of the newest schema."""
    header = wire.encode_string(f"causeline-{STAGE}")
    for some in _together(items, size=len):
        yield wire.encode_batch(schemas.write_id(EVENTS.subject), header, some)


def _together(each: Iterable[T], *, size: Callable[[T], int]) -> Iterator[list[T]]:
    """Neighbours, as many as make a batch of `_BATCH_BYTES`, at least one."""
    some: list[T] = []
    total = 0
    for one in each:
        if some and total + size(one) > _BATCH_BYTES:
            yield some
            some, total = [], 0
        some.append(one)
        total += size(one)
    if some:
        yield some


def _fitting(item: bytes) -> bytes:
    """The item of a run as it is where a broker takes it; else cut until it fits, and `missing` says so.

    Its sums and its end stay as they are.
    """
    if len(item) <= _LARGEST_ITEM:
        return item
    for cut in _cuts(record_of(item), _LARGEST_ITEM / len(item)):
        cut["missing"] = [*cut["missing"], _TRUNCATED]
        cut["verdict"] = Verdict.PARTIAL.value
        item = item_of(cut)
        if len(item) <= _LARGEST_ITEM:
            break
    return item


def _cuts(run: RunRecord, share: float) -> Iterator[RunRecord]:
    """The run smaller and smaller: its lists to about `share`, then by halves, then what it lacks, its texts."""
    said = cast("Mapping[str, Any]", run)
    lists = {name: said[name] for name in _LONG_LISTS}
    longest = int(max(map(len, lists.values())) * share)
    cut = dict(said)
    while longest > 0:
        cut |= {name: some[:longest] for name, some in lists.items()}
        yield _record(cut)
        longest //= 2
    cut |= {name: [] for name in lists}
    cut["missing"] = run["missing"][:_CUT_MISSING]
    yield _record(cut)
    cut |= {name: text[:_CUT_CHARS] for name, text in cut.items() if isinstance(text, str)}
    cut["missing"] = [text[:_CUT_CHARS] for text in cut["missing"]]
    cut["labels"] = [{**label, "value": label["value"][:_CUT_CHARS]} for label in run["labels"]]
    yield _record(cut)


def _record(said: Mapping[str, Any]) -> RunRecord:
    return cast("RunRecord", dict(said))


def gap_value(event: Event, found: Judgement, now_us: int, schemas: Schemas, *, policy_hash: str) -> bytes:
    """The Gap that was found in a piece of evidence; `policy_hash` is of what judged."""
    record: Record = {
        **event._asdict(),
        "gap_id": derived_id(event.event_id, found.kind.value),
        "kind": found.kind.value,
        "threshold": found.threshold,
        "decided_next_step": event.next_step,
        "next_step": found.next_step.value,
        "policy_hash": policy_hash,
        "detected_at": now_us,
    }
    schema = catalogue.latest(GAPS.subject)
    names = [field["name"] for field in schema.plain["fields"]]
    payload = wire.encode_datum(schema, {name: record[name] for name in names})
    return wire.frame(schemas.write_id(GAPS.subject), payload)


def policy_use(policy: Policy, partition: int, from_offset: int, now_us: int, schemas: Schemas) -> bytes:
    """The PolicyUse that says from which message of a partition on `policy` judges."""
    record: Record = {
        "policy_hash": policy.content_hash,
        "policy": policy.canonical_text,
        "used_by": STAGE,
        "source_partition": partition,
        "from_offset": from_offset,
        "used_at": now_us,
    }
    payload = wire.encode_datum(catalogue.latest(POLICIES.subject), record)
    return wire.frame(schemas.write_id(POLICIES.subject), payload)


def review_value(item: Record, schemas: Schemas) -> bytes:
    """The ReviewItem of one record of `review_items`."""
    return wire.frame(schemas.write_id(REVIEWS.subject), wire.encode_datum(catalogue.latest(REVIEWS.subject), item))


def dead_letter(
    unreadable: Unreadable, *, topic: str, key: bytes | None, produced_at_us: int | None, now_us: int, schemas: Schemas
) -> bytes:
    """The DeadLetter of what could not be read; the same letter however often it is written."""
    letter = DeadLetter(
        stage=STAGE,
        topic=topic,
        partition=unreadable.partition,
        offset=unreadable.offset,
        key=key,
        value=unreadable.value,
        reason=unreadable.reason,
        detail=unreadable.detail,
        produced_at=produced_at_us,
        schema_id=unreadable.schema_id,
        item=unreadable.item,
    )
    return dead_letter_value(letter, now_us, schemas)

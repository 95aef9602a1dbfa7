"""What the worker publishes: a message on its way out, and the values of runs, late events, gaps and dead letters.

The joiner decides what is published and when; the outbox hands it to the broker.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import cast

import polars as pl
from polars import selectors as cs

from causeline.schemas import catalogue, wire
from causeline.schemas.dead_letter import DeadLetter, dead_letter_value
from causeline.schemas.events import Record
from causeline.schemas.ids import derived_id
from causeline.schemas.policy import Policy
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import EVENTS, GAPS, MAX_MESSAGE_BYTES, POLICIES, REVIEWS, RUNS, Topic
from causeline.schemas.vocabulary import Verdict
from causeline.streams.runs.blocks import Block, blocks_of
from causeline.streams.runs.decode import Unreadable
from causeline.streams.runs.shapes import event_columns, run_columns

REACH_HEADER = "causeline-reach"
"""On every batch of runs: no run published so far from this partition was counted beyond this offset."""
TOPIC_HEADER = "causeline-topic"
"""On every batch of runs, where it is known: the id of the events topic that these offsets are of."""

STAGE = "worker"
_BATCH_BYTES = 768 * 1024
"""Batches are made about so large; one record may be larger."""
_LARGEST_VALUE = MAX_MESSAGE_BYTES - 64 * 1024
"""What a broker takes, less its own framing."""
_BLOCK_BYTES = _BATCH_BYTES // 2
_MOST_BLOCK_RUNS = 128
_FEW_RUNS = 32
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


def run_batches(runs: pl.DataFrame, source_partition: int, schemas: Schemas) -> Iterator[RunBatch]:
    """`runs`, all of one partition, as values no larger than a broker takes; no record is touched on the way."""
    return (batch for _, batch in run_batches_of([(source_partition, runs)], schemas))


def run_batches_of(parts: Sequence[tuple[int, pl.DataFrame]], schemas: Schemas) -> Iterator[tuple[int, RunBatch]]:
    """The same of several partitions, each with its runs: all of them are written in one go."""
    for (partition, runs), written in zip(parts, _blocks([runs for _, runs in parts]), strict=True):
        at = 0
        for blocks in _together(written):
            count = sum(each for each, _ in blocks)
            some, value = runs[at : at + count], _run_batch(blocks, partition, schemas)
            at += count
            yield from ((partition, batch) for batch in _fitting(some, value, partition, schemas))


def _fitting(runs: pl.DataFrame, value: bytes, source_partition: int, schemas: Schemas) -> Iterator[RunBatch]:
    """`value` as it is where a broker takes it, else its runs in halves; one run too large by itself is cut."""
    if len(value) <= _LARGEST_VALUE:
        yield RunBatch(value, tuple(runs["run_id"]))
    elif runs.height == 1:
        yield RunBatch(_truncated(runs, source_partition, schemas), tuple(runs["run_id"]))
    else:
        middle = runs.height // 2
        for half in (runs[:middle], runs[middle:]):
            [blocks] = _blocks([half], rows=half.height)
            yield from _fitting(half, _run_batch(blocks, source_partition, schemas), source_partition, schemas)


def _blocks(parts: Sequence[pl.DataFrame], *, rows: int | None = None) -> list[list[Block]]:
    """The runs of each part as Avro, in blocks of about `_BLOCK_BYTES`, or of `rows` runs."""
    rows = rows or _rows_a_block(parts)
    cut = [[runs[at : at + rows] for at in range(0, runs.height, rows)] for runs in parts]
    blocks = iter(blocks_of([piece for each in cut for piece in each]))
    return [list(islice(blocks, len(each))) for each in cut]


def _rows_a_block(parts: Sequence[pl.DataFrame]) -> int:
    """A block costs as much by itself as a hundred runs in it, and is all that has to be written again if too large."""
    runs = sum(each.height for each in parts)
    if runs <= _FEW_RUNS:  # not worth the question
        return _FEW_RUNS
    size = sum(each.estimated_size() for each in parts)  # in memory, which is about what Avro takes
    return max(1, min(_MOST_BLOCK_RUNS, _BLOCK_BYTES * runs // max(1, int(size))))


def _together(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """Neighbours, as many as make a batch of `_BATCH_BYTES`, at least one."""
    some: list[Block] = []
    size = 0
    for count, data in blocks:
        if some and size + len(data) > _BATCH_BYTES:
            yield some
            some, size = [], 0
        some.append((count, data))
        size += len(data)
    if some:
        yield some


def _run_batch(blocks: Sequence[Block], source_partition: int, schemas: Schemas) -> bytes:
    return wire.batch_of_blocks(schemas.write_id(RUNS.subject), wire.encode_long(source_partition), blocks)


def _truncated(run: pl.DataFrame, source_partition: int, schemas: Schemas) -> bytes:
    """A run larger than a message, cut until it fits, and `missing` says so. Its sums and its end stay as they are."""
    value = b""
    for cut in _cuts(run):
        tagged = cut.with_columns(
            pl.concat_list("missing", pl.lit(_TRUNCATED)).cast(run_columns()["missing"]).alias("missing"),
            pl.lit(Verdict.PARTIAL.value).alias("verdict"),
        )
        [blocks] = _blocks([tagged])
        value = _run_batch(blocks, source_partition, schemas)
        if len(value) <= _LARGEST_VALUE:
            break
    return value


def _cuts(run: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The run smaller and smaller: its lists by halves, then what is missing of it, then its texts."""
    longest = max(cast("int", run[name].list.len().max() or 0) for name in _LONG_LISTS)
    cut = run
    while longest > 0:
        longest //= 2
        cut = run.with_columns(pl.col(_LONG_LISTS).list.head(longest))
        yield cut
    cut = cut.with_columns(pl.col("missing").list.head(_CUT_MISSING))
    yield cut
    short = pl.element().struct.with_fields(pl.field("value").str.head(_CUT_CHARS))
    yield cut.with_columns(
        cs.string().str.head(_CUT_CHARS),
        pl.col("missing").list.eval(pl.element().str.head(_CUT_CHARS)),
        pl.col("labels").list.eval(short),
    )


def event_batches(events: pl.DataFrame, schemas: Schemas) -> Iterator[bytes]:
    """Decoded events as batches again, in the newest schema."""
    schema = catalogue.latest(EVENTS.subject)
    times = pl.col(pl.Datetime).to_physical()
    header = wire.encode_string(f"causeline-{STAGE}")
    items: list[bytes] = []
    size = 0
    for record in events.select(list(event_columns())).with_columns(times).iter_rows(named=True):
        item = wire.encode_item(schema, record)
        if items and size + len(item) > _BATCH_BYTES:
            yield wire.encode_batch(schemas.write_id(EVENTS.subject), header, items)
            items, size = [], 0
        items.append(item)
        size += len(item)
    if items:
        yield wire.encode_batch(schemas.write_id(EVENTS.subject), header, items)


def gap_value(found: Record, now_us: int, schemas: Schemas, *, policy_hash: str) -> bytes:
    """The Gap of one row of `findings.judged`, its times as integers; `policy_hash` is of what judged."""
    record: Record = {
        **found,
        "gap_id": derived_id(str(found["event_id"]), str(found["kind"])),
        "decided_next_step": found["next_step"],
        "next_step": found["policy_step"],
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

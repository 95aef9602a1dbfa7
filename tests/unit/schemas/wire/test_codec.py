"""The wire trusts no byte: every broken value has its reason, and no reader is misled."""

import io

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.schemas import catalogue, wire
from causeline.schemas.errors import EventTooLarge, Reason, UnreadableMessage
from causeline.schemas.registry import Schemas
from tests.unit.schemas.test_events import IDENTITY

SCHEMA = catalogue.latest("trace-batch")
ID = SCHEMA.schema_id
HEADER = wire.encode_string("e")
RECORD = IDENTITY | {"event_type": "run_started"}
ITEM = wire.encode_item(SCHEMA, RECORD)
GOOD = wire.encode_batch(ID, HEADER, [ITEM, ITEM])


def _reason(value: bytes | None) -> Reason:
    with pytest.raises(UnreadableMessage) as caught:
        wire.decode_items(wire.read_block(value, "trace-batch", Schemas()))
    return caught.value.reason


def _batch(payload: bytes) -> bytes:
    return wire.frame(ID, HEADER + payload)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_long_is_avros_long(number: int) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, {"type": "long"}, number)

    assert wire.encode_long(number) == out.getvalue()
    assert wire.decode_long(memoryview(out.getvalue()), 0) == (number, len(out.getvalue()))


def test_a_batch_gives_back_its_items_undecoded() -> None:
    block = wire.read_block(GOOD, "trace-batch", Schemas())

    assert (block.count, bytes(block.data)) == (2, ITEM + ITEM)


def test_a_batch_is_what_fastavro_reads_as_the_committed_schema() -> None:
    decoded = fastavro.schemaless_reader(io.BytesIO(GOOD[wire.FRAME_BYTES :]), SCHEMA.parsed, None)

    assert isinstance(decoded, dict)
    assert decoded["emitter_id"] == "e"
    assert [event["run_id"] for event in decoded["events"]] == ["b" * 32] * 2


def test_a_container_around_the_block_is_an_avro_file() -> None:
    block = wire.read_block(GOOD, "trace-batch", Schemas())
    container = wire.container_header(wire.item_schema_text(SCHEMA)) + wire.container_block(block.count, block.data)

    rows = list(fastavro.reader(io.BytesIO(container)))

    assert len(rows) == 2
    assert wire.container_blocks(container) == [(2, memoryview(ITEM + ITEM))]


def test_blocks_that_carry_their_size_are_read_as_one() -> None:
    sized = wire.encode_long(-1) + wire.encode_long(len(ITEM)) + ITEM
    block = wire.read_block(_batch(sized + sized + b"\x00"), "trace-batch", Schemas())

    assert (block.count, bytes(block.data)) == (2, ITEM + ITEM)


def test_an_empty_batch_is_no_items() -> None:
    assert wire.read_block(_batch(b"\x00"), "trace-batch", Schemas()).count == 0


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.EMPTY),
        (b"", Reason.EMPTY),
        (b"\x01" + GOOD[1:], Reason.BAD_MAGIC),
        (b"\x00\x00", Reason.TRUNCATED),
        (b"\x00\x00\x00\x00\x07" + GOOD[5:], Reason.UNKNOWN_SCHEMA),
        (wire.frame(catalogue.latest("gap").schema_id, GOOD[5:]), Reason.UNKNOWN_SCHEMA),
        (GOOD[:5], Reason.TRUNCATED),
        (GOOD[: 9 * len(GOOD) // 10], Reason.CORRUPT),
        (GOOD[:-1], Reason.CORRUPT),
        (GOOD + b"\x00", Reason.TRAILING_BYTES),
        (_batch(b"\x00" + b"extra"), Reason.TRAILING_BYTES),
        (_batch(wire.encode_long(1) + ITEM + b"junk\x00"), Reason.TRAILING_BYTES),
        (_batch(wire.encode_long(3) + ITEM + ITEM + ITEM[:-1]), Reason.CORRUPT),
        (_batch(wire.encode_long(30_000_000) + b"\x00" * 1000), Reason.OVERSIZED),
        (_batch(wire.encode_long(-30_000_000) + wire.encode_long(0) + b"\x00"), Reason.OVERSIZED),
        (_batch(wire.encode_long(-1) + wire.encode_long(2**40) + ITEM), Reason.TRUNCATED),
        (_batch(wire.encode_long(-1) + wire.encode_long(-5) + ITEM), Reason.TRUNCATED),
        (_batch(b"\xff" * 20), Reason.CORRUPT),
        (wire.frame(ID, wire.encode_long(2**40) + b"e"), Reason.TRUNCATED),
        (wire.frame(ID, wire.encode_long(-5) + b"e"), Reason.TRUNCATED),
        (_batch(wire.encode_long(1) + wire.encode_long(2**40) + ITEM + b"\x00"), Reason.CORRUPT),
        (_batch(wire.encode_long(1) + wire.encode_long(-5) + ITEM + b"\x00"), Reason.CORRUPT),
        (_batch(wire.encode_long(1) + b"\x04\xff\xfe" + ITEM[3:] + b"\x00"), Reason.CORRUPT),
        (wire.frame(ID, b"\x00" * (5 * 1024 * 1024)), Reason.OVERSIZED),
    ],
    ids=lambda part: part.value if isinstance(part, Reason) else None,
)
def test_a_broken_value_has_its_reason(value: bytes | None, reason: Reason) -> None:
    assert _reason(value) is reason


@given(st.binary(max_size=300))
def test_random_bytes_are_read_or_refused_and_nothing_else(noise: bytes) -> None:
    try:
        wire.decode_items(wire.read_block(wire.frame(ID, noise), "trace-batch", Schemas()))
    except UnreadableMessage as error:
        assert error.schema_id == ID  # noqa: PT017 - either outcome is right


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 7))
def test_a_flipped_bit_never_ends_in_anything_but_records_or_a_reason(position: int, bit: int) -> None:
    broken = bytearray(GOOD)
    broken[position] ^= 1 << bit
    try:
        records = wire.decode_items(wire.read_block(bytes(broken), "trace-batch", Schemas()))
    except UnreadableMessage as error:
        assert error.reason in Reason  # noqa: PT017 - either outcome is right
    else:
        assert len(records) <= 2


def test_an_event_over_the_limit_is_named_with_its_size() -> None:
    room = (
        wire.MAX_EVENT_BYTES - len(wire.encode_item(SCHEMA, RECORD | {"validation_errors": ["x" * 200_000]})) + 200_000
    )
    exact = RECORD | {"validation_errors": ["x" * room]}

    assert len(wire.encode_item(SCHEMA, exact)) == wire.MAX_EVENT_BYTES
    with pytest.raises(EventTooLarge, match=str(wire.MAX_EVENT_BYTES + 1)):
        wire.encode_item(SCHEMA, RECORD | {"validation_errors": ["x" * (room + 1)]})


def test_a_single_record_is_read_to_its_last_byte() -> None:
    gap = catalogue.latest("gap")
    record = {
        "gap_id": "a" * 32, "run_id": "b" * 32, "project": "p", "workflow": "w", "event_id": "c" * 32,
        "run_started_at": 1,
        "kind": "weak_provenance", "evidence_refs": [], "conflicting_refs": [], "next_step": "review", "occurred_at": 2,
        "detected_at": 3,
    }  # fmt: skip
    value = wire.frame(gap.schema_id, wire.encode_datum(gap, record))

    assert wire.decode_datum(value, "gap", Schemas())["kind"] == "weak_provenance"
    with pytest.raises(UnreadableMessage) as caught:
        wire.decode_datum(value + b"\x00", "gap", Schemas())
    assert caught.value.reason is Reason.TRAILING_BYTES

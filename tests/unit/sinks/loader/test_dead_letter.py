"""A dead letter holds the bytes, the reason and the place, and can always be written."""

from dataclasses import replace

import pytest

from causeline.schemas import catalogue, wire
from causeline.schemas.dead_letter import LARGEST_KEY, LARGEST_VALUE, dead_letter_record
from causeline.schemas.errors import Reason
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import MAX_MESSAGE_BYTES
from causeline.sinks.loader.dead_letters import letter as letter_of
from causeline.sinks.loader.units import BadMessage
from tests.unit.sinks.loader.messages import origin


def letter(
    value: bytes = b"\x01bytes", schema_id: int | None = None, item: int | None = None, offset: int = 9
) -> dict[str, object]:
    bad = BadMessage(origin(offset), value, Reason.BAD_MAGIC, "Not ours.", schema_id, item)
    return dead_letter_record(letter_of(bad), 5_000)


def test_it_says_what_was_where_and_why() -> None:
    record = letter()
    del record["dead_id"]
    assert record == {
        "stage": "loader",
        "topic": "t.events",
        "partition": 3,
        "offset": 9,
        "reason": "bad_magic",
        "detail": "Not ours.",
        "schema_id": None,
        "key": b"key",
        "value": b"\x01bytes",
        "produced_at": 1_000,
        "observed_at": 5_000,
    }


def test_the_same_message_is_the_same_letter() -> None:
    assert letter()["dead_id"] == letter()["dead_id"]
    assert len({str(each["dead_id"]) for each in (letter(), letter(offset=8), letter(item=0), letter(item=1))}) == 4


@pytest.mark.parametrize("schema_id", [None, 0, 2**31 - 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("size", [0, LARGEST_VALUE, LARGEST_VALUE + 1, MAX_MESSAGE_BYTES + 1])
def test_it_fits_into_a_message_whatever_it_holds(size: int, schema_id: int | None) -> None:
    record = letter(bytes(size), schema_id)
    schema = catalogue.latest("dead-letter")
    value = wire.frame(schema.schema_id, wire.encode_datum(schema, record))
    assert len(value) <= MAX_MESSAGE_BYTES
    assert wire.decode_datum(value, "dead-letter", Schemas())["offset"] == 9
    assert ("Only the first" in str(record["detail"])) == (size > LARGEST_VALUE)


def test_a_key_that_is_cut_is_said_to_be() -> None:
    bad = BadMessage(replace(origin(9), key=b"k" * (LARGEST_KEY + 1)), b"v", Reason.BAD_MAGIC, "Not ours.")
    record = dead_letter_record(letter_of(bad), 5_000)
    assert record["key"] == b"k" * LARGEST_KEY
    assert f"first {LARGEST_KEY} of its key's {LARGEST_KEY + 1} bytes" in str(record["detail"])

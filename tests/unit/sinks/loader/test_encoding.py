"""Messages become one container with a token, and every message is followed by its sentinel."""

import io

import fastavro

from causeline.schemas import catalogue, tables, wire
from causeline.sinks.loader.encoding import Encoder
from causeline.sinks.loader.sentinel import Sentinels
from tests.unit.sinks.loader.messages import batch, event, unit


def test_the_container_holds_every_message_and_its_sentinel() -> None:
    values = [batch([event(1), event(2)]), batch([event(3)])]
    [insert] = Encoder(tables.EVENTS).inserts([unit(value, offset) for offset, value in enumerate(values)])
    statement, container = insert.body.split(b"FORMAT Avro\n", 1)
    names = [str(record["event_id"]) for record in fastavro.reader(io.BytesIO(container)) if isinstance(record, dict)]
    assert [name[-1] for name in names] == ["1", "2", "2", "3", "4"]
    assert [name.startswith("sentinel-") for name in names] == [False, False, True, False, True]
    assert b"row_position = 4 OR" in statement
    assert insert.rows == 3


def test_the_token_is_that_of_the_offsets_and_the_content() -> None:
    one, other = batch([event(1)]), batch([event(2)])

    def token(*values: bytes) -> str:
        units = [unit(value, offset) for offset, value in enumerate(values)]
        [insert] = Encoder(tables.EVENTS).inserts(units)
        return insert.token

    assert token(one, other) == token(one, other)
    assert token(one, other).startswith("t.events:3:0-1:")
    assert len({token(one), token(other), token(one, other), token(other, one)}) == 4


def test_partitions_share_an_insert_whose_token_tells_all_of_them() -> None:
    def token(*places: tuple[int, int]) -> str:
        units = [unit(batch([event(1)]), offset, partition) for partition, offset in places]
        [insert] = Encoder(tables.EVENTS).inserts(units)
        assert insert.rows == len(places)
        return insert.token

    assert token((3, 0), (3, 1), (5, 7)).startswith("t.events:3:0-1+1:")
    assert len({token((3, 0), (5, 7)), token((3, 0), (5, 8)), token((3, 0), (6, 7)), token((5, 7), (3, 0))}) == 4
    assert len(token(*((partition, 0) for partition in range(500)))) < 100


def test_empty_batches_make_no_insert() -> None:
    assert list(Encoder(tables.EVENTS).inserts([unit(batch([]))])) == []


def test_a_sentinel_of_every_schema_decodes_and_says_nothing_but_its_place() -> None:
    for table in tables.TABLES:
        schema = catalogue.latest(table.subject)
        record_schema = schema.plain if schema.item is None else schema.item
        encoded = Sentinels(schema, "mark-").at(70_000)
        stream = io.BytesIO(encoded)
        record = fastavro.schemaless_reader(stream, record_schema, None)
        assert stream.tell() == len(encoded)
        assert isinstance(record, dict)
        first, *others = record.values()
        assert first == "mark-70000"
        assert not any(others), table.subject


def test_a_schema_that_is_no_batch_gives_a_block_of_one() -> None:
    schema = catalogue.latest("gap")
    assert tables.record_schema_text(schema) == schema.text
    assert wire.item_schema_text(catalogue.latest("run-batch")) == tables.record_schema_text(
        catalogue.latest("run-batch")
    )

"""Messages become one container with a token, and every message is followed by its sentinel."""

import io
from dataclasses import replace

import fastavro

from causeline.schemas import catalogue, tables, wire
from causeline.sinks.loader.encoding import Encoder
from causeline.sinks.loader.sentinel import Sentinels
from causeline.sinks.loader.units import Unit
from tests.unit.sinks.loader.messages import batch, event, origin, unit


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


def older(one: Unit) -> Unit:
    """The same message, said to be of the version before: nothing here decodes it."""
    return replace(one, block=replace(one.block, schema=catalogue.versions(one.block.schema.subject)[-2]))


def test_events_of_two_versions_that_alternate_make_two_inserts() -> None:
    """As while emitters of two releases write: an insert of each message would be a hundred times as slow."""
    units = [unit(batch([event(number)]), offset=number, partition=number // 10) for number in range(20)]
    units = [older(each) if number % 2 else each for number, each in enumerate(units)]
    inserts = list(Encoder(tables.EVENTS).inserts(units))
    assert [insert.rows for insert in inserts] == [10, 10]
    for insert in inserts:
        assert len({each.block.schema.schema_id for each in insert.units}) == 1
        places = [(each.origin.partition, each.origin.offset) for each in insert.units]
        assert places == sorted(places)
    assert {each.origin.offset for insert in inserts for each in insert.units} == set(range(20))


def test_runs_of_two_versions_are_written_in_the_order_in_which_they_were_published() -> None:
    """Of equal revisions the last written stands."""
    blocks = [wire.Block(version, 1, memoryview(b"")) for version in catalogue.versions("run-batch")[-2:]] * 2
    units = [Unit(replace(origin(offset), topic="t.runs"), b"", block) for offset, block in enumerate(blocks)]
    inserts = list(Encoder(tables.RUNS).inserts(units))
    assert [each.origin.offset for insert in inserts for each in insert.units] == [0, 1, 2, 3]
    assert len(inserts) == 4


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

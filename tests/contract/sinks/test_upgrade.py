"""An upgrade: topics and tables of an earlier release are read by this one, and one that fails harms nothing."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from causeline.schemas import catalogue, wire
from causeline.schemas.connections import ClickHouseConnection
from causeline.schemas.errors import CheckFailed
from causeline.schemas.events import Record
from causeline.schemas.registry import Schemas
from causeline.sinks import tables
from causeline.sinks.clickhouse import clickhouse_client
from causeline.sinks.loader.encoding import Encoder
from causeline.sinks.loader.sending import ClickHouseSender
from causeline.sinks.loader.units import Origin, Unit, read_unit
from causeline.sinks.migrate import Migration, migrate, migrations
from causeline.streams.assemble import assemble
from causeline.streams.decode import Message, decode
from causeline.streams.outgoing import run_batches
from tests.unit.streams.build import event, run_id, whole_run

pytestmark = pytest.mark.stack

SCHEMAS = Schemas()
BEFORE_SIDES = migrations()[:4]
"""What a release had that wrote trace-batch/1 and run-batch/1."""


@pytest.fixture
def database(engine: ClickHouseConnection) -> Iterator[ClickHouseConnection]:
    """A database that does not exist yet."""
    base, _, _ = engine.url.rpartition("/")
    made = ClickHouseConnection(url=f"{base}/upgrade_{uuid.uuid4().hex}", password=engine.password)
    yield made
    with clickhouse_client(made) as client:
        client.command(f"DROP DATABASE {made.database}")


def old_value(subject: str, header: bytes, records: Sequence[Record]) -> bytes:
    """A batch as the earlier release wrote it: under the first version of its schema."""
    first = catalogue.versions(subject)[0]
    return wire.encode_batch(first.schema_id, header, [wire.encode_item(first, record) for record in records])


def old_events(number: int) -> bytes:
    check = event("evidence_checked", run=number, seq=9, emitter="other", provenance_score=0.2)
    return old_value("trace-batch", wire.encode_string("e"), [*whole_run(number), check])


def runs_of(value: bytes, *, old: bool) -> bytes:
    """What a worker makes of the batch, under the first version of the runs' schema or the newest."""
    events = decode([Message(0, 0, value)], SCHEMAS)
    assert events.unreadable == ()
    [made] = run_batches(assemble(events.frame, closed_at_us=0).runs, 0, SCHEMAS)
    if not old:
        return made.value
    records = wire.decode_items(wire.read_block(made.value, "run-batch", SCHEMAS))
    return old_value("run-batch", wire.encode_long(0), records)


def load(client: Client, table: tables.Table, *values: bytes) -> None:
    units = [
        read_unit(Origin(f"t.{table.subject}", 0, n, None, 1), v, table.subject, SCHEMAS) for n, v in enumerate(values)
    ]
    for insert in Encoder(table).inserts([each for each in units if isinstance(each, Unit)]):
        ClickHouseSender(client).send(insert)


def seen(client: Client) -> tuple[list[tuple[str, str, int]], int]:
    runs = client.query("SELECT run_id, verdict, length(steps) FROM runs ORDER BY run_id").result_rows
    [[events]] = client.query("SELECT count() FROM events").result_rows
    return [(str(run), str(verdict), int(steps)) for run, verdict, steps in runs], int(events)


def test_what_an_earlier_release_wrote_is_read_beside_what_this_one_writes(database: ClickHouseConnection) -> None:
    migrate(database, known=BEFORE_SIDES)
    older, newer = old_events(1), old_events(2)
    with clickhouse_client(database) as client:
        load(client, tables.EVENTS, older)
        load(client, tables.RUNS, runs_of(older, old=True))
        before = seen(client)
        assert before == ([(run_id(1), "partial", 3)], 6)

        assert migrate(database) == [each.name for each in migrations()[4:]]
        assert seen(client) == before, "the upgrade has changed what was there"
        assert client.query("SELECT conflict_sides FROM runs").result_rows == [([],)]

        load(client, tables.EVENTS, newer)  # an emitter that was not upgraded yet
        load(client, tables.RUNS, runs_of(newer, old=False))
        runs, events = seen(client)
    assert ([run for run, _, _ in runs], events) == ([run_id(1), run_id(2)], 12)


def test_an_old_topic_gives_the_runs_that_it_always_gave() -> None:
    value = old_events(1)
    [old] = wire.decode_items(wire.read_block(runs_of(value, old=True), "run-batch", SCHEMAS))
    [new] = wire.decode_items(wire.read_block(runs_of(value, old=False), "run-batch", SCHEMAS))
    assert old["gaps"]
    assert known_of(new, old) == old


def known_of(new: Any, old: Any) -> Any:
    """What `new` says under the names that `old` has, however deep."""
    if isinstance(old, dict):
        return {name: known_of(new[name], value) for name, value in old.items()}
    if isinstance(old, list):
        return [known_of(*pair) for pair in zip(new, old, strict=True)]
    return new


def test_a_migration_that_fails_leaves_the_old_state_working_and_may_be_mended(database: ClickHouseConnection) -> None:
    migrate(database)
    number = len(migrations()) + 1
    text = "ALTER TABLE event_rows ADD COLUMN IF NOT EXISTS tried UInt8 COMMENT 'x';\nSELECT broken;\n"
    broken = Migration(number, f"{number:04}_broken.sql", text)
    value = old_events(3)
    with clickhouse_client(database) as client:
        with pytest.raises(CheckFailed, match="UNKNOWN_IDENTIFIER"):
            migrate(database, known=[*migrations(), broken])
        load(client, tables.EVENTS, value)
        load(client, tables.RUNS, runs_of(value, old=False))
        assert seen(client) == ([(run_id(3), "partial", 3)], 6)
        assert migrate(database) == [], "the release that was there starts as before"

        mended = replace(broken, text=text.replace("broken", "1"))
        assert migrate(database, known=[*migrations(), mended]) == [mended.name]
        assert seen(client)[1] == 6

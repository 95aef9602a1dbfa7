"""An upgrade: topics and tables of an earlier release are read by this one, and one that fails harms nothing."""

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas import catalogue, tables, wire
from causeline.schemas.errors import CheckFailed
from causeline.schemas.events import Record
from causeline.schemas.registry import Schemas
from causeline.sinks.loader.encoding import Encoder
from causeline.sinks.loader.inserting import ClickHouseSender
from causeline.sinks.loader.units import Origin, Unit, read_unit
from causeline.sinks.migrate import Migration, migrate, migrations, statements
from tests.contract.sinks.test_tables import as_message, example
from tests.unit.streams.both import assemble
from tests.unit.streams.build import event, in_partition, run_id, whole_run

pytestmark = pytest.mark.stack

SCHEMAS = Schemas()
WIDE = migrations()[:6]
"""What kept events and runs in all their columns."""
FIRST_RELEASE = migrations()[:2]
"""The tables and views that the first release came with; what wrote trace-batch/1 and run-batch/1 filled no more."""


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
    runs = assemble(in_partition([value])).runs
    if old:
        return old_value("run-batch", wire.encode_long(0), runs)
    newest = catalogue.latest("run-batch")
    items = [wire.encode_record(newest, run) for run in runs]
    return wire.encode_batch(newest.schema_id, wire.encode_long(0), items)


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
    migrate(database, known=FIRST_RELEASE)
    older, newer = old_events(1), old_events(2)
    with clickhouse_client(database) as client:
        load(client, tables.EVENTS, older)
        load(client, tables.RUNS, runs_of(older, old=True))
        before = seen(client)
        assert before == ([(run_id(1), "partial", 3)], 6)

        assert migrate(database) == [each.name for each in migrations()[2:]]
        assert seen(client) == before, "the upgrade has changed what was there"
        assert client.query("SELECT conflict_sides FROM runs").result_rows == [([],)]

        load(client, tables.EVENTS, newer)  # an emitter that was not upgraded yet
        load(client, tables.RUNS, runs_of(newer, old=False))
        runs, events = seen(client)
    assert ([run for run, _, _ in runs], events) == ([run_id(1), run_id(2)], 12)


def columns_of_views(client: Client) -> dict[str, dict[str, str]]:
    """Of each public view its columns and their types."""
    found: dict[str, dict[str, str]] = {}
    for view, name, kind in client.query(
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() ORDER BY table, position"
    ).result_rows:
        if view in tables.VIEWS:
            found.setdefault(view, {})[name] = kind
    return found


def shown(client: Client, columns: dict[str, dict[str, str]]) -> dict[str, list[str]]:
    """What each view shows in these columns; the texts of runs are the same whatever blanks they have."""
    found = {
        view: client.raw_query(f"SELECT {', '.join(names)} FROM {view}", fmt="JSONCompactEachRow").decode().splitlines()
        for view, names in columns.items()
    }
    texts = [(run_id, revision, json.loads(text)) for run_id, revision, text in map(json.loads, found.pop("run_texts"))]
    return {**{view: sorted(rows) for view, rows in found.items()}, "run_texts": sorted(map(repr, texts))}


def test_rows_made_narrow_show_what_they_showed_in_every_column_that_a_view_had(database: ClickHouseConnection) -> None:
    migrate(database, known=WIDE)
    values = {
        table: [
            as_message(table, {**example(table, kind), "run_id": f"{place:032x}"})
            for place, kind in enumerate(("bare", "smallest", "largest"), 100)
        ]
        for table in (tables.EVENTS, tables.RUNS)
    }
    with clickhouse_client(database) as client:
        for number in (1, 2):
            values[tables.EVENTS].append(old_events(number))
            values[tables.RUNS].append(runs_of(old_events(number), old=number == 1))
        review = event("review_recorded", run=1, seq=9, emitter="reviewer", review_outcome="approved")
        values[tables.DECISIONS] = [old_value("trace-batch", wire.encode_string("r"), [review])]
        for table, messages in values.items():
            load(client, table, *messages)
        columns = columns_of_views(client)
        before = shown(client, columns)
        assert {view for view, rows in before.items() if rows} >= {"events", "runs", "steps", "evaluations", "reviews"}

        migrate(database)
        after = columns_of_views(client)
        for view, names in columns.items():
            assert {name: after[view].get(name) for name in names} == names, view
        assert shown(client, columns) == before

        for kept in (tables.EVENTS.kept, tables.RUNS.kept, "run_document_rows", "run_order_rows"):
            client.command(f"TRUNCATE TABLE {kept}")
        for table, messages in values.items():
            load(client, table, *messages)
        assert shown(client, columns) == before, "what comes in now is shown as what came in then"


def test_an_insert_that_was_under_way_as_its_table_was_made_narrow_is_not_left_behind(
    database: ClickHouseConnection,
) -> None:
    late = {
        "narrow_runs_filler": "INSERT INTO run_rows (run_id, closed_at) SELECT 'late', now()",
        "narrow_events_filler": "INSERT INTO event_rows (run_id, occurred_at) SELECT 'late', now()",
    }
    migrate(database, known=WIDE)
    with clickhouse_client(database) as client:
        for statement in (each for migration in migrations()[6:] for each in statements(migration.text)):
            client.command(statement)
            filler = f"narrow_{'runs' if 'narrow_run_rows' in statement else 'events'}_filler"
            if "INSERT INTO narrow_" in statement and filler in late:
                client.command(f"DETACH TABLE {filler}")  # begun before there was one, it does not fill it
                client.command(late.pop(filler))
                client.command(f"ATTACH TABLE {filler}")
        assert not late
        for view in ("runs", "events"):
            assert client.query(f"SELECT run_id FROM {view}").result_rows == [("late",)], view


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

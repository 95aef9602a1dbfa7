"""Every table says how long its rows are kept, by a setting with a default; what is over its time goes."""

import uuid
from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.sinks.migrate import migrate
from causeline.sinks.retention import BOUNDED, RULES, RetentionSettings

pytestmark = pytest.mark.stack


@pytest.fixture
def database(engine: ClickHouseConnection) -> ClickHouseConnection:
    base, _, _ = engine.url.rpartition("/")
    made = ClickHouseConnection(url=f"{base}/kept_{uuid.uuid4().hex}", password=engine.password)
    migrate(made, retention=RetentionSettings())
    return made


@pytest.fixture
def client(database: ClickHouseConnection) -> Iterator[Client]:
    with clickhouse_client(database) as opened:
        yield opened


def engines(client: Client) -> dict[str, str]:
    rows = client.query(
        "SELECT name, engine_full FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    ).result_rows
    return {str(name): str(engine) for name, engine in rows}


def test_every_table_has_a_ttl_or_a_bound_of_its_own(client: Client) -> None:
    found = engines(client)

    assert {table for table, engine in found.items() if " TTL " in engine} == {rule.table for rule in RULES}
    assert found.keys() == {rule.table for rule in RULES} | BOUNDED.keys()
    assert {rule.setting for rule in RULES} == RetentionSettings.model_fields.keys()


def test_it_is_said_once_and_changed_when_the_setting_changes(database: ClickHouseConnection, client: Client) -> None:
    assert migrate(database, retention=RetentionSettings()) == []

    changed = migrate(database, retention=RetentionSettings(events_days=7, drift_days=0))

    assert "retention of narrow_event_rows" in changed
    assert "retention of narrow_run_rows" not in changed
    found = engines(client)
    assert "toIntervalDay(7)" in found["narrow_event_rows"]
    assert " TTL " not in found["alert_rows"]


def test_what_is_over_its_time_goes_and_a_clock_that_lies_by_years_takes_nothing_away(client: Client) -> None:
    kept = {"now": "now()", "1970": "toDateTime(0)", "young": "now() - INTERVAL 80 DAY"}
    for name, moment in {**kept, "old": "now() - INTERVAL 200 DAY"}.items():
        client.command(f"INSERT INTO event_rows (event_id, run_started_at) SELECT '{name}', {moment}")

    client.command("OPTIMIZE TABLE narrow_event_rows FINAL")

    assert {name for (name,) in client.query("SELECT event_id FROM narrow_event_rows").result_rows} == kept.keys()


def test_a_runs_document_goes_with_its_row(client: Client) -> None:
    for name, days in (("young", 300), ("old", 600)):
        client.command(f"INSERT INTO run_rows (run_id, started_at) SELECT '{name}', now() - INTERVAL {days} DAY")

    for table in ("narrow_run_rows", "run_document_rows"):
        client.command(f"OPTIMIZE TABLE {table} FINAL")
        assert client.query(f"SELECT run_id FROM {table}").result_rows == [("young",)]

"""Erasing a run as docs/operations.md says leaves nothing of it in any table, and its neighbour as it was."""

import re
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from causeline.sinks import tables
from causeline.sinks.migrate import statements

pytestmark = pytest.mark.stack

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text("utf-8")
ERASED, KEPT = "e" * 32, "a" * 32


def erasing() -> list[str]:
    [block] = re.findall(r"<!-- erasing: .*? -->\n\n```sql\n(.*?)```", PAGE, re.DOTALL)
    return list(statements(block))


def of_runs(client: Client) -> set[str]:
    """Every table with rows about one run."""
    rows = client.query(
        "SELECT DISTINCT table FROM system.columns WHERE database = currentDatabase() AND name = 'run_id'"
        " AND table IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree')"
    ).result_rows
    return {table for (table,) in rows}


def rows_about(client: Client, run_id: str) -> dict[str, int]:
    """By table, as it lies on the disk."""
    asked = "SELECT count() FROM {t:Identifier} WHERE run_id = {run:String}"
    return {
        table: client.query(asked, parameters={"t": table, "run": run_id}).result_rows[0][0]
        for table in of_runs(client)
    }


def test_nothing_of_an_erased_run_is_left(store: Client) -> None:
    held = of_runs(store)
    for table in held - set(tables.DERIVED):
        for run_id in (ERASED, KEPT):
            store.command(f"INSERT INTO {table} (run_id) VALUES ('{run_id}')")
    before = rows_about(store, KEPT)
    assert rows_about(store, ERASED) == before == dict.fromkeys(held, 1), "and those that the server fills itself"

    said = erasing()
    assert said[0].startswith("ALTER TABLE event_rows DELETE ")
    for statement in said:
        store.command(statement, parameters={"run": ERASED})
    assert rows_about(store, ERASED) == dict.fromkeys(held, 0)
    assert rows_about(store, KEPT) == before

"""The rights in deploy/clickhouse/roles.sql: the engine can read them, and they fit the tables that there are."""

import re
from collections import defaultdict
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from causeline.schemas import tables
from causeline.sinks.migrate import statements

pytestmark = pytest.mark.stack

TEXT = (Path(__file__).parents[3] / "deploy" / "clickhouse" / "roles.sql").read_text("utf-8")
GRANT = re.compile(r"GRANT (.+) ON (\w+)\.(\*|\w+) TO (\w+)")
STATEMENTS = list(statements(TEXT))
LOADED = {table.rows for table in tables.TABLES}


def granted() -> dict[str, list[tuple[set[str], str, str]]]:
    """By role: rights, database, table."""
    found = defaultdict(list)
    for statement in STATEMENTS:
        if match := GRANT.search(statement):
            rights, database, table, role = match.groups()
            found[role].append(({right.strip() for right in rights.split(",")}, database, table))
    return dict(found)


def writes(role: str) -> set[str]:
    return {table for rights, _, table in granted()[role] if "INSERT" in rights}


def test_the_engine_can_read_every_statement(migrated: Client) -> None:
    assert len(STATEMENTS) > 20
    for statement in STATEMENTS:
        [[text]] = migrated.query("SELECT formatQuery({s:String})", parameters={"s": statement}).result_rows
        assert text
    with pytest.raises(ClickHouseError, match="SYNTAX_ERROR"):
        migrated.query("SELECT formatQuery('GRANT WISHES ON a.b TO c')")


def test_every_table_has_one_part_that_writes_it() -> None:
    assert writes("causeline_loader") == LOADED
    assert writes("causeline_operator") == set(tables.OWN_TABLES) - {tables.MIGRATIONS_TABLE, tables.ERASURES_TABLE}


def test_what_the_server_fills_is_written_by_nobody_and_by_right_of_the_owner(migrated: Client) -> None:
    for role in granted():
        if role != "causeline_owner":
            assert not writes(role) & {*tables.DERIVED, "*"}, role
    [[filler]] = migrated.query("SHOW CREATE TABLE run_documents_filler").result_rows
    assert "SQL SECURITY INVOKER" not in filler, "the loader would need rights of its own"
    [(rights, *everything)] = [each for each in granted()["causeline_owner"] if each[1] == "causeline"]
    assert everything == ["causeline", "*"]
    assert rights >= {"SELECT", "INSERT", "ALTER"}, "reads and writes for the view, and can erase a run"


@pytest.mark.parametrize("role", ["causeline_reader", "causeline_amender"])
def test_who_reads_can_change_nothing_and_leave_nothing(role: str) -> None:
    assert granted()[role] == [({"SELECT", "SHOW"}, "causeline", "*")]


def test_a_readers_queries_are_bounded_and_no_bound_can_be_lifted() -> None:
    [profile] = [each for each in STATEMENTS if "SETTINGS PROFILE IF NOT EXISTS" in each]
    assert "readonly = 2" in profile
    bounds = re.findall(r"max_\w+ = (\d+) MIN (\d+) MAX (\d+)", profile)
    assert len(bounds) == 4
    assert all(int(least) == 1 and int(default) <= int(most) for default, least, most in bounds), (
        "0 means without bound"
    )
    assert "SETTINGS PROFILE 'causeline_reading'" in next(each for each in STATEMENTS if "causeline_reader" in each)


def test_nobody_may_read_files_or_addresses_or_give_rights_on() -> None:
    rights = [statement.upper().partition(" TO ")[0] for statement in STATEMENTS if GRANT.search(statement)]
    for word in ("FILE", "URL", "S3", "REMOTE", "GRANT OPTION", "ALL ON", "SOURCES"):
        assert not any(word in each for each in rights), word

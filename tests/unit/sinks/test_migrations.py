"""Migrations are numbered, idempotent, and become a cluster's when one is named."""

import re

import pytest

from causeline.schemas.errors import UsageError
from causeline.sinks.migrate import migrations, statements

IDEMPOTENT = re.compile(
    r"(CREATE (TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS|CREATE OR REPLACE (VIEW|TABLE)|DROP (TABLE|VIEW) IF EXISTS"
    r"|INSERT INTO \w+_rows SELECT\b"  # every table replaces a row by its key
    r"|ALTER TABLE \w+\s+((ADD (COLUMN|INDEX) IF NOT EXISTS)|(DROP (COLUMN|INDEX) IF EXISTS)|MODIFY |COMMENT "
    r"|MATERIALIZE INDEX ))"
)


def uncommented(statement: str) -> str:
    return "\n".join(line for line in statement.splitlines() if not line.startswith("--")).strip()


def test_every_statement_may_run_twice() -> None:
    for migration in migrations():
        found = [uncommented(each) for each in statements(migration.text)]
        assert found, migration.name
        for statement in found:
            assert IDEMPOTENT.match(statement), statement[:80]


def test_one_server_needs_no_cluster() -> None:
    text = "".join(each for migration in migrations() for each in statements(migration.text))
    assert "ON CLUSTER" not in text
    assert "Replicated" not in text
    assert "$" not in text


def test_a_cluster_gets_replicated_tables_everywhere() -> None:
    for migration in migrations():
        for statement in statements(migration.text, cluster="main"):
            bare = uncommented(statement)
            if bare.startswith("INSERT INTO"):  # one replica takes the rows, and the others get them from it
                continue
            assert re.search(r" ON CLUSTER 'main'( MODIFY SETTING)?$", bare.split("\n", 1)[0]), bare[:80]
            if bare.startswith("CREATE TABLE"):
                assert "ENGINE = ReplicatedReplacingMergeTree" in bare


@pytest.mark.parametrize("name", ["", "a'b", "a b", "{x", "a;b"])
def test_a_name_that_no_cluster_has_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not the name of a ClickHouse cluster"):
        list(statements("SELECT 1$on_cluster", cluster=name))


def test_a_semicolon_within_a_line_does_not_end_a_statement() -> None:
    assert list(statements("SELECT ';' ;\n-- only a comment;\nSELECT 2\n")) == ["SELECT ';'", "SELECT 2"]

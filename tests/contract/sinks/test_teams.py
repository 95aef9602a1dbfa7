"""deploy/clickhouse/teams.sql: a team sees its own project in every view, and nothing of another's anywhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from causeline.schemas.tables import MIGRATIONS_TABLE
from causeline.sinks.migrate import statements
from tests.contract.sinks.team_engine import MINE, OTHERS, TEAMS, policies

pytestmark = [pytest.mark.stack, pytest.mark.slow]

OF_PROJECTS = {"events", "runs", "run_documents", "run_order", "steps", "gaps", "reviews", "causes", "neighbours"}


def shown(folder: Path, policies: str) -> dict[str, str]:
    """What each view shows, with the policies or without."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.contract.sinks.team_engine", str(folder), policies]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_team_is_shown_its_own_runs_and_nothing_of_others(tmp_path: Path) -> None:
    everything, own = shown(tmp_path / "without", "without"), shown(tmp_path / "with", "with")
    both = {view for view, text in everything.items() if MINE in text and OTHERS in text}
    assert both >= OF_PROJECTS - {"steps"}, "the engine without policies shows both"
    for view, text in own.items():
        assert OTHERS not in text, view
    assert {view for view in both if MINE in own[view]} >= OF_PROJECTS - {"steps"}


def test_every_table_has_a_policy_and_the_engine_can_read_each_statement(migrated: Client) -> None:
    kept = migrated.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    ).result_rows
    assert policies().keys() == {str(name) for (name,) in kept} - {MIGRATIONS_TABLE}
    for statement in statements(TEAMS.read_text("utf-8")):
        assert migrated.query("SELECT formatQuery({s:String})", parameters={"s": statement}).result_rows

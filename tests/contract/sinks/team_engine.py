"""`python -m tests.contract.sinks.team_engine FOLDER`: an engine whose only user has the row policies of teams.sql.

The embedded engine makes no policies by statement, but has those of its configuration: the same filters, by table. It
prints what each view shows of two projects, as JSON: view → project → rows, and the projects that it names.
"""

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from xml.sax.saxutils import escape

from causeline.schemas import tables
from causeline.sinks.migrate import migrations, statements

TEAMS = Path(__file__).parents[3] / "deploy" / "clickhouse" / "teams.sql"
POLICY = re.compile(
    r"CREATE ROW POLICY IF NOT EXISTS team_claims ON (.+?) FOR SELECT USING (.+) TO causeline_team_claims"
)
MINE, OTHERS = "claims", "others"
DOORS = ("event_rows", "run_rows", "gap_rows", "review_item_rows", "cause_rows")


def policies() -> dict[str, str]:
    """By table, the condition under which a row is shown."""
    found: dict[str, str] = {}
    for statement in statements(TEAMS.read_text("utf-8")):
        if match := POLICY.search(statement):
            found |= {table.strip().removeprefix("causeline."): match[2] for table in match[1].split(",")}
    return found


def _users(filters: dict[str, str]) -> str:
    by_table = "".join(f"<{t}><filter>{escape(f)}</filter></{t}>" for t, f in filters.items())
    return (
        "<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users><default><password/>"
        "<networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>"
        f"<databases><causeline>{by_table}</causeline></databases></default></users></clickhouse>"
    )


def main() -> None:
    """Fill the tables, and print what is shown."""
    folder = Path(sys.argv[1])
    (folder / "config.xml").write_text("<clickhouse/>")
    (folder / "users.xml").write_text(_users(policies() if sys.argv[2] == "with" else {}))
    named = f"config-file={folder / 'config.xml'}&users_config={folder / 'users.xml'}"
    engine = import_module("chdb._chdb").connect(f"{folder}/data?{named}")
    engine.query("CREATE DATABASE causeline")
    engine.query("USE causeline")
    for migration in migrations():
        for statement in statements(migration.text):
            engine.query(statement)
    for number, project in enumerate((MINE, OTHERS)):
        for door in DOORS:
            engine.query(
                f"INSERT INTO {door} (run_id, project, workflow) VALUES ('{number}', '{project}', '{project}')"
            )
        for table, column in (
            ("alert_rows", "workflow"),
            ("rollup_rows", "workflow"),
            ("policy_use_rows", "policy_hash"),
        ):
            engine.query(f"INSERT INTO {table} ({column}) VALUES ('{project}')")
    shown = {view: engine.query(f"SELECT * FROM {view}", "JSONEachRow").bytes().decode() for view in tables.VIEWS}
    sys.stdout.write(json.dumps(shown))


if __name__ == "__main__":
    main()

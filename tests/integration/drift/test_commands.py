"""`drift` and `watch` from the command line, against the real engine."""

import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from causeline.cli.app import app
from causeline.drift.store import DriftStore
from causeline.drift.watch import Plan, watch_once
from causeline.drift.windows import Length
from causeline.runtime.connections import ClickHouseConnection
from tests.integration.drift.making import drifting, put_runs

pytestmark = pytest.mark.stack

HOURS = 9
PLAN = Plan(lengths=(Length.HOUR,), lookback=timedelta(days=3), baseline_windows=8)


def run(database: ClickHouseConnection, *words: str) -> str:
    environment = {
        "CAUSELINE_CLICKHOUSE_URL": database.url,
        "CAUSELINE_CLICKHOUSE_PASSWORD": database.password.get_secret_value(),
        "CAUSELINE_STATE_DIR": "/nonexistent/causeline",
        "CAUSELINE_POLICY": "",
        "CAUSELINE_DRIFT_LENGTHS": '["1h"]',
    }
    result = CliRunner().invoke(app, list(words), env=environment)
    assert result.exit_code == 0, result.output
    return result.output


def test_from_the_first_pass_to_an_acknowledged_alert(store: DriftStore, database: ClickHouseConnection) -> None:
    assert "There are no runs yet.\n" in run(database, "watch", "--once")
    assert "No window has been judged yet" in run(database, "drift")

    drifting(database, hours=HOURS)
    put_runs(database, 1, start=f"2026-11-02 {HOURS + 1:02d}:30:00", first=90_000)
    assert "judged 10" in run(database, "watch", "--once")

    listed = json.loads(run(database, "drift", "--json"))
    assert [each["dimension"] for each in listed["alerts"]] == ["confidence", "route"]
    confidence, route = listed["alerts"]
    assert confidence["headline"] == (
        "confidence of invoice moved: 0.7 to 0.85 from 0.0% to 50.0% of the runs since 2026-11-02 09:00 UTC,"
        " with system_fingerprint fp2."
    )
    assert len(confidence["course"]) == HOURS + 1
    assert confidence["course"][-2:] == [0.0, 0.5]
    assert "causeline drift show" in run(database, "drift")

    shown = json.loads(run(database, "drift", "show", confidence["alert_id"][:8], "--json"))
    assert len(shown["runs_before"]) == len(shown["runs_after"]) == 10
    assert "provider changed its backend" in shown["advice"]
    text = run(database, "drift", "show", confidence["alert_id"])
    assert shown["runs_after"][0] in text
    assert "system_fingerprint" in text

    # A run that the new fingerprint served lies in the slice; one of the old does not.
    odd, even = f"{HOURS * 2000 + 1:032X}", f"{HOURS * 2000:032X}"
    assert alerts_told_of(database, odd) == {route["alert_id"], confidence["alert_id"]}
    assert alerts_told_of(database, even)

    run(database, "drift", "mute", route["alert_id"], "--reason", "known")
    assert "muted" in run(database, "drift")
    run(database, "drift", "ack", confidence["alert_id"], "--reason", "new backend is fine")
    left = json.loads(run(database, "drift", "--json"))["alerts"]
    assert [(each["dimension"], each["state"], each["reason"]) for each in left] == [("route", "muted", "known")]
    everything = json.loads(run(database, "drift", "--all", "--json"))["alerts"]
    assert [each["state"] for each in everything] == ["acknowledged", "muted"]


def alerts_told_of(database: ClickHouseConnection, run_id: str) -> set[str]:
    document = json.loads(run(database, "why", run_id, "--json"))
    return {each["alert_id"] for each in document["alerts"]}


def test_values_that_are_too_rare_to_be_named_have_runs_to_look_at(
    store: DriftStore, database: ClickHouseConnection
) -> None:
    put_runs(database, 2000 * HOURS, over_s=HOURS * 3600, route="'standard'")
    put_runs(
        database,
        2000,
        first=2000 * HOURS,
        start=f"2026-11-02 {HOURS:02d}:00:00",
        route="if(number % 2, 'standard', concat('new ', toString(number % 400)))",
    )
    put_runs(database, 1, start=f"2026-11-02 {HOURS + 1:02d}:30:00", first=90_000)
    watch_once(store, PLAN)
    [alert] = json.loads(run(database, "drift", "--json"))["alerts"]
    assert alert["headline"].startswith("route of invoice moved: standard from 100.0% to 50.0% of the runs")
    shown = json.loads(run(database, "drift", "show", alert["alert_id"], "--json"))
    assert {int(each, 16) % 2 for each in shown["runs_after"]} == {0}


def test_a_pinned_release_is_a_second_baseline(store: DriftStore, database: ClickHouseConnection) -> None:
    # Behaviour creeps: no window differs enough from those before it, and the last differs from the release.
    put_runs(database, 8000, over_s=4 * 3600, label="'en', 'release', '1.0'")
    watch_once(store, PLAN)
    assert "1.0" in run(database, "drift", "pin", "1.0", "--workflow", "invoice")
    put_runs(database, 8000, first=8000, start="2026-11-02 04:00:00", over_s=4 * 3600, label="'en', 'release', '1.1'")
    put_runs(database, 1, start="2026-11-02 09:30:00", first=90_000)
    watch_once(store, PLAN)
    rows = store.ask("SELECT toHour(window_start) AS h, baseline, before_runs FROM drift WHERE dimension = 'route'")
    held = {(row["h"], row["baseline"]): row["before_runs"] for row in rows}
    assert (3, "pinned") not in held
    assert held[7, "pinned"] == 8000
    assert held[7, "previous"] == 14000


def test_a_small_workflow_is_told_how_many_runs_it_takes(store: DriftStore, database: ClickHouseConnection) -> None:
    put_runs(database, 100, over_s=5 * 3600)
    put_runs(database, 1, start="2026-11-02 06:30:00", first=90_000)
    watch_once(store, PLAN)
    said = run(database, "drift")
    assert "Nothing drifts." in said
    assert "too few runs to tell of" in said
    [watched] = json.loads(run(database, "drift", "--json"))["watched"]
    assert "route" in watched["too_few"]
    assert watched["needed"] > 1000

"""Roll-ups on the real engine: counted from the runs as they stand, whatever was amended, replayed or restarted."""

from datetime import UTC, datetime, timedelta

import pytest

from causeline.drift.rollups import Stale, roll_up, stale_windows
from causeline.drift.store import DriftStore
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.policy import DEFAULT_POLICY
from tests.integration.drift.making import put_runs

pytestmark = pytest.mark.stack

START = datetime(2026, 11, 2, tzinfo=UTC)
END = START + timedelta(hours=2)

ROLLUPS = """
SELECT workflow, window_start, dimension, value, anchors, runs FROM rollups
ORDER BY workflow, window_start, dimension, value, toString(anchors)
"""


def pass_over(store: DriftStore) -> int:
    return roll_up(store, stale_windows(store, START, END), DEFAULT_POLICY, labels=["language"])


def by_value(store: DriftStore, dimension: str) -> dict[str, int]:
    rows = store.ask(
        "SELECT value, sum(runs) AS n FROM rollups WHERE dimension = {d:String} GROUP BY value", {"d": dimension}
    )
    return {str(row["value"]): int(str(row["n"])) for row in rows}


def test_every_dimension_of_a_run_is_counted_once(store: DriftStore, database: ClickHouseConnection) -> None:
    put_runs(database, 1000, review="if(number < 100, if(number < 30, 'overridden', 'approved'), NULL)")
    assert pass_over(store) == 12
    assert sum(by_value(store, "route").values()) == 1000
    assert by_value(store, "review_outcome") == {"(none)": 900, "approved": 70, "overridden": 30}
    assert by_value(store, "override") == {"kept": 70, "overridden": 30}
    assert by_value(store, "confidence") == {"0.85 to 0.95": 1000}
    assert by_value(store, "provenance") == {"(none)": 1000}
    assert by_value(store, "label:language") == {"en": 1000}
    [row] = store.ask("SELECT DISTINCT anchors FROM rollups")
    assert row["anchors"] == {
        "prompt_version": "(none)",
        "model_name": "m1",
        "model_provider": "(none)",
        "system_fingerprint": "fp1",
        "parser_version": "(none)",
        "schema_version": "(none)",
        "route_policy_version": "(none)",
        "model_policy": "(none)",
        "release": "(none)",
        "index": "(none)",
    }


def test_what_an_eval_gate_asked_is_not_counted(store: DriftStore, database: ClickHouseConnection) -> None:
    put_runs(database, 100)
    put_runs(database, 50, first=100, case="if(number % 2 = 0, 'case-1', '')")
    put_runs(database, 10, first=200, workflow="asked-by-gates-only", case="'case-2'")
    pass_over(store)
    assert sum(by_value(store, "route").values()) == 125
    assert store.ask("SELECT DISTINCT workflow FROM rollups") == [{"workflow": "invoice"}]


def test_a_second_pass_has_nothing_to_do(store: DriftStore, database: ClickHouseConnection) -> None:
    put_runs(database, 100)
    pass_over(store)
    assert stale_windows(store, START, END) == ()


@pytest.mark.slow
def test_amending_and_replaying_gives_what_a_fresh_rebuild_gives(
    store: DriftStore, database: ClickHouseConnection
) -> None:
    put_runs(database, 100_000)
    pass_over(store)
    # A third is amended to another route and confidence, in every window; the rest is replayed as it was.
    put_runs(database, 100_000, revision=2, where="number % 3 = 0", route="'hard'", confidence="0.6")
    put_runs(database, 100_000)
    assert pass_over(store) == 12
    amended = store.ask(ROLLUPS)
    assert by_value(store, "confidence") == {"0.5 to 0.7": 33_334, "0.85 to 0.95": 66_666}
    with clickhouse_client(database) as client:
        client.command("TRUNCATE TABLE rollup_rows")
    pass_over(store)
    assert store.ask(ROLLUPS) == amended


def test_a_run_that_moves_to_another_window_leaves_the_first_empty(
    store: DriftStore, database: ClickHouseConnection
) -> None:
    put_runs(database, 1)
    pass_over(store)
    put_runs(database, 1, revision=2, start="2026-11-02 01:00:00")
    assert [(each.start.hour, each.runs) for each in stale_windows(store, START, END)] == [(0, 0), (1, 1)]
    pass_over(store)
    assert sum(by_value(store, "route").values()) == 1
    assert stale_windows(store, START, END) == ()


def test_ten_thousand_routes_are_bounded(store: DriftStore, database: ClickHouseConnection) -> None:
    put_runs(database, 20_000, over_s=300, route="concat('r', toString(number % 10000))")
    pass_over(store)
    assert by_value(store, "route") == {"(rare)": 20_000}


def test_a_pass_that_dies_in_the_middle_is_taken_up(store: DriftStore, database: ClickHouseConnection) -> None:
    put_runs(database, 1000)
    stale: tuple[Stale, ...] = stale_windows(store, START, END)
    roll_up(store, stale[:5], DEFAULT_POLICY)
    assert stale_windows(store, START, END) == stale[5:]

"""The watch on the real engine: finds what moved in its first full window, and judges every window once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from causeline.drift.lifecycle import Span
from causeline.drift.rollups import roll_up, stale_windows
from causeline.drift.store import DriftStore
from causeline.drift.watch import Plan, judge_all, sum_all, watch_once
from causeline.drift.windows import Length
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.tables import ROLLUP_SUMS_TABLE
from tests.integration.drift.making import MOVED, drifting, put_runs

pytestmark = pytest.mark.stack

PLAN = Plan(lengths=(Length.HOUR,), lookback=timedelta(days=3), baseline_windows=8)
LATER = datetime(2026, 11, 3, tzinfo=UTC)
HOURS = 12


def judgements(store: DriftStore) -> list[dict[str, object]]:
    rows = store.ask("SELECT * FROM drift ORDER BY length, window_start, dimension, baseline")
    return [dict(row) for row in rows]


def alerts(store: DriftStore) -> list[tuple[object, ...]]:
    rows = store.ask(
        "SELECT dimension, toHour(window_start) AS hour, alert_state FROM drift WHERE alert_id != ''"
        " ORDER BY hour, dimension"
    )
    return [(row["dimension"], row["hour"], row["alert_state"]) for row in rows]


def test_a_move_is_found_in_the_first_full_window_with_the_anchor_it_came_with(
    store: DriftStore, database: ClickHouseConnection
) -> None:
    drifting(database, hours=HOURS)
    put_runs(database, 1, start="2026-11-02 13:30:00", first=90_000)
    done = watch_once(store, PLAN, now=LATER)
    assert done.judged == HOURS + 1
    assert alerts(store) == [("confidence", HOURS, "open"), ("route", HOURS, "open")]
    [confidence] = [row for row in judgements(store) if row["alert_id"] and row["dimension"] == "confidence"]
    first = confidence["attributions"][0]  # type: ignore[index]
    assert (first["anchor"], first["value"], first["before"], first["after"]) == ("system_fingerprint", "fp2", 0, 0.5)
    assert first["between"] == pytest.approx(1.0)
    assert confidence["shares"] == [
        {"value": "0.7 to 0.85", "before": 0, "after": 1_000},
        {"value": "0.85 to 0.95", "before": 16_000, "after": 1_000},
    ]


def test_no_window_is_judged_twice_and_none_is_skipped(store: DriftStore, database: ClickHouseConnection) -> None:
    put_runs(database, 24_000, over_s=12 * 3600)
    early = datetime(2026, 11, 2, 6, 20, tzinfo=UTC)
    assert watch_once(store, PLAN, now=early).judged == 6
    assert watch_once(store, PLAN, now=early).judged == 0
    # The newest run closes just after 12:00, when the twelfth window is over.
    assert watch_once(store, PLAN, now=LATER).judged == 6
    assert watch_once(store, PLAN, now=LATER).judged == 0


class Overtaken:
    """A store between whose summing and judging another watch counts what came meanwhile, and has not summed it yet."""

    def __init__(self, store: DriftStore, came: Callable[[], object]) -> None:
        self._store, self._came = store, came
        self.ask = store.ask

    def put_rows(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        self._store.put_rows(table, rows)
        if table == ROLLUP_SUMS_TABLE and rows:
            self._came()


def test_a_watch_that_another_overtakes_leaves_no_judgement_by_counts_of_before(
    store: DriftStore, database: ClickHouseConnection
) -> None:
    def another_counts() -> None:
        put_runs(database, 2_000, start="2026-11-02 12:00:00", first=26_000, route=MOVED)
        until = LATER.replace(day=2, hour=13)
        roll_up(store, stale_windows(store, until - timedelta(days=1), until), DEFAULT_POLICY)

    put_runs(database, 24_000, over_s=12 * 3600)
    put_runs(database, 20, start="2026-11-02 12:00:00", first=24_000)
    put_runs(database, 1, start="2026-11-02 13:30:00", first=90_000)
    watch_once(Overtaken(store, another_counts), PLAN, now=LATER)
    watch_once(store, PLAN, now=LATER)
    healed = judgements(store)

    with clickhouse_client(database) as client:
        client.command("TRUNCATE TABLE drift_judgement_rows")
    watch_once(store, PLAN, now=LATER)
    assert healed == judgements(store)
    assert alerts(store) == [("route", 12, "open")]


def test_a_window_that_was_counted_and_not_summed_is_left_to_the_next_pass(
    store: DriftStore, database: ClickHouseConnection
) -> None:
    put_runs(database, 2_000)
    span = Span(datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 2, 1, tzinfo=UTC))
    roll_up(store, stale_windows(store, span.start, span.end), DEFAULT_POLICY)

    assert judge_all(store, PLAN, span) == 0
    sum_all(store, PLAN, span)
    assert judge_all(store, PLAN, span) == 1


def test_a_window_that_two_watches_judged_by_different_counts_is_judged_again(
    store: DriftStore, database: ClickHouseConnection
) -> None:
    put_runs(database, 4_000, over_s=7_200)
    put_runs(database, 1, start="2026-11-02 13:30:00", first=90_000)
    watch_once(store, PLAN, now=LATER)
    before = judgements(store)
    with clickhouse_client(database) as client:
        client.command(
            "INSERT INTO drift_judgement_rows SELECT * REPLACE (seen + 1 AS seen, version + 1 AS version)"
            " FROM drift_judgement_rows FINAL WHERE dimension = 'confidence' AND toHour(window_start) = 1"
        )

    assert watch_once(store, PLAN, now=LATER).judged >= 1
    assert watch_once(store, PLAN, now=LATER).judged == 0
    assert judgements(store) == before


def test_an_amended_window_is_judged_again_as_if_it_had_always_been_so(
    store: DriftStore, database: ClickHouseConnection
) -> None:
    put_runs(database, 26_000, over_s=13 * 3600)
    watch_once(store, PLAN, now=LATER)
    assert alerts(store) == []
    put_runs(database, 26_000, over_s=13 * 3600, revision=2, route=MOVED, where="number >= 22000 and number < 24000")
    assert watch_once(store, PLAN, now=LATER).judged == 2
    assert alerts(store) == [("route", 11, "open"), ("route", 12, "open")]
    amended = judgements(store)
    with clickhouse_client(database) as client:
        client.command("TRUNCATE TABLE drift_judgement_rows")
        client.command("TRUNCATE TABLE rollup_rows")
    assert watch_once(store, PLAN, now=LATER).judged == 13
    assert judgements(store) == amended


def test_a_workflow_without_runs_for_a_while_goes_on_where_it_was(
    store: DriftStore, database: ClickHouseConnection
) -> None:
    put_runs(database, 4000, over_s=7200)
    put_runs(database, 2000, first=4000, start="2026-11-02 05:00:00")
    assert watch_once(store, PLAN, now=LATER).judged == 2 + 1
    hours = {row["window_start"].hour for row in judgements(store)}  # type: ignore[attr-defined]
    assert hours == {0, 1, 5}


def test_nothing_to_watch_is_no_error(store: DriftStore) -> None:
    assert watch_once(store, PLAN).until is None


def test_a_server_whose_clock_jumps_ahead_judges_nothing_that_may_still_come(
    store: DriftStore, database: ClickHouseConnection
) -> None:
    put_runs(database, 3000, over_s=5400)
    assert watch_once(store, PLAN, now=LATER + timedelta(days=2)).judged == 1

"""Numbers by window, from the engine's sketches."""

import json
from datetime import UTC, datetime

import pytest

from causeline.drift.numbers import StepNumbers, numbers
from causeline.drift.store import DriftStore
from causeline.drift.windows import Length
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from tests.integration.drift.making import put_runs

pytestmark = pytest.mark.stack

START = datetime(2026, 11, 2, tzinfo=UTC)


def test_scores_are_quantiles_by_window(store: DriftStore, database: ClickHouseConnection) -> None:
    put_runs(database, 2000, over_s=7200, confidence="if(number < 1000, number / 1000, 0.5)")
    first, second = numbers(store, "invoice", START, Length.HOUR)
    assert (first.start, first.runs, first.provenance) == (START, 1000, None)
    assert first.confidence == pytest.approx((0.05, 0.5, 0.95), abs=0.02)
    assert second.confidence == pytest.approx((0.5, 0.5, 0.5))


def test_steps_have_their_time_and_cost_by_kind(store: DriftStore, database: ClickHouseConnection) -> None:
    rows = [
        {
            "run_id": f"{run:032x}",
            "workflow": "claim",
            "revision": 1,
            "started_at": "2026-11-02 00:10:00",
            "steps": [{"step_kind": "model_call", "duration_us": 1000 * (run + 1), "cost_usd": 0.25}],
        }
        for run in range(100)
    ]
    with clickhouse_client(database) as client:
        block = "\n".join(map(json.dumps, rows)).encode()
        client.raw_insert("run_rows", fmt="JSONEachRow", insert_block=block)
    [window] = numbers(store, "claim", START, Length.DAY)
    [steps] = window.steps
    assert isinstance(steps, StepNumbers)
    assert (steps.kind, steps.steps, steps.cost_usd) == ("model_call", 100, 25.0)
    assert steps.median_us == pytest.approx(50_000, rel=0.03)
    assert steps.p95_us == pytest.approx(95_000, rel=0.03)


def test_a_workflow_without_runs_has_no_windows(store: DriftStore) -> None:
    assert numbers(store, "nobody", START, Length.HOUR) == ()

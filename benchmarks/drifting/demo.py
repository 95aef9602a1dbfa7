"""The demo's drift scenario through the real assembler, tables and watch: the alert that it opens, and none without it.

The workflows run for real and their events are joined by the assembler; only the runs' times are set, so that they lie
in windows of an hour. The first windows are the demo as it is; in the last one provider has changed its backend. The
windows that must raise nothing are drawn, with a seed, from what the stationary ones were counted as.
"""

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.drifting.engine import engine
from benchmarks.joined import arrivals
from benchmarks.zoo.kept import Kept
from causeline.demo.plan import plan
from causeline.demo.publish import demo_policy, publish_planned
from causeline.drift.alerts import alerts
from causeline.drift.counts import Counts
from causeline.drift.judging import Baseline, Outcome, Question, judge
from causeline.drift.reading import WindowCounts
from causeline.drift.store import DriftStore, open_drift_store
from causeline.drift.watch import Plan, watch_once
from causeline.drift.windows import Length, Window
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.tracer import Tracer
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas import catalogue, tables, wire
from causeline.schemas.registry import Schemas
from causeline.sinks.loader.encoding import Encoder
from causeline.sinks.loader.inserting import ClickHouseSender
from causeline.sinks.loader.units import Origin, Unit, read_unit
from causeline.streams.definition.records import RunRecord
from causeline.streams.definition.run import runs_of
from causeline.streams.runs.records import item_of

START = datetime(2026, 11, 2, tzinfo=UTC)
SEED = 606
BEFORE = 8
"""Windows of the demo as it is, before the one that has drifted."""
_HOUR_US = 3_600_000_000
_RUN = catalogue.latest("run-batch")
_BATCH_RUNS = 100


def demo_runs(count: int, *, windows: int, drifted_from: int) -> list[RunRecord]:
    """`count` runs of the demo without planted faults, evenly over so many hours; drifted from one of these on."""
    kept = Kept()
    with tempfile.TemporaryDirectory(prefix="causeline-drift-") as folder:
        emitter = Emitter(EmitterSettings(buffer_events=10_000_000, buffer_bytes=2**31), transport=lambda: kept)
        with Tracer("drift", emitter=emitter) as tracer:
            published = publish_planned(
                plan(SEED, count, faulty_share=0.0, drift_at=drifted_from / windows),
                count=count,
                tracer=tracer,
                artifacts=ArtifactStore.open(folder),
                truth_file=Path(folder) / "truth.jsonl",
                session_label="drift",
            )
            if left := tracer.flush(60):
                raise RuntimeError(f"{left.events} events were not kept")
    made = runs_of(arrivals(kept.values), closed_at=0, policy=demo_policy())
    begin_us, step_us = int(START.timestamp()) * 1_000_000, windows * _HOUR_US // count
    runs = []
    for place, run_id in enumerate(published.run_ids):
        run, started = made[run_id].run, begin_us + place * step_us
        run["started_at"], run["finished_at"] = started, started + run["duration_us"]
        run["closed_at"] = run["finished_at"] + 1
        runs.append(run)
    return runs


def load(connection: ClickHouseConnection, runs: Sequence[RunRecord]) -> None:
    """Store runs by the loader's own encoding."""
    with clickhouse_client(connection) as client:
        for offset, start in enumerate(range(0, len(runs), _BATCH_RUNS)):
            items = [item_of(run) for run in runs[start : start + _BATCH_RUNS]]
            value = wire.encode_batch(_RUN.schema_id, wire.encode_long(0), items)
            unit = read_unit(Origin("runs", 0, offset), value, "run-batch", Schemas())
            if not isinstance(unit, Unit):
                raise TypeError(f"a batch cannot be loaded: {unit}")
            for insert in Encoder(tables.RUNS).inserts([unit]):
                ClickHouseSender(client).send(insert)


def stationary_alerts(store: DriftStore, workflows: Sequence[str], windows: int) -> int:
    """How many of so many windows, 2,000 runs a workflow drawn from the demo's stationary hours, raise an alert."""
    rng = np.random.default_rng(SEED)
    raised = 0
    hours = [Window(START + timedelta(hours=hour), Length.HOUR) for hour in range(BEFORE)]
    seen = {name: WindowCounts(store, name, Length.HOUR).sum(hours) for name in workflows}

    def drawn(counts: Counts, runs: int) -> Counts:
        cells = list(counts.cells)
        shares = np.array([counts.cells[cell] for cell in cells], float)
        found = rng.multinomial(runs, shares / shares.sum())
        return Counts({cell: int(n) for cell, n in zip(cells, found, strict=True) if n})

    for _ in range(windows):
        raised += any(
            each.outcome is Outcome.DRIFTING
            for name, dimensions in seen.items()
            for each in judge(
                [
                    Question(name, dimension, Baseline.PREVIOUS, drawn(counts, 48_000), drawn(counts, 2_000))
                    for dimension, counts in dimensions.items()
                ]
            )
        )
    return raised


def measure_demo(runs_a_window: int, stationary: int) -> Mapping[str, object]:
    """What the watch says of the scenario, in its first full window, and of stationary windows."""
    windows = BEFORE + 1
    runs = demo_runs(runs_a_window * windows, windows=windows, drifted_from=BEFORE)
    with engine() as connection:
        load(connection, runs)
        with open_drift_store(connection) as store:
            settings = Plan(lengths=(Length.HOUR,), settle=timedelta(0))
            watch_once(store, settings, demo_policy(), now=START + timedelta(hours=windows, minutes=5))
            found = alerts(store)
            rejected = store.ask("SELECT count() AS n FROM dead_letters")[0]["n"]
            raised = stationary_alerts(store, ["policy", "invoice", "contract"], stationary)
    first = START + timedelta(hours=BEFORE)
    return {
        "demo_alerts": [each.headline for each in found],
        "demo_alerts_in_first_window": sum(each.since == first for each in found),
        "demo_alerts_before": sum(each.since < first for each in found),
        "demo_names_fingerprint": sum(
            each.cause is not None and each.cause.anchor == "system_fingerprint" for each in found
        ),
        "demo_dead_letters": rejected,
        "demo_stationary_windows": stationary,
        "demo_stationary_alerts": raised,
    }

"""Alerts are told once as they open, go on and end, through the very records that the loader loads."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from causeline.drift.alerts import alerts
from causeline.drift.job import Watch
from causeline.drift.lifecycle import Mark
from causeline.drift.marks import put_mark
from causeline.drift.settings import DriftSettings
from causeline.drift.store import DriftStore, open_drift_store
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas import tables, wire
from causeline.schemas.errors import Unreachable, UsageError
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.registry import Schemas
from causeline.sinks.loader.encoding import Encoder
from causeline.sinks.loader.inserting import ClickHouseSender
from causeline.sinks.loader.units import Origin, Unit, read_unit
from tests.integration.drift.making import drifting, put_runs

pytestmark = pytest.mark.stack

HOURS = 9
SETTINGS = DriftSettings(lengths=("1h",), lookback_days=3)


class Broker:
    """Takes alerts, or does not; `load` does what the loader does with them."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.values: list[bytes] = []
        self.down = False
        self.loaded = 0

    def publish(self, key: str, value: bytes) -> None:
        self.waiting.append(value)

    def deliver(self) -> None:
        waiting, self.waiting = self.waiting, []
        if self.down:
            raise Unreachable("Kafka does not take alerts.")
        self.values += waiting

    def load(self, database: ClickHouseConnection) -> None:
        with clickhouse_client(database) as client:
            for offset, value in enumerate(self.values):
                unit = read_unit(Origin("t", 0, offset), value, "alert", Schemas())
                assert isinstance(unit, Unit)
                for insert in Encoder(tables.ALERTS).inserts([unit]):
                    ClickHouseSender(client).send(insert)

    def news(self) -> list[tuple[object, object, object]]:
        """Of what came since the last call: dimension, revision and state."""
        fresh, self.loaded = self.values[self.loaded :], len(self.values)
        return sorted((each["dimension"], each["revision"], each["state"]) for each in map(decoded, fresh))


def decoded(value: bytes) -> Mapping[str, object]:
    return wire.decode_datum(value, "alert", Schemas())


def drifted(database: ClickHouseConnection) -> None:
    drifting(database, hours=HOURS)
    put_runs(database, 1, start=f"2026-11-02 {HOURS + 1:02d}:30:00", first=90_000)


def watching(broker: Broker) -> Watch:
    return Watch(SETTINGS, DEFAULT_POLICY, publisher=broker)


def test_an_alert_is_told_when_it_opens_and_when_somebody_speaks_about_it(
    store: DriftStore, database: ClickHouseConnection
) -> None:
    broker, stop = Broker(), threading.Event()
    drifted(database)
    watch = watching(broker)
    watch.once(store, stop)
    assert broker.news() == [("confidence", 1, "open"), ("route", 1, "open")]
    watch.once(store, stop)
    assert broker.news() == []

    # Another process, after the loader has loaded: it knows from the view what was told.
    broker.load(database)
    watching(broker).once(store, stop)
    assert broker.news() == []

    first = alerts(store)[0]
    put_mark(store, first, Mark.ACKNOWLEDGED, "fine")
    watch.once(store, stop)
    assert broker.news() == [(first.dimension, 2, "acknowledged")]
    broker.load(database)
    [row] = store.ask("SELECT * FROM alerts WHERE alert_id = {id:String}", {"id": first.alert_id})
    assert (row["state"], row["reason"]) == ("acknowledged", "fine")
    assert len(row["runs_after"]) == 10  # type: ignore[arg-type]
    assert row["anchors"][0]["anchor"] == "system_fingerprint"  # type: ignore[index]


@pytest.mark.slow
def test_two_watches_at_once_tell_each_alert_once_and_miss_none(
    store: DriftStore, database: ClickHouseConnection
) -> None:
    """Nothing coordinates them: the same judgement has the same key, and the same word the same revision."""
    brokers = Broker(), Broker()
    watches = [watching(each) for each in brokers]
    together = threading.Barrier(2)

    def one_pass(watch: Watch) -> None:
        with open_drift_store(database) as own:
            together.wait(60)
            watch.once(own, threading.Event())

    def both() -> list[list[tuple[object, object, object]]]:
        """What each of them tells in a pass that they begin together; then the loader has loaded it, twice."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one_pass, watches))
        for broker in brokers:
            broker.load(database)
        return [broker.news() for broker in brokers]

    def shown() -> list[tuple[object, ...]]:
        rows = store.ask("SELECT dimension, state, revision FROM alerts ORDER BY dimension")
        return [tuple(row.values()) for row in rows]

    drifted(database)
    opened = both()
    assert {word for words in opened for word in words} == {("confidence", 1, "open"), ("route", 1, "open")}
    assert shown() == [("confidence", "open", 1), ("route", "open", 1)]
    put_mark(store, alerts(store)[0], Mark.ACKNOWLEDGED, "fine")
    both()
    assert sorted((state, revision) for _, state, revision in shown()) == [("acknowledged", 2), ("open", 1)]
    assert both() == [[], []], "what one told, or both, is told to both"

    twice = "SELECT count() - uniqExact(workflow, length, window_start, dimension, baseline) AS twice FROM drift"
    judged = "SELECT * FROM drift ORDER BY window_start, dimension, baseline"
    assert store.ask(twice)[0]["twice"] == 0
    with_two = [dict(row) for row in store.ask(judged)]
    with clickhouse_client(database) as client:
        for table in ("drift_judgement_rows", "rollup_rows", "rollup_sum_rows", "drift_mark_rows"):
            client.command(f"TRUNCATE TABLE {table}")
    watching(Broker()).once(store, threading.Event())
    alone = [dict(row) for row in store.ask(judged)]
    assert with_two == alone, "two of them judge as one does"


def test_what_the_broker_did_not_take_is_told_with_the_next_pass(
    store: DriftStore, database: ClickHouseConnection
) -> None:
    broker, stop = Broker(), threading.Event()
    drifted(database)
    watch = watching(broker)
    broker.down = True
    with pytest.raises(Unreachable):
        watch.once(store, stop)
    broker.down = False
    watch.once(store, stop)
    assert broker.news() == [("confidence", 1, "open"), ("route", 1, "open")]


def test_an_alert_whose_runs_are_amended_is_taken_back(store: DriftStore, database: ClickHouseConnection) -> None:
    broker, stop = Broker(), threading.Event()
    drifted(database)
    watch = watching(broker)
    watch.once(store, stop)
    broker.news()
    broker.load(database)
    put_runs(database, 2000, first=2000 * HOURS, start=f"2026-11-02 {HOURS:02d}:00:00", revision=2)
    watch.once(store, stop)
    assert broker.news() == [("confidence", 2, "withdrawn"), ("route", 2, "withdrawn")]
    broker.load(database)
    assert {row["state"] for row in store.ask("SELECT state FROM alerts")} == {"withdrawn"}
    watch.once(store, stop)
    assert broker.news() == []


def test_a_webhook_without_its_secret_is_a_mistake_before_anything_is_reached(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="secret"):
        Watch(DriftSettings(webhook_url="https://x/"), DEFAULT_POLICY, publisher=None)
    with pytest.raises(UsageError, match="CAUSELINE_DRIFT_WEBHOOK_SECRET_FILE cannot be read"):
        DriftSettings.from_environment({"CAUSELINE_DRIFT_WEBHOOK_SECRET_FILE": str(tmp_path / "none")})


def test_told_times_are_the_clocks(store: DriftStore, database: ClickHouseConnection) -> None:
    broker = Broker()
    drifted(database)
    now = datetime(2026, 11, 3, tzinfo=UTC)
    clock_us = int(now.timestamp() * 1e6)
    Watch(SETTINGS, DEFAULT_POLICY, publisher=broker, clock=lambda: clock_us).once(store, threading.Event())
    assert {decoded(value)["told_at"] for value in broker.values} == {clock_us}

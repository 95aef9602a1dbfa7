"""What the loader tells Prometheus is what happened, in series whose number does not grow."""

import pytest

from causeline.runtime.health import Pulse
from causeline.schemas.errors import Reason
from causeline.schemas.tables import EVENTS
from causeline.sinks.loader.delivery import Delivered
from causeline.sinks.loader.encoding import Encoder
from causeline.sinks.loader.inserting import RowsRefused, TryLater
from causeline.sinks.loader.metrics import LoaderMetrics, MeteredDeadLetters, MeteredSender, PartitionProgress
from causeline.sinks.loader.units import BadMessage
from tests.unit.sinks.loader.fakes import FakeDeadLetters, FakeSender
from tests.unit.sinks.loader.messages import batch, event, origin, unit

TOPIC = "t.events"
NOW = 50_000_000


def metrics() -> LoaderMetrics:
    return LoaderMetrics([TOPIC, "t.runs"], Pulse("loader", 60), clock=lambda: NOW)


def value(of: LoaderMetrics, name: str, **labels: str) -> float | None:
    return of.registry.get_sample_value(f"causeline_loader_{name}", {"topic": TOPIC, **labels})


def series(of: LoaderMetrics) -> int:
    return sum(len(family.samples) for family in of.registry.collect())


def test_what_is_stored_counts() -> None:
    told = metrics()
    told.delivered(TOPIC, Delivered(1, 2, 1, 0, 0))
    assert [value(told, f"{name}_total") for name in ("messages", "rows", "inserts")] == [1, 2, 1]
    assert told.registry.get_sample_value("causeline_loader_rows_total", {"topic": "t.runs"}) == 0


def test_lag_is_over_all_partitions_and_the_oldest_counts() -> None:
    told = metrics()
    told.delivered(TOPIC, Delivered(1, 3, 1, 0, 0))
    told.look(
        [
            PartitionProgress(TOPIC, end=100, next_offset=90, oldest_at=NOW - 7_000_000, rows=5, size=50),
            PartitionProgress(TOPIC, end=20, next_offset=18, oldest_at=NOW - 2_000_000, rows=1, size=10),
            PartitionProgress(TOPIC, end=None, next_offset=None, oldest_at=None, rows=0, size=0),
        ]
    )
    names = ("lag_messages", "lag_events", "lag_seconds", "held_rows", "held_bytes", "partitions")
    assert [value(told, name) for name in names] == [12, 36, 7, 6, 60, 3]
    told.look([])
    assert [value(told, name) for name in names] == [0] * 6


def test_attempts_are_timed_and_their_failures_counted() -> None:
    told = metrics()
    sender = FakeSender(faults=[TryLater("READONLY"), RowsRefused("AVRO_EXCEPTION")])
    ticks = iter(range(100))
    metered = MeteredSender(sender, told, now=lambda: float(next(ticks)))
    [insert] = Encoder(EVENTS).inserts([unit(batch([event(1)]))])
    with pytest.raises(TryLater):
        metered.send(insert)
    with pytest.raises(RowsRefused):
        metered.send(insert)
    metered.send(insert)
    assert [value(told, "insert_failures_total", fault=fault) for fault in ("service", "rows")] == [1, 1]
    assert (value(told, "insert_seconds_count"), value(told, "insert_seconds_sum")) == (1, 1)


def test_dead_letters_count_once_they_are_kept() -> None:
    told = metrics()
    letters = FakeDeadLetters(faults=[TryLater("_TIMED_OUT")])
    metered = MeteredDeadLetters(letters, told)
    bad = [BadMessage(origin(1), b"", Reason.EMPTY, "Nothing.")]
    with pytest.raises(TryLater):
        metered.bury(bad)
    assert value(told, "dead_letters_total", reason="empty") == 0
    metered.bury(bad)
    assert value(told, "dead_letters_total", reason="empty") == 1


def test_no_series_is_added_by_what_happens() -> None:
    told = metrics()
    before = series(told)
    told.look([PartitionProgress(TOPIC, end=9, next_offset=1, oldest_at=1, rows=1, size=1)])
    told.buried([BadMessage(origin(n), b"", reason, "Bad.") for n, reason in enumerate(Reason)])
    for name in ("READONLY", "TOO_MANY_PARTS", "whatever"):
        told.failed(TOPIC, "service", name)
    assert series(told) == before

"""What a worker tells Prometheus is what its joiner has done, in series whose number does not grow."""

from causeline.streams.worker.metrics import WorkerGauges, WorkerMetrics
from causeline.streams.worker.settings import Limits
from tests.unit.streams.build import event, whole_run
from tests.unit.streams.worker.test_joiner import Log, log_of


def metrics_of(log: Log, standing: WorkerGauges) -> WorkerMetrics:
    assert log.joiner is not None
    return WorkerMetrics(log.joiner.counters, lambda: standing)


def value(of: WorkerMetrics, name: str, **labels: str) -> float | None:
    return of.registry.get_sample_value(f"causeline_worker_{name}", labels)


def series(of: WorkerMetrics) -> int:
    return sum(len(family.samples) for family in of.registry.collect())


def test_it_tells_what_was_joined_and_what_was_not() -> None:
    log = log_of(whole_run(1), [event("run_started", run=2), event("evidence_checked", run=2, seq=1)])
    log.values += [b"junk", None]
    log.start(Limits())
    log.turn()
    told = metrics_of(log, WorkerGauges(lag_messages=8, oldest_held_s=1.5, open_runs=1))

    counted = ("messages_total", "events_total", "runs_total", "acknowledged_total")
    assert [value(told, name) for name in counted] == [4, 7, 1, 1]
    assert value(told, "gaps_total", kind="missing_citation") == 1
    assert value(told, "gaps_total", kind="source_conflict") == 0
    assert value(told, "dead_letters_total", reason="empty") == 1
    assert value(told, "dead_letters_total", reason="bad_magic") == 1
    assert (value(told, "lag_seconds"), value(told, "open_runs")) == (1.5, 1)
    assert value(told, "lag_events") == 8 * 7 / 4


def test_the_number_of_series_is_fixed() -> None:
    log = log_of(*(whole_run(number) for number in range(1, 9)))
    log.values += [b"junk", b"\x00" * 9, None]
    log.start(Limits())
    told = metrics_of(log, WorkerGauges())
    before = series(told)
    log.turn()
    assert series(told) == before

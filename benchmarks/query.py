"""How long questions take over 1 M and 10 M runs: a run by its id, the six questions, two versions, the queue's head.

The runs are the demo pipeline's own, copied inside the engine (see `benchmarks.store.multiply`): ten million over
ninety days, of which the last tenth is there first. Every query goes the way that the console's commands go, over HTTP
to the embedded server, and is timed in this process; rounds are interleaved. `…_7d` asks of a week, the questions'
default; `…_all` of all that is there. Shares of the pipeline's own runs beside those of the copies show both alike.

The stack of a demo is started for it, unless `--state-dir` names one that is up.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from clickhouse_connect.driver.client import Client

from benchmarks.harness import Report, main, spread
from benchmarks.store.demo import clickhouse_of, demo_stack
from benchmarks.store.multiply import Span, multiply, number, settle
from causeline.console.lookups import run_by_id
from causeline.console.questions import question
from causeline.console.store import ClickHouseStore
from causeline.reviews.queue import Wanted, items
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.tables import RUNS
from causeline.sinks.migrate import migrate

SIX = ("route", "source", "support", "shape", "review", "drift")
_DAY_US = 86_400_000_000
_DAYS = 90
_SHARES = (
    "SELECT countIf(notEmpty(gap_kinds)) / count(), countIf(fallback_taken IS NOT NULL) / count(),"
    " countIf(status = 'error') / count(), countIf(review_outcome IS NOT NULL) / count() FROM runs"
)

Ask = Callable[[], object]


def measure(options: argparse.Namespace) -> Report:
    """Build, ask at a tenth and at the whole, and compare."""
    whole = options.runs or (100_000 if options.quick else 10_000_000)
    rounds = options.rounds or (3 if options.quick else 5)
    report = Report("query")
    with (
        demo_stack(options.state_dir, 300 if options.quick else 3000) as folder,
        _database(clickhouse_of(folder)) as (connection, client),
    ):
        source = clickhouse_of(folder)
        now_us = time.time_ns() // 1000
        step_us = _DAYS * _DAY_US / whole
        begin_us = now_us - _DAYS * _DAY_US
        tenth = _asked(
            source.database,
            (connection, client),
            Span(whole - whole // 10, whole, begin_us, step_us),
            rounds=rounds,
            whole=whole,
        )
        all_of_it = _asked(
            source.database,
            (connection, client),
            Span(0, whole - whole // 10, begin_us, step_us),
            rounds=rounds,
            whole=whole,
        )
        shares = [list(each.query(_SHARES).result_rows[0]) for each in (client,)]
        with clickhouse_client(source) as own:
            shares.append(list(own.query(_SHARES).result_rows[0]))
        report.rows |= {
            "lookup_p50_ms": _quantile(all_of_it["lookup"], 0.5),
            "lookup_p95_ms": _quantile(all_of_it["lookup"], 0.95),
            "questions_max_ms": max((spread(all_of_it[f"{name}_7d"]) for name in SIX), key=lambda each: each.median),
            "questions_all_max_ms": max(
                (spread(all_of_it[f"{name}_all"]) for name in SIX), key=lambda each: each.median
            ),
        }
        report.rows |= {f"{name}_ms": spread(times) for name, times in all_of_it.items() if name != "lookup"}
        report.rows["growth_1m_to_10m"] = max(
            spread(all_of_it[name]).median / spread(tenth[name]).median
            for name in ("lookup", "queue_head", *(f"{each}_7d" for each in SIX))
        )
        report.rows["growth_all_1m_to_10m"] = max(
            spread(all_of_it[f"{name}_all"]).median / spread(tenth[f"{name}_all"]).median for name in SIX
        )
        report.rows["lookup_p95_ms_at_a_tenth"] = _quantile(tenth["lookup"], 0.95)
        report.rows["shares_apart"] = max(abs(ours - theirs) for ours, theirs in zip(*shares, strict=True))
        size = client.query(
            "SELECT sum(rows), sum(bytes_on_disk) / 1e9, count() FROM system.parts"
            " WHERE active AND database = currentDatabase() AND table = 'narrow_run_rows'"
        ).result_rows[0]
        report.notes.append(f"{RUNS.kept}: {size[0]} rows, {size[1]:.2f} GB on disk, {size[2]} parts; {whole} runs.")
        report.notes.append(f"load average at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs.")
    return report


def _asked(
    source: str,
    store: tuple[ClickHouseConnection, Client],
    span: Span,
    *,
    rounds: int,
    whole: int,
) -> Mapping[str, list[float]]:
    """Milliseconds of every query once `span` is stored, by name."""
    connection, client = store
    began = time.monotonic()
    for there in multiply(client, source, span):
        if there % 500_000 == 0 or there == span.last:
            print(f"run {there} of {whole}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    settle(client, 120)
    wanted = whole if span.first == 0 else span.last - span.first
    found = number(client, "SELECT count() FROM runs")
    if found != wanted:
        raise SystemExit(f"The view shows {found} runs, not {wanted}: amended runs count twice or are gone.")
    console = ClickHouseStore(client, connection)
    picked = client.query(f"SELECT run_id FROM {RUNS.kept} ORDER BY cityHash64(run_id) LIMIT 200")
    ids = [row[0] for row in picked.result_rows]
    asks = _asks(console)
    times: dict[str, list[float]] = {name: [] for name in ("lookup", *asks)}
    for round_number in range(rounds + 1):
        for name, ask in asks.items():
            _timed(times[name], ask, keep=round_number > 0)
        for run_id in ids[round_number :: rounds + 1]:
            _timed(times["lookup"], lambda run_id=run_id: run_by_id(console, run_id), keep=round_number > 0)  # type: ignore[misc]
    seen = ", ".join(f"{name} {_quantile(of_it, 0.5):.0f}" for name, of_it in times.items())
    print(
        f"{found} runs, {time.monotonic() - began:.0f} s; medians in ms: {seen};"
        f" lookup p95 {_quantile(times['lookup'], 0.95):.1f}",
        file=sys.stderr,
        flush=True,
    )
    return times


def _asks(store: ClickHouseStore) -> Mapping[str, Ask]:
    now_us = time.time_ns() // 1000

    def asked(name: str, **given: str) -> Ask:
        found = question(name)
        values = found.values(given, now_us=now_us)
        return lambda: store.ask(found.sql, values)

    return {
        **{f"{name}_7d": asked(name) for name in SIX},
        **{f"{name}_all": asked(name, since="1000d") for name in SIX},
        "versions_7d": asked("versions", workflow="invoice"),
        "versions_all": asked("versions", workflow="invoice", since="1000d"),
        "queue_head": lambda: items(store, Wanted(), limit=50),
    }


def _timed(times: list[float], ask: Ask, *, keep: bool) -> None:
    began = time.perf_counter()
    ask()
    if keep:
        times.append((time.perf_counter() - began) * 1000)


def _quantile(values: list[float], at: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(at * len(ordered)))], 3)


@contextmanager
def _database(source: ClickHouseConnection) -> Iterator[tuple[ClickHouseConnection, Client]]:
    """A migrated database of its own beside the demo's, dropped afterwards."""
    base, _, _ = source.url.rpartition("/")
    connection = ClickHouseConnection(url=f"{base}/query_benchmark", password=source.password)
    migrate(connection)
    with clickhouse_client(connection, timeout_s=3600) as client:
        try:
            yield connection, client
        finally:
            client.command("DROP DATABASE query_benchmark SYNC")


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=None, help="runs in all (default: 10 million, quick: 100,000)")
    parser.add_argument("--state-dir", type=Path, default=None, help="a demo's stack that is up")


if __name__ == "__main__":
    sys.exit(main("query", measure, _options))

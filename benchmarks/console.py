"""What the console's pages cost: runs of 50 steps and of 5,000, lists over 1 M and 10 M runs, scripts; beside Phoenix.

`…_ms` of a server is CPU of the service's process, `…_main_thread_ms` that of the page's main thread, since times of a
shared machine do not hold; `…_wall_…`, `…_interactive_ms` and lists are time. A page is cold when its run was never
asked for; what its workflow's runs share (policy, alerts, neighbours) is then known, as it is to a service that has run
for a minute; `run_page_first_ms` is without that.
`list_10m_…` is named so with fewer runs, too: `list_runs` says how many there were.

The stack of a demo is started for it, unless `--state-dir` names one that is up. Phoenix, where it is installed
(`python -m benchmarks.otlp --peers` does that), shows the same runs in the same browser.
"""

import argparse
import gzip
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

from clickhouse_connect.driver.client import Client as ClickHouse
from pydantic import SecretStr

from benchmarks.harness import Report, main, spread
from benchmarks.pages import browsing, lists, phoenix
from benchmarks.pages.requests import Client, CountingStores
from benchmarks.pages.runs import made_run, store_runs
from benchmarks.store.demo import clickhouse_of, demo_stack
from benchmarks.store.multiply import Span
from causeline.console.store import ClickHouseStore
from causeline.producers.artifacts import ArtifactStore
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.runtime.garbage import seldom_collect
from causeline.schemas.run import Run
from causeline.schemas.topics import DEFAULT_PREFIX
from causeline.sinks.migrate import migrate
from causeline.web.app import create_app
from causeline.web.health import Health
from causeline.web.settings import ServeSettings

_STEPS = 50
_LONG = 5_000
_USABLE = "() => document.querySelector('.virtual tr.spacer') && document.querySelector('#details h2')"
_READ = "() => document.querySelector('#details h2')"


def measure(options: argparse.Namespace) -> Report:
    """Pages, lists, and the browser."""
    report = Report("console")
    with demo_stack(options.state_dir, 300) as folder:
        source = clickhouse_of(folder)
        if not options.lists_only:
            with _database(source, "console_pages") as (connection, client):
                _pages(report, connection, client, options)
        if not options.pages_only:
            with _database(source, "console_lists") as (connection, client):
                _lists(report, source.database, (connection, client), options)
    report.rows["js_kb_gz"] = round(_static_kb(".js"), 1)
    report.notes.append(f"load average at the end {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs.")
    return report


def _pages(report: Report, connection: ClickHouseConnection, client: ClickHouse, options: argparse.Namespace) -> None:
    began = datetime.now(UTC) - timedelta(hours=6)
    count = 60 if options.quick else 400
    short = [made_run(at, _STEPS, began + timedelta(seconds=at), workflow="short") for at in range(count)]
    long = [made_run(10_000 + at, _LONG, began + timedelta(seconds=at), workflow="long") for at in range(3)]
    store_runs(client, short)
    for run in long:
        store_runs(client, [run])
    asked = short[:: max(1, count // 120)]
    with tempfile.TemporaryDirectory() as artifacts:
        stores = CountingStores(connection, DEFAULT_PREFIX)
        settings = ServeSettings(token=SecretStr("benchmark"), free_reading=True)
        app = create_app(settings, Health({}), stores=stores, open_artifacts=lambda: ArtifactStore.open(artifacts))
        service = Client(app)
        seldom_collect()  # as the service does when it starts
        service.get("/runs?since=all")  # templates are compiled, the client is open
        _counted(stores)
        first = service.get(f"/runs/{asked[0].run_id}")
        first_queries = _counted(stores)
        cold, cold_queries = [], []
        for run in asked[1:]:
            cold.append(service.get(f"/runs/{run.run_id}"))
            cold_queries.append(_counted(stores))
        long_cold = [service.get(f"/runs/{run.run_id}") for run in long]
        long_again = [service.get(f"/runs/{run.run_id}") for run in long for _ in range(5)]
        details = [service.get(f"/runs/{long[0].run_id}/details?step={step.step_id}") for step in long[0].steps[:20]]
        report.rows |= {
            "run_page_p95_ms": _quantile([each.cpu_ms for each in cold], 0.95),
            "run_page_p50_ms": _quantile([each.cpu_ms for each in cold], 0.5),
            "run_page_wall_p95_ms": _quantile([each.wall_ms for each in cold], 0.95),
            "run_page_first_ms": round(first.cpu_ms, 1),
            "run_page_queries": max(cold_queries),
            "run_page_first_queries": first_queries,
            "run_page_kb_gz": round(_kb(cold[0].body) + _static_kb(".js") + _static_kb(".css"), 1),
            "run_5000_server_ms": spread([each.cpu_ms for each in long_cold]),
            "run_5000_again_ms": spread([each.cpu_ms for each in long_again]),
            "run_5000_details_ms": spread([each.cpu_ms for each in details]),
        }
        _in_a_browser(report, app, short[0], long[0], 2 if options.quick else 5)


def _in_a_browser(report: Report, app: object, short: Run, long: Run, rounds: int) -> None:
    with browsing.chromium() as browser:
        if browser is None:
            report.notes.append("No Chromium here: nothing of a browser is measured.")
            return
        with browsing.served(app) as base:  # type: ignore[arg-type]
            pages = {"run_50": (short, _READ), "run_5000": (long, _USABLE)}
            found: dict[str, list[float]] = {}
            for _ in range(rounds):  # in turns, so that they share whatever else the machine does
                for name, (run, condition) in pages.items():
                    for figure, value in browsing.seen(browser, f"{base}/runs/{run.run_id}", condition).items():
                        found.setdefault(f"{name}_{figure}", []).append(value)
            report.rows |= {name: spread(values) for name, values in found.items()}
        theirs, notes = phoenix.beside(browser, [short, long], rounds)
        report.notes += notes
        for steps, figures in theirs.items():
            report.rows |= {f"phoenix_{steps}_{name}": spread(values) for name, values in figures.items()}


def _lists(
    report: Report, source: str, store: tuple[ClickHouseConnection, ClickHouse], options: argparse.Namespace
) -> None:
    connection, client = store
    whole = options.runs or (100_000 if options.quick else 10_000_000)
    rounds = options.rounds or (2 if options.quick else 5)
    client.command("DROP TABLE run_documents_filler")  # no list reads values of single runs
    step_us = lists.DAYS * lists.DAY_US / whole
    begin_us = time.time_ns() // 1000 - lists.DAYS * lists.DAY_US
    console = ClickHouseStore(client, connection)
    for name, first, last in (("1m", whole - whole // 10, whole), ("10m", 0, whole - whole // 10)):
        lists.fill(client, source, Span(first, last, begin_us, step_us))
        times = lists.asked(console, client, rounds)
        pages = [*times["newest"], *times["page"]]
        filters = {key: values for key, values in times.items() if key.startswith("filter_")}
        report.rows |= {
            f"list_{name}_p50_ms": _quantile(pages, 0.5),
            f"list_{name}_p95_ms": _quantile(pages, 0.95),
            f"list_{name}_filter_max_ms": max(_quantile(values, 0.5) for values in filters.values()),
            f"list_{name}_by_ids_ms": spread(times["by_ids"]),
        }
        print({key: _quantile(values, 0.5) for key, values in times.items()}, file=sys.stderr, flush=True)
        report.extra[f"list_{name}_medians_ms"] = {key: _quantile(values, 0.5) for key, values in times.items()}
    report.rows["list_runs"] = whole
    sizes = client.query(
        "SELECT table, sum(rows), sum(bytes_on_disk) / 1e9 FROM system.parts"
        " WHERE active AND database = currentDatabase() AND table IN ('narrow_run_rows', 'run_order_rows')"
        " GROUP BY table"
    ).result_rows
    report.notes += [f"{table}: {rows} rows, {size:.2f} GB on disk." for table, rows, size in sizes]


def _counted(stores: CountingStores) -> int:
    count = len(stores.counted)
    stores.counted.clear()
    return count


def _static_kb(suffix: str) -> float:
    folder = files("causeline.web") / "static"
    return sum(_kb(each.read_bytes()) for each in folder.iterdir() if each.name.endswith(suffix))


def _kb(data: bytes) -> float:
    return len(gzip.compress(data)) / 1000


def _quantile(values: list[float], at: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(at * len(ordered)))], 1)


@contextmanager
def _database(source: ClickHouseConnection, name: str) -> Iterator[tuple[ClickHouseConnection, ClickHouse]]:
    """A migrated database of its own beside the demo's, dropped afterwards."""
    connection = ClickHouseConnection(url=re.sub(r"/[^/]*$", f"/{name}", source.url), password=source.password)
    migrate(connection)
    with clickhouse_client(connection, timeout_s=3600) as client:
        try:
            yield connection, client
        finally:
            client.command(f"DROP DATABASE {name} SYNC")


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs", type=int, default=None, help="runs of the lists (default: 10 million, quick: 100,000)"
    )
    parser.add_argument("--state-dir", type=Path, default=None, help="a demo's stack that is up")
    parser.add_argument("--pages-only", action="store_true", help="without the lists")
    parser.add_argument("--lists-only", action="store_true", help="without the pages of runs")


if __name__ == "__main__":
    sys.exit(main("console", measure, _options))

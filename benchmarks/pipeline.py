"""What an event costs from its emission until its run can be asked for: all processes of ours, beside the textbook.

A million runs of ten events, in ten lots; each lot is emitted by one process, joined by one worker, stored by one
loader into the embedded engine, and over when the last of its runs and events is in the tables. CPU is that of emitter,
broker, worker, loader and engine, merges included. In the end the views must hold every run once and complete.

- `us_per_event`, `events_per_s`: over all lots; the second is by the wall, on this machine.
- `growth_1m_to_10m_events`: CPU an event of the last lot over that of the first, after one small lot to warm up: the
  tenth million of events beside the first. Of another size it is `growth_first_to_last_lot`.
- `vs_textbook`: AvroSerializer, a Faust table and rows by clickhouse-connect over ours, on a sample (see
  `benchmarks/flow/textbook.py`); the broker is left out of both, and the runs' rows are in ours alone.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from pydantic import SecretStr

from benchmarks.flow.ours import PARTS, Lot, our_pipeline
from benchmarks.flow.textbook import textbook
from benchmarks.harness import Report, main, spread
from benchmarks.joining.broker import Bench
from benchmarks.joining.runs import EVENTS_A_RUN, events_of
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.sinks.migrate import migrate
from causeline.stack.kafka import running_broker
from tests.integration.clickhouse_fixture import ClickHouseProcess

_RUNS, _QUICK_RUNS = 1_000_000, 100_000
_LOTS = 10
_WARM_RUNS = 5_000
_GB_A_MILLION_RUNS = 20
"""Room that a million runs take on disk, logs and merges included, with some to spare."""


def measure(options: argparse.Namespace) -> Report:
    """Ours in lots, then the textbook on a sample."""
    runs = options.runs or (_QUICK_RUNS if options.quick else _RUNS)
    free_gb = shutil.disk_usage(tempfile.gettempdir()).free / 2**30
    if free_gb < _GB_A_MILLION_RUNS * runs / 1e6:
        raise SystemExit(f"{runs} runs need more disk than the {free_gb:.0f} GB that are free; choose fewer by --runs.")
    with tempfile.TemporaryDirectory(prefix="causeline-flow-") as made:
        folder = Path(made)
        with running_broker(folder / "kafka") as broker:
            bench = Bench(broker.connection.bootstrap_servers)
            with our_pipeline(folder, bench) as pipeline:
                pipeline.through(_WARM_RUNS)
                lots = []
                for number in range(_LOTS):
                    lots.append(pipeline.through(runs // _LOTS))
                    print(f"lot {number + 1}: {_told(lots[-1])}", file=sys.stderr, flush=True)
                pipeline.check()
                resident = pipeline.resident_mb()
            theirs = _textbook(folder / "textbook", bench, rounds=options.rounds or (1 if options.quick else 3))
    return _report(lots, theirs, resident)


def _textbook(folder: Path, bench: Bench, *, rounds: int) -> list[float]:
    sample = [list(events_of(number)) for number in range(1, 1_501)]
    with ClickHouseProcess(folder) as server:
        connection = ClickHouseConnection(
            url=server.endpoint.connection_url, password=SecretStr(server.endpoint.password)
        )
        migrate(connection)
        with clickhouse_client(connection, timeout_s=600) as client:
            return [textbook(bench, client, server.pid, sample, round_) for round_ in range(rounds)]


def _told(lot: Lot) -> str:
    parts = ", ".join(f"{part} {seconds * 1e6 / lot.events:.1f}" for part, seconds in lot.cpu_s.items())
    return f"{lot.us_per_event:.1f} us an event ({parts}), {lot.events / lot.wall_s:.0f} events/s"


def _report(lots: list[Lot], theirs: list[float], resident: dict[str, float]) -> Report:
    events, wall_s = sum(lot.events for lot in lots), sum(lot.wall_s for lot in lots)
    mine = sum(sum(lot.cpu_s.values()) for lot in lots) * 1e6 / events
    report = Report("pipeline")
    runs = events // EVENTS_A_RUN
    report.rows["us_per_event"] = spread([lot.us_per_event for lot in lots])
    without_broker = mine - sum(lot.cpu_s["broker"] for lot in lots) * 1e6 / events
    report.rows["vs_textbook"] = spread([each / without_broker for each in theirs])
    growth = "growth_1m_to_10m_events" if runs == _RUNS else "growth_first_to_last_lot"
    report.rows[growth] = lots[-1].us_per_event / lots[0].us_per_event
    report.rows["events_per_s"] = events / wall_s
    for part in PARTS:
        report.rows[f"{part}_us_per_event"] = spread([lot.cpu_s[part] * 1e6 / lot.events for lot in lots])
    report.rows["textbook_us_per_event"] = spread(theirs)
    for part, mb in resident.items():
        report.rows[f"{part}_rss_mb"] = mb
    report.notes.append(f"{runs} runs, {events} events, in {len(lots)} lots.")
    return report


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=None, help="runs in all (default: a million; --quick: 100,000)")


if __name__ == "__main__":
    sys.exit(main("pipeline", measure, _options))

"""What it costs to join events into runs: ours on a real broker, the textbooks of other engines, and bare decoding.

The same runs of ten events with the wide set of fields go to all, ours as the batches that our emitter sends, the
peers' as a message an event, which is what their producers would send. CPU is that of the whole worker process,
psutil's, less what the process takes to come up and join twenty runs. What all join is held equal first: events,
route, cost, final state and steps of every run; the peers publish the whole steps too, as ours does.

- `vs_faust_table`: an agent with a table. `vs_quix`: a stateful data frame of Quix Streams, state in RocksDB with
  changelogs. `vs_bytewax`: a stateful map of Bytewax, state in memory alone. Each is tuned as its own guides have it,
  see `benchmarks/peers`. The last two need environments of their own: `--peers` makes them, else a peer that is not
  there is null.
- `vs_bare_decode`: `polars.read_avro` of the same blocks.
- `us_at_…_open` is what an event costs while so many runs are open, `rss_mb_1m_open_events` the peak of a worker that
  holds a million open events.
"""

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import polars as pl

from benchmarks.harness import Report, Spread, main, spread
from benchmarks.joining.broker import Bench, Joined
from benchmarks.joining.contenders import Took, bytewax, faust_table, ours, quix
from benchmarks.joining.open_runs import beside_open_runs, open_events
from benchmarks.joining.runs import EVENTS_A_RUN, SCHEMA, batches, events_of
from benchmarks.peers.environments import python_of
from causeline.schemas import wire
from causeline.schemas.events import Record
from causeline.schemas.registry import Schemas
from causeline.stack.kafka import running_broker

Contender = Callable[[Bench, Sequence[list[Record]], int], Took]
_UP = 20
"""Runs that a process joins to come up."""
_OPEN = {"1k": 1_000, "10k": 10_000, "100k": 100_000, "1m": 1_000_000}


def bare_decode(runs: Sequence[list[Record]]) -> float:
    """CPU seconds of polars reading the same blocks, one container for each batch."""
    schema_text = wire.item_schema_text(SCHEMA)
    containers = []
    for _, value in batches(runs):
        block = wire.read_block(value, "trace-batch", Schemas())
        containers.append(wire.container_header(schema_text) + wire.container_block(block.count, block.data))
    began = time.process_time()
    rows = sum(pl.read_avro(io.BytesIO(container)).height for container in containers)
    cpu = time.process_time() - began
    if rows != len(runs) * EVENTS_A_RUN:
        raise RuntimeError(f"polars read {rows} events")
    return cpu


def measure(options: argparse.Namespace) -> Report:
    """Rounds of ours, the peers and the limit, one after the other; then beside many open runs."""
    rounds = options.rounds or (2 if options.quick else 5)
    many = [list(events_of(number)) for number in range(1, 5_001 if options.quick else 30_001)]
    shares = {"faust_table": 300 if options.quick else 1_500, "quix": 1_000 if options.quick else 3_000}
    peers = _peers(make=options.peers)
    spent: dict[str, list[float]] = {name: [] for name in ("ours", *peers, "bare")}
    rss = []
    report = Report("join")
    with tempfile.TemporaryDirectory(prefix="causeline-join-") as folder, running_broker(Path(folder)) as broker:
        bench = Bench(broker.connection.bootstrap_servers)
        for round_ in range(rounds):
            joined, us, mb = _taken(ours, bench, many, round_)
            spent["ours"].append(us)
            rss.append(mb)
            for name, peer in peers.items():
                theirs, us, _ = _taken(peer, bench, many[: shares.get(name, len(many))], round_)
                if any(theirs[run_id] != joined[run_id] for run_id in theirs):
                    raise RuntimeError(f"ours and {name} do not join the same runs")
                spent[name].append(us)
            spent["bare"].append(bare_decode(many) * 1e6 / (len(many) * EVENTS_A_RUN))
            told = ", ".join(f"{name} {each[-1]:.2f}" for name, each in spent.items())
            print(f"round {round_ + 1}, us an event: {told}", file=sys.stderr, flush=True)
        grown = _beside_open(bench, quick=options.quick)
    mine = spent["ours"]
    report.rows["us_per_event"] = spread(mine)
    report.rows["events_per_s"] = spread([1e6 / each for each in mine])
    for name in ("faust_table", "quix", "bytewax"):
        report.rows[f"vs_{name}"] = (
            spread([b / a for a, b in zip(mine, spent[name], strict=True)]) if name in peers else None
        )
        if name not in peers:
            report.notes.append(f"{name} is not installed here and not measured; --peers installs it.")
    report.rows["vs_bare_decode"] = spread([a / b for a, b in zip(mine, spent["bare"], strict=True)])
    report.rows["rss_mb"] = spread(rss)
    report.rows |= grown
    report.extra["us_per_event_of"] = {name: spread(each).median for name, each in spent.items()}
    report.notes.append("events_per_s is of one core.")
    return report


def _peers(*, make: bool) -> Mapping[str, Contender]:
    found: dict[str, Contender] = {"faust_table": faust_table}
    in_own: dict[str, Callable[[Path, Bench, Sequence[list[Record]], int], Took]] = {"quix": quix, "bytewax": bytewax}
    for name, contender in in_own.items():
        python = python_of(name, make=make)
        if python is not None:
            found[name] = partial(contender, python)
    return found


def _taken(
    contender: Contender, bench: Bench, runs: Sequence[list[Record]], round_: int
) -> tuple[Joined, float, float]:
    """What was joined, CPU microseconds an event beyond coming up, and resident MB."""
    _, up_s, _, _ = contender(bench, runs[:_UP], round_)
    joined, cpu_s, _, mb = contender(bench, runs, round_)
    return joined, (cpu_s - up_s) * 1e6 / ((len(runs) - _UP) * EVENTS_A_RUN), mb


def _open_levels(*, quick: bool) -> Mapping[str, int]:
    """Three of them, each ten times the one before; the three small ones when it has to be quick."""
    levels = list(_OPEN.items())
    return dict(levels[:3] if quick else levels[1:])


def _beside_open(bench: Bench, *, quick: bool) -> dict[str, Spread | float | str | None]:
    lots_of, size = (3, 2_000) if quick else (5, 5_000)
    rows: dict[str, Spread | float | str | None] = {}
    spent: dict[str, list[float]] = {}
    for name, open_runs in _open_levels(quick=quick).items():
        lots = [[list(events_of(number)) for number in range(1, size + 1)] for _ in range(lots_of + 1)]
        held = beside_open_runs(bench, f"open{name}", open_runs, lots)
        spent[name] = held.us_per_event[1:]  # the first lot warms
        rows[f"us_at_{name}_open"] = spread(spent[name])
        print(f"{open_runs} open: {rows[f'us_at_{name}_open']}", file=sys.stderr, flush=True)
        rows[f"rss_mb_{name}_open"] = held.rss_mb
    least, _, most = spent
    rows[f"growth_open_{least}_to_{most}"] = spread([b / a for a, b in zip(spent[least], spent[most], strict=True)])
    held = open_events(bench, "openevents", _OPEN[most], [[list(events_of(1))]])
    rows[f"rss_mb_{most}_open_events"] = held.rss_mb
    return rows


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--peers", action="store_true", help="make the environments of Quix Streams and Bytewax first")


if __name__ == "__main__":
    sys.exit(main("join", measure, _options))

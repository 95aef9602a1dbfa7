"""How long the neighbours of a run take to be read, and a week of causes to be counted, at a size and at its tenth.

Causes are made inside the engine: runs of three workflows over thirty days, three of five of the first, each with a row
of traits as the diagnoser writes it. Every question goes the way of `causeline why` and `causeline causes`, over HTTP.
"""

import argparse
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse_connect.driver.client import Client

from benchmarks.harness import Report, Spread, main, spread
from causeline.console.neighbours import rows_around
from causeline.console.store import ClickHouseStore
from causeline.console.stored_causes import weighed
from causeline.diagnosis import Cohort
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.sinks.migrate import migrate
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down, up
from causeline.stack.services import Ports, clickhouse_service
from causeline.stack.settings import StackSettings
from causeline.stack.supervisor import Service

_DAYS = 30
_DAY_US = 86_400_000_000
_BLOCK = 50_000
_MEASURES = ", ".join(
    f"'\"{place}|{name}\":', toString(round(1 + cityHash64(number, {seed}) % 1000 / {scale}, 4)), ','"
    for seed, (place, name, scale) in enumerate(
        (place, name, scale)
        for place in ("model_call:answer", "model_call:check", "retrieve:kb", "rerank:kb", "tool:lookup", "parse:input")
        for name, scale in (("seconds", 300), ("cost_usd", 5000), ("input_tokens", 1), ("context_refs", 200))
    )
)
_TRAITS = (
    'concat(\'{"t":{"run|steps":6.0,"run|final_state":"answered",\', '
    + _MEASURES
    + ', \'"model_call:answer|prompt_id":"answer","model_call:answer|prompt_version":"\','
    ' toString(intDiv(number, 200000)), \'","model_call:answer|model_name":"acme-large-2026",'
    "\"route:kind|route\":\"', ['refund', 'delivery', 'other'][1 + number % 3], '\"},\"m\":[],\"h\":[]}')"
)
_MAKE = """
INSERT INTO cause_rows (run_id, revision, version, project, workflow, run_started_at, diagnosed_at, settled, neighbours,
    layer, step, kind, thing, certainty, sentence, fix, symptoms, alerts, cost_usd, duration_us, blemished, traits)
SELECT lower(hex(MD5(toString(number)))), 9, 1, 'p', ['chat', 'claims', 'chat', 'tickets', 'chat'][1 + number % 5],
    fromUnixTimestamp64Micro(toInt64({begin:Int64} + number * {step:Float64}), 'UTC') AS at, at, true, 400,
    if(wrong, 'retrieve', NULL), if(wrong, 'retrieve:kb', NULL), if(wrong, 'step_error', NULL),
    if(wrong, concat('retrieve:kb', toString(number % 40)), NULL), if(wrong, 'certain', NULL),
    if(wrong, 'The search kb failed with IndexGone.', 'Nothing went wrong: 2 model calls, answered in 2.2 s.'),
    if(wrong, 'Retrieve kb.', NULL), if(wrong, ['step_error'], []), [], 0.002, 2200000, wrong, <traits>
FROM (SELECT number, cityHash64(number) % 20 = 0 AS wrong FROM numbers({first:UInt64}, {count:UInt64}))
"""


def measure(options: argparse.Namespace) -> Report:
    """Fill a tenth, ask; fill the rest, ask."""
    whole = options.runs or (100_000 if options.quick else 1_000_000)
    report = Report("neighbours")
    with _engine() as (connection, client):
        store = ClickHouseStore(client, connection)
        begin_us = time.time_ns() // 1000 - _DAYS * _DAY_US
        step_us = _DAYS * _DAY_US / whole
        found: list[dict[str, Spread]] = []
        for first, last in ((whole - whole // 10, whole), (0, whole - whole // 10)):
            _fill(client, first, last, begin_us, step_us)
            found.append(_asked(store, begin_us, rounds=options.rounds or (5 if options.quick else 15)))
        tenth, everything = found
        report.rows |= dict(everything)
        report.rows |= {f"{name}_at_a_tenth": each for name, each in tenth.items()}
        report.rows |= {f"growth_{name}": everything[name].median / tenth[name].median for name in everything}
        for table in ("cause_rows", "neighbour_rows"):
            [[rows, size]] = client.query(
                "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()"
                f" AND table = '{table}'"
            ).result_rows
            report.rows[f"{table}_bytes_a_run"] = round(size / max(rows, 1), 1)
        report.notes.append(f"{whole:,d} runs; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs.")
    return report


def _asked(store: ClickHouseStore, begin_us: int, *, rounds: int) -> dict[str, Spread]:
    dice = random.Random(7)
    end_us = begin_us + _DAYS * _DAY_US
    times: dict[str, list[float]] = {"cohort_ms": [], "cohort_of_a_rare_workflow_ms": [], "causes_of_a_week_ms": []}
    sizes = set()
    for number in range(rounds + 1):
        at_us = end_us - dice.randrange(2 * _DAY_US)
        for name, workflow in (("cohort_ms", "chat"), ("cohort_of_a_rare_workflow_ms", "tickets")):
            began = time.perf_counter()
            cohort = Cohort(rows_around(store, workflow, at_us))
            if number:
                times[name].append((time.perf_counter() - began) * 1e3)
            sizes.add(len(cohort.rows))
        began = time.perf_counter()
        weighed(store, since_us=end_us - 7 * _DAY_US, until_us=end_us)
        if number:
            times["causes_of_a_week_ms"].append((time.perf_counter() - began) * 1e3)
    print(f"cohorts of {min(sizes)} to {max(sizes)} runs", file=sys.stderr)
    return {name: spread(values) for name, values in times.items()}


def _fill(client: Client, first: int, last: int, begin_us: int, step_us: float) -> None:
    for start in range(first, last, _BLOCK):
        count = min(_BLOCK, last - start)
        asked = {"begin": begin_us, "step": step_us, "first": start, "count": count}
        client.command(_MAKE.replace("<traits>", _TRAITS), parameters=asked)
    for table in ("cause_rows", "neighbour_rows"):
        client.command(f"OPTIMIZE TABLE {table}")


@contextmanager
def _engine() -> Iterator[tuple[ClickHouseConnection, Client]]:
    """The embedded engine by itself, with our tables."""

    def engine_only(_settings: StackSettings, endpoints: Endpoints, ports: Ports) -> tuple[Service, ...]:
        return (clickhouse_service(endpoints, ports),)

    endpoints = up(StackSettings(ephemeral=True), services_of=engine_only)
    try:
        connection = endpoints.clickhouse()
        migrate(connection)
        with clickhouse_client(connection, timeout_s=3600) as client:
            yield connection, client
    finally:
        down(endpoints.state_dir)


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=None, help="runs in all (default: 1 million, quick: 100,000)")


if __name__ == "__main__":
    sys.exit(main("neighbours", measure, _options))

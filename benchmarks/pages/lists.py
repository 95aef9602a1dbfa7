"""Lists over millions of runs: what the demo pipeline stored, copied inside the engine, asked for as the pages ask.

Only the columns that a list reads are filled, and nothing but `run_order` is derived: the engine reads no other. Every
second id is random, as foreign ones are; the others are in order of time. One run in fifty was amended.
"""

import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from clickhouse_connect.driver.client import Client

from benchmarks.store.multiply import Span, number, settle
from causeline.console.run_filter import RunFilter
from causeline.console.run_lists import LISTED, find_runs
from causeline.console.store import ClickHouseStore
from causeline.schemas.run import Run

DAYS = 90
PAGE = 51
_LOT = 100_000
DAY_US = 86_400_000_000
_BUSY = {"max_threads": 2, "max_insert_threads": 1, "max_partitions_per_insert_block": 0, "max_block_size": 16_384}
_ID = (
    "if(n.number % 2, lower(hex(sipHash128(n.number))), concat(lower(leftPad(hex(toUInt64("
    "toUnixTimestamp64Milli(n.at))), 12, '0')), '7', substring(lower(hex(sipHash128(n.number))), 1, 19)))"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins."""

    started_at: datetime
    run_id: str


def fill(client: Client, source: str, span: Span) -> None:
    """The copies of a span, into `run_rows`."""
    templates = number(client, f"SELECT count() FROM {source}.runs")
    columns = [*LISTED, "closed_at", "labels", "fallbacks"]
    for start in range(span.first, span.last, _LOT):
        end = min(start + _LOT, span.last)
        at = f"fromUnixTimestamp64Micro({span.begin_us} + toInt64(number * {span.step_us}), 'UTC')"
        for revision, condition in (("t.revision", "WHERE number % 50 = 0"), ("t.revision + 1", "")):
            made = {name: f"t.{name}" for name in columns} | {
                "run_id": _ID, "revision": revision, "started_at": "n.at",
                "finished_at": "addMicroseconds(n.at, t.duration_us)",
                "closed_at": "addMicroseconds(n.at, t.duration_us + 2000000)",
            }  # fmt: skip
            selected = ", ".join(f"{sql} AS {name}" for name, sql in made.items())
            client.command(
                f"INSERT INTO run_rows ({', '.join(columns)}) SELECT {selected}"
                f" FROM (SELECT number, modulo(number, {templates}) AS place, {at} AS at"
                f" FROM numbers({start}, {end - start}) {condition}) AS n"
                f" INNER JOIN (SELECT *, rowNumberInAllBlocks() AS place FROM {source}.runs) AS t ON t.place = n.place",
                settings=_BUSY,
            )
        print(f"run {end}", file=sys.stderr, flush=True)


def asked(store: ClickHouseStore, client: Client, rounds: int) -> Mapping[str, list[float]]:
    """Milliseconds of every kind of list, by name: pages without a filter, with one, and by the order of ids."""
    settle(client, 120)
    now = datetime.now(UTC)
    generator = random.Random(7)
    times: dict[str, list[float]] = {}

    def timed(name: str, ask: Callable[[], object]) -> object:
        began = time.perf_counter()
        answer = ask()
        times.setdefault(name, []).append((time.perf_counter() - began) * 1000)
        return answer

    for _ in range(rounds):
        timed("newest", lambda: find_runs(store, RunFilter(), limit=PAGE))
        for _ in range(8):
            place = Place(now - timedelta(days=generator.random() * (DAYS - 1)), "f" * 32)
            timed("page", lambda place=place: find_runs(store, RunFilter(), limit=PAGE, after=place))  # type: ignore[misc]
        for name, wanted in _filters(now).items():
            timed(f"filter_{name}", lambda wanted=wanted: find_runs(store, wanted, limit=PAGE))  # type: ignore[misc]
        timed("by_ids", lambda: _by_the_order_of_ids(store))
    return times


def _filters(now: datetime) -> Mapping[str, RunFilter]:
    week_us = round((now - timedelta(days=7)).timestamp() * 1e6)
    return {
        "errors": RunFilter(statuses=("error",)),
        "errors_week": RunFilter(statuses=("error",), since_us=week_us),
        "gap_of_a_workflow": RunFilter(workflows=("invoice",), has_gap=True),
        "nobodys_workflow": RunFilter(workflows=("nobody",)),
        "no_such_model": RunFilter(models=("nobody",)),
        "part_of_an_id": RunFilter(id_text="0123456789abcdef"),
        "label": RunFilter(labels={"release": "nobody"}),
    }


def _by_the_order_of_ids(store: ClickHouseStore) -> list[Run]:
    """The newest page as it was asked before there was a table in the order of starts."""
    sql = (
        f"SELECT {', '.join(LISTED)} FROM runs WHERE run_id IN"
        " (SELECT run_id FROM runs ORDER BY started_at DESC, run_id DESC LIMIT {most:UInt32})"
        " ORDER BY started_at DESC, run_id DESC LIMIT {most:UInt32}"
    )
    return [Run.from_record(row) for row in store.ask(sql, {"most": PAGE})]

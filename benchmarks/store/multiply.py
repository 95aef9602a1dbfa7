"""Millions of runs out of thousands: what the demo pipeline stored, copied inside the engine with new ids and times.

Every copy keeps what the pipeline made of a run (its route, versions, gaps, reviews, conflicts), so shares and sizes
are those of real runs. Ids are UUIDv7 of the copy's own start; one copy in fifty is amended, its older revision stored
before. Of nine copies in ten the nested steps and evidence are left out: no question reads them, and ten million runs
with them take fifteen gigabytes and most of an hour on this machine.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from causeline.schemas.tables import REVIEW_ITEMS, RUNS

AMENDED_EVERY = 50
WHOLE_EVERY = 10
_CHUNK = 50_000
_BUSY = {
    "max_threads": 2,
    "max_insert_threads": 1,
    "max_block_size": 8192,
    "min_insert_block_size_rows": _CHUNK,
    "min_insert_block_size_bytes": 0,
    "max_partitions_per_insert_block": 0,
}
_AT = "fromUnixTimestamp64Micro({begin} + toInt64(number * {step}), 'UTC')"
_ID = (
    "concat(lower(leftPad(hex(toUInt64(toUnixTimestamp64Milli(n.at))), 12, '0')), '7',"
    " substring(lower(hex(sipHash128(n.number))), 1, 19))"
)


@dataclass(frozen=True, slots=True)
class Span:
    """Copies number `first` to `last` (exclusive), `step_us` apart, the first of all at `begin_us`."""

    first: int
    last: int
    begin_us: int
    step_us: float


def multiply(client: Client, source: str, span: Span) -> Iterator[int]:
    """Fill the tables of the client's database from those of `source`; yields how many copies there are so far."""
    templates = number(client, f"SELECT count() FROM {source}.runs")
    at = _AT.format(begin=span.begin_us, step=span.step_us)
    runs = [column.name for column in RUNS.columns()]
    items = [column.name for column in REVIEW_ITEMS.columns()]
    for start in range(span.first, span.last, _CHUNK):
        end = min(start + _CHUNK, span.last)
        numbers = (
            f"(SELECT number, modulo(number, {templates}) AS place, {at} AS at"
            f" FROM numbers({start}, {end - start}){{condition}}) AS n"
        )
        older = numbers.format(condition=f" WHERE modulo(number, {AMENDED_EVERY}) = 0")
        for rows, revision in ((older, "t.revision"), (numbers.format(condition=""), "t.revision + 1")):
            client.command(
                f"INSERT INTO {RUNS.rows} ({', '.join(runs)}) SELECT {_selected(runs, revision)} FROM {rows}"
                f" INNER JOIN (SELECT *, rowNumberInAllBlocks() AS place FROM {source}.runs) AS t ON t.place = n.place",
                settings=_BUSY,
            )
        client.command(
            f"INSERT INTO {REVIEW_ITEMS.rows} ({', '.join(items)}) SELECT {_review_item(items)}"
            f" FROM {numbers.format(condition='')} INNER JOIN (SELECT i.*, r.place AS place FROM"
            f" {source}.{REVIEW_ITEMS.rows} AS i INNER JOIN (SELECT run_id, rowNumberInAllBlocks() AS place"
            f" FROM {source}.runs) AS r ON r.run_id = i.run_id) AS t ON t.place = n.place",
            settings=_BUSY,
        )
        yield end


def settle(client: Client, timeout_s: float) -> None:
    """Wait until no merge runs, as on a server that is left alone for a while."""
    deadline = time.monotonic() + timeout_s
    quiet = 0
    while quiet < 3 and time.monotonic() < deadline:
        quiet = 0 if number(client, "SELECT count() FROM system.merges") else quiet + 1
        time.sleep(1)


def number(client: Client, sql: str) -> int:
    """The one number that a query gives."""
    return int(client.query(sql).result_rows[0][0])


def _selected(columns: list[str], revision: str) -> str:
    is_whole = f"modulo(n.number, {WHOLE_EVERY}) = 0"
    made = {
        "run_id": _ID,
        "revision": revision,
        "started_at": "n.at",
        "finished_at": "addMicroseconds(n.at, t.duration_us)",
        "closed_at": "addMicroseconds(n.at, t.duration_us + 2000000)",
        "steps": f"if({is_whole}, t.steps, [])",
        "evidence": f"if({is_whole}, t.evidence, [])",
    }
    return ", ".join(f"{made.get(column, f't.{column}')} AS {column}" for column in columns)


def _review_item(columns: list[str]) -> str:
    made = {
        "run_id": _ID,
        "item_id": "lower(hex(sipHash128(n.number, t.item_id)))",
        "run_started_at": "n.at",
        "created_at": "addSeconds(n.at, 2)",
        "due_at": "if(isNull(t.due_at), NULL, addHours(n.at, 4))",
    }
    return ", ".join(f"{made.get(column, f't.{column}')} AS {column}" for column in columns)

"""A run erased: its rows in every table, its bytes among the dead letters, and its content where no other run has it.

Takes a client that may alter tables and the artifact store; called by `causeline erase`.

1. The run's id is noted first, and nothing else of it, so that what a topic brings back can be erased again.
2. Events go before runs: a late event finds nothing to assemble anew.
3. Content goes last: a command that dies in between is given again, and finds the references in what it noted.
4. Kafka forgets by its retention alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from causeline.producers.artifacts import ArtifactStore
from causeline.schemas.errors import NotFound, UsageError
from causeline.schemas.tables import ERASURES_TABLE, EVENTS

_ADDRESS = "sha256/[0-9a-f]{2}/[0-9a-f]{62}"
_OURS = re.compile(_ADDRESS, re.ASCII)
_WAIT = "SETTINGS mutations_sync = 2"


@dataclass(frozen=True, slots=True)
class Erased:
    """What went: rows by table, artifacts, their bytes, and artifacts that other runs have too."""

    run_id: str
    rows: dict[str, int]
    artifacts: int
    bytes: int
    shared: int
    elsewhere: int
    """References to other stores, which this one cannot follow."""


def erase(client: Client, artifacts: ArtifactStore, run_id: str) -> Erased:
    """Erase one run; raises NotFound when nothing of it is stored, and what the engine refuses."""
    tables = tables_of_runs(client)
    rows = {table: _count(client, table, run_id) for table in tables}
    dead = _dead_letters(client, run_id)
    if not any(rows.values()) and not dead:
        raise NotFound(f"Nothing of run {run_id} is stored.")
    refs = _references(client, tables, run_id)
    shared = _held_by_others(client, tables, run_id, refs)
    client.insert(ERASURES_TABLE, [[run_id]], column_names=["run_id"])
    _delete(client, tables, "run_id = {run:String}", run_id)
    client.command(
        f"ALTER TABLE dead_letter_rows DELETE WHERE position(value, {{run:String}}) > 0 {_WAIT}",
        parameters={"run": run_id},
    )
    sizes = [_remove(artifacts, ref) for ref in sorted(refs) if address_in(ref) not in shared]
    removed = [size for size in sizes if size is not None]
    return Erased(
        run_id,
        {**{table: count for table, count in rows.items() if count}, **({"dead_letter_rows": dead} if dead else {})},
        sum(size > 0 for size in removed),
        sum(removed),
        sum(address_in(ref) in shared for ref in refs),
        len(sizes) - len(removed),
    )


def erase_again(client: Client) -> dict[str, int]:
    """Erase the rows of runs that were erased and came back, by a topic or a backup; rows by table."""
    tables = tables_of_runs(client)
    erased = f"run_id IN (SELECT run_id FROM {ERASURES_TABLE})"  # noqa: S608 - a constant
    found = {}
    for table in tables:
        [[count]] = client.query(f"SELECT count() FROM {table} WHERE {erased}").result_rows  # noqa: S608 - our own
        if count:
            found[table] = int(count)
            client.command(f"ALTER TABLE {table} DELETE WHERE {erased} {_WAIT}")
    return found


def tables_of_runs(client: Client) -> list[str]:
    """Every table with rows about one run, events first."""
    rows = client.query(
        "SELECT DISTINCT table FROM system.columns WHERE database = currentDatabase() AND name = 'run_id'"
        " AND table IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree')"
        " AND table != {erasures:String}",
        parameters={"erasures": ERASURES_TABLE},
    ).result_rows
    return sorted((str(table) for (table,) in rows), key=lambda table: (table != EVENTS.kept, table))


def address_in(ref: str) -> str:
    """The address of an artifact within a reference; empty where there is none."""
    found = _OURS.search(ref)
    return found[0] if found else ""


def _count(client: Client, table: str, run_id: str) -> int:
    asked = f"SELECT count() FROM {table} WHERE run_id = {{run:String}}"  # noqa: S608 - our own table
    return int(client.query(asked, parameters={"run": run_id}).result_rows[0][0])


def _dead_letters(client: Client, run_id: str) -> int:
    asked = "SELECT count() FROM dead_letter_rows WHERE position(value, {run:String}) > 0"
    return int(client.query(asked, parameters={"run": run_id}).result_rows[0][0])


def _references(client: Client, tables: Sequence[str], run_id: str) -> set[str]:
    """Everything in the run's rows that refers to an artifact."""
    found: set[str] = set()
    for table in tables:
        asked = (
            "SELECT DISTINCT arrayJoin(extractAll(formatRowNoNewline('JSONCompactEachRow', *),"  # noqa: S608 - ours
            f" '[A-Za-z0-9:/._-]*{_ADDRESS}')) AS ref FROM {table} WHERE run_id = {{run:String}}"
            " SETTINGS output_format_json_escape_forward_slashes = 0"
        )
        found |= {str(ref) for (ref,) in client.query(asked, parameters={"run": run_id}).result_rows}
    return found


def _held_by_others(client: Client, tables: Sequence[str], run_id: str, refs: set[str]) -> set[str]:
    """Addresses that stand in rows of other runs, too."""
    addresses = sorted({address_in(ref) for ref in refs})
    held: set[str] = set()
    for table in tables if addresses else ():
        asked = (
            "SELECT DISTINCT arrayJoin(arrayFilter(known -> position(row, known) > 0, {addresses:Array(String)}))"  # noqa: S608
            f" FROM (SELECT formatRowNoNewline('JSONCompactEachRow', *) AS row FROM {table}"
            " WHERE run_id != {run:String})"
            " SETTINGS output_format_json_escape_forward_slashes = 0"
        )
        rows = client.query(asked, parameters={"addresses": addresses, "run": run_id}).result_rows
        held |= {str(address) for (address,) in rows}
    return held


def _delete(client: Client, tables: Sequence[str], condition: str, run_id: str) -> None:
    for table in tables:
        client.command(f"ALTER TABLE {table} DELETE WHERE {condition} {_WAIT}", parameters={"run": run_id})


def _remove(artifacts: ArtifactStore, ref: str) -> int | None:
    """Bytes removed; None for a reference to another store."""
    try:
        return artifacts.remove(ref)
    except UsageError:
        return None

"""Artifacts that nothing refers to any more, found and removed; called by `causeline artifact gc`.

1. Candidates are listed first: what nobody has stored for a while. What refers to an artifact stores it, again if it is
   there, so an artifact that an event on its way refers to is young.
2. Then the references are read: every row of every table, and files that are named (eval cases in a repository).
3. What is removed is asked once more whether it is still old.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from clickhouse_connect.driver.client import Client

from causeline.ops.erasing import address_in
from causeline.producers.artifacts import ArtifactStore
from causeline.schemas.errors import CheckFailed, EnvironmentFault

_ADDRESS = "sha256/[0-9a-f]{2}/[0-9a-f]{62}"
_BYTES_OF = re.compile(_ADDRESS.encode(), re.ASCII)


@dataclass(frozen=True, slots=True)
class Collected:
    """Artifacts that were old, how many of them are referred to, and what was removed, or would be."""

    old: int
    referred_to: int
    removed: int
    bytes: int


def collect(
    client: Client, artifacts: ArtifactStore, *, cutoff_s: float, keep: Iterable[Path] = (), dry_run: bool = False
) -> Collected:
    """Remove what nobody stored since `cutoff_s` and nothing refers to; bytes are not known of a dry run.

    Raises CheckFailed where no table refers to anything: that is a wrong database far sooner than an empty one.
    """
    candidates = {address_in(ref): ref for ref in artifacts.unused_since(cutoff_s)}
    if not candidates:
        return Collected(0, 0, 0, 0)
    referred = _in_tables(client)
    if not referred:
        raise CheckFailed(
            "No row of this database refers to any artifact, so nothing is removed.",
            hint="Is CAUSELINE_CLICKHOUSE_URL the database that belongs to CAUSELINE_ARTIFACTS?",
        )
    for folder in keep:
        referred |= _in_files(folder)
    garbage = [ref for address, ref in candidates.items() if address not in referred]
    sizes = [] if dry_run else [artifacts.remove(ref, cutoff_s=cutoff_s) for ref in garbage]
    removed = len(garbage) if dry_run else sum(size > 0 for size in sizes)
    return Collected(len(candidates), len(candidates) - len(garbage), removed, sum(sizes))


def _in_tables(client: Client) -> set[str]:
    tables = client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    ).result_rows
    found: set[str] = set()
    for (table,) in tables:
        asked = (
            "SELECT DISTINCT arrayJoin(extractAll(formatRowNoNewline('JSONCompactEachRow', *),"  # noqa: S608 - ours
            f" '{_ADDRESS}')) FROM {table} SETTINGS output_format_json_escape_forward_slashes = 0"
        )
        found |= {str(address) for (address,) in client.query(asked).result_rows}
    return found


def _in_files(folder: Path) -> set[str]:
    if not folder.exists():
        raise EnvironmentFault(f"There is no {folder}, whose references should be kept.")
    files = [folder] if folder.is_file() else [each for each in folder.rglob("*") if each.is_file()]
    return {found.decode() for file in files for found in _BYTES_OF.findall(file.read_bytes())}

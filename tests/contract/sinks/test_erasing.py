"""An erased run leaves nothing in any table or pack, its neighbour as it was; garbage is what nothing refers to."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from causeline.ops.collecting import collect
from causeline.ops.erasing import erase, erase_again, tables_of_runs
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.packed import MAX_PACKED_BYTES
from causeline.schemas import tables
from causeline.schemas.errors import CheckFailed, NotFound

pytestmark = pytest.mark.stack

ERASED, KEPT = "e" * 32, "a" * 32
LARGE = b"large secret " * MAX_PACKED_BYTES
OLD_S = time.time() + 10 * 86_400
"""A moment after which everything here is old."""


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore.open(tmp_path / "artifacts")


@pytest.fixture
def filled(store: Client) -> Iterator[Client]:
    """Two runs with a row in every table about runs."""
    store.command(f"TRUNCATE TABLE {tables.ERASURES_TABLE}")
    entrances = {table.rows for table in tables.TABLES if table.narrow}
    for table in entrances | set(tables_of_runs(store)) - set(tables.DERIVED):
        for run_id in (ERASED, KEPT):
            store.command(f"INSERT INTO {table} (run_id) VALUES ('{run_id}')")
    yield store
    for table in tables_of_runs(store):
        store.command(f"TRUNCATE TABLE {table}")


def rows_about(client: Client, run_id: str) -> dict[str, int]:
    """By table, as it lies on the disk."""
    asked = "SELECT count() FROM {t:Identifier} WHERE run_id = {run:String}"
    return {
        table: client.query(asked, parameters={"t": table, "run": run_id}).result_rows[0][0]
        for table in tables_of_runs(client)
    }


def refer(client: Client, run_id: str, ref: str) -> None:
    """One in an event, as a step's context with a place in it; one in a run."""
    client.command(
        f"INSERT INTO event_rows (run_id, event_id, context_refs) VALUES ('{run_id}', '{ref}', ['{ref}#p=1'])"
    )
    client.command(f"INSERT INTO run_rows (run_id, revision, raw_output_ref) VALUES ('{run_id}', 2, '{ref}')")


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_nothing_of_an_erased_run_is_left(filled: Client, artifacts: ArtifactStore) -> None:
    held = set(tables_of_runs(filled))
    before = rows_about(filled, KEPT)
    assert rows_about(filled, ERASED) == before == dict.fromkeys(held, 1), "and those that the server fills itself"

    done = erase(filled, artifacts, ERASED)

    assert done.rows == dict.fromkeys(held, 1)
    assert rows_about(filled, ERASED) == dict.fromkeys(held, 0)
    assert rows_about(filled, KEPT) == before
    with pytest.raises(NotFound, match=ERASED):
        erase(filled, artifacts, ERASED)


def test_its_content_goes_to_the_last_byte_where_no_other_run_has_it(
    filled: Client, artifacts: ArtifactStore, tmp_path: Path
) -> None:
    small, shared, large = artifacts.put_many([b"small secret", b"known to both", LARGE])
    for run_id, refs in ((ERASED, (small, shared, large)), (KEPT, (shared,))):
        for ref in refs:
            refer(filled, run_id, ref)
    refer(filled, ERASED, "s3://elsewhere/sha256/" + "00/" + "1" * 62)

    done = erase(filled, artifacts, ERASED)

    assert (done.artifacts, done.bytes, done.shared, done.elsewhere) == (2, len(b"small secret") + len(LARGE), 1, 1)
    assert [artifacts.exists(ref) for ref in (small, shared, large)] == [False, True, False]
    assert b"secret" not in on_disk(tmp_path / "artifacts")
    assert artifacts.get(shared) == b"known to both"


def test_dead_letters_that_hold_its_events_go_too(filled: Client, artifacts: ArtifactStore) -> None:
    filled.command("TRUNCATE TABLE dead_letter_rows")
    for number, run_id in enumerate((ERASED, KEPT)):
        filled.command(
            f"INSERT INTO dead_letter_rows (dead_id, value) VALUES ('{number}', concat('\\0\\1', '{run_id}', '\\2'))"
        )

    assert erase(filled, artifacts, ERASED).rows["dead_letter_rows"] == 1

    assert filled.query("SELECT dead_id FROM dead_letter_rows").result_rows == [("1",)]


def test_what_a_topic_brings_back_is_erased_again(filled: Client, artifacts: ArtifactStore) -> None:
    erase(filled, artifacts, ERASED)
    filled.command(f"INSERT INTO event_rows (run_id, event_id) VALUES ('{ERASED}', 'late')")

    assert erase_again(filled) == {"narrow_event_rows": 1}
    assert not any(rows_about(filled, ERASED).values())
    assert all(rows_about(filled, KEPT).values())


def test_garbage_is_what_is_old_and_nothing_refers_to(filled: Client, artifacts: ArtifactStore, tmp_path: Path) -> None:
    used, unused, case = artifacts.put_many([b"used", b"unused", b"of a case"])
    large = artifacts.put(LARGE)
    refer(filled, KEPT, used)
    (tmp_path / "case.json").write_text(f'{{"ref": "{case}#page=2"}}', "utf-8")
    keep = [tmp_path / "case.json"]

    assert collect(filled, artifacts, cutoff_s=time.time() - 60, keep=keep).removed == 0
    assert collect(filled, artifacts, cutoff_s=OLD_S, keep=keep, dry_run=True).removed == 2
    done = collect(filled, artifacts, cutoff_s=OLD_S, keep=keep)

    assert (done.old, done.referred_to, done.removed, done.bytes) == (4, 2, 2, len(b"unused") + len(LARGE))
    assert [artifacts.exists(ref) for ref in (used, case, unused, large)] == [True, True, False, False]


def test_a_database_that_refers_to_nothing_is_taken_for_the_wrong_one(store: Client, artifacts: ArtifactStore) -> None:
    ref = artifacts.put(b"of another database")

    with pytest.raises(CheckFailed, match="refers to any artifact"):
        collect(store, artifacts, cutoff_s=OLD_S)
    assert artifacts.exists(ref)


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["packed", "a file"])
def test_what_is_stored_again_is_young_again(artifacts: ArtifactStore, tmp_path: Path, data: bytes) -> None:
    """An event on its way may refer to what lies here for years."""
    ref = artifacts.put_many([data])[0]
    for file in (tmp_path / "artifacts" / "sha256").glob("??/*"):
        os.utime(file, (0, 0))
    ArtifactStore.open(tmp_path / "artifacts").put_many([data])

    assert list(artifacts.unused_since(time.time() - 60)) == []
    assert artifacts.remove(ref, cutoff_s=time.time() - 86_400) == 0
    assert artifacts.get(ref) == data

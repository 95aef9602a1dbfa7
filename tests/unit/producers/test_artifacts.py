"""Content goes into the store, references come out, and no reference leads elsewhere."""

import gc
import hashlib
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.producers.artifacts import ArtifactStore, Corrupted
from causeline.schemas.errors import EnvironmentFault, NotFound, Unreachable, UsageError


@pytest.fixture(params=["directory", "url"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    """The same contract over a directory and over fsspec."""
    if request.param == "directory":
        return ArtifactStore.open(tmp_path / "artifacts")
    return ArtifactStore.open(f"memory://{tmp_path.name}/artifacts")


@pytest.mark.parametrize("data", [b"", b"x", b"\x00" * 100_000])
def test_what_is_put_is_got(store: ArtifactStore, data: bytes) -> None:
    ref = store.put(data)

    assert store.get(ref) == store.get(ref + "#page=3") == data
    assert store.put(data) == ref
    assert store.exists(ref)


def test_a_local_reference_names_no_directory(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"x").hexdigest()

    assert ArtifactStore.open(tmp_path).put(b"x") == f"artifact:sha256/{digest[:2]}/{digest[2:]}"


@pytest.mark.parametrize(
    "ref", ["", "artifact:", "artifact:../../etc/passwd", "artifact:sha256/ab/../x", "file:///etc/passwd", "s3://b/x"]
)
def test_a_reference_of_another_form_is_refused(store: ArtifactStore, ref: str) -> None:
    with pytest.raises(UsageError):
        store.get(ref)


@given(st.text(max_size=100))
def test_no_text_leads_out_of_the_store(text: str) -> None:
    store = ArtifactStore.open("memory://anywhere")
    with pytest.raises((UsageError, NotFound)):
        store.get(text)


def test_what_is_not_there_is_not_found(store: ArtifactStore) -> None:
    missing = store.put(b"x").replace(hashlib.sha256(b"x").hexdigest()[2:], "0" * 62)

    assert not store.exists(missing)
    with pytest.raises(NotFound):
        store.get(missing)


def test_a_read_proves_itself(tmp_path: Path) -> None:
    store = ArtifactStore.open(tmp_path)
    ref = store.put(b"right")
    (tmp_path / ref.removeprefix("artifact:")).write_bytes(b"wrong")

    with pytest.raises(Corrupted):
        store.get(ref)


def test_files_are_private_and_nothing_is_left_beside_them(tmp_path: Path) -> None:
    store = ArtifactStore.open(tmp_path / "artifacts")
    store.put(b"x")

    files = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
    assert len(files) == 1
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(files[0].parent.stat().st_mode) == 0o700


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(EnvironmentFault, match="cannot be written"):
        ArtifactStore.open(tmp_path / "file").put(b"x")


def test_a_url_of_no_kind_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="cannot be kept under nonsense://"):
        ArtifactStore.open("nonsense://x")


def test_every_folder_of_a_local_store_is_private(tmp_path: Path) -> None:
    ArtifactStore.open(tmp_path / "state" / "artifacts").put(b"x")

    folders = [path for path in (tmp_path / "state" / "artifacts", *(tmp_path / "state").rglob("*")) if path.is_dir()]
    assert len(folders) >= 3
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_what_a_crash_cut_short_is_stored_anew(tmp_path: Path) -> None:
    store = ArtifactStore.open(tmp_path)
    ref = store.put(b"whole")
    (tmp_path / ref.removeprefix("artifact:")).write_bytes(b"")

    assert store.put(b"whole") == ref
    assert store.get(ref) == b"whole"


def test_a_store_that_was_emptied_goes_on(tmp_path: Path) -> None:
    store = ArtifactStore.open(tmp_path / "artifacts")
    store.put(b"x")
    shutil.rmtree(tmp_path / "artifacts")

    assert store.get(store.put(b"x")) == b"x"


@pytest.mark.parametrize("url", ["s3://key:secret@bucket/x", "s3://bucket?key=secret", "simplecache::s3://bucket"])
def test_a_url_that_would_put_a_secret_into_references_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="would stand in every reference") as caught:
        ArtifactStore.open(url)
    assert "secret" not in f"{caught.value.message}{caught.value.hint}"


def test_a_url_store_refers_by_its_url(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"x").hexdigest()

    assert ArtifactStore.open(f"memory://{tmp_path.name}/").put(b"x") == (
        f"memory://{tmp_path.name}/sha256/{digest[:2]}/{digest[2:]}"
    )


@pytest.mark.parametrize(
    ("environment", "place"),
    [({"CAUSELINE_ARTIFACTS": "{}/here"}, "here"), ({"CAUSELINE_STATE_DIR": "{}/state"}, "state/artifacts")],
)
def test_the_environment_names_the_store(environment: dict[str, str], place: str, tmp_path: Path) -> None:
    variables = {name: value.format(tmp_path) for name, value in environment.items()}
    ref = ArtifactStore.from_environment(variables).put(b"x")

    assert ArtifactStore.open(tmp_path / place).get(ref) == b"x"


def test_a_store_behind_a_client_that_fails_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refused(Exception):
        """As clients raise them: of no common base."""

    def fail(*_: object, **__: object) -> None:
        raise Refused("the key AKIA was refused")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.size", fail)
    with pytest.raises(Unreachable, match=r"does not answer: Refused\.") as caught:
        ArtifactStore.open("memory://anywhere").put(b"x")
    assert "AKIA" not in caught.value.message


def test_the_index_of_a_store_that_nobody_has_any_more_is_closed(tmp_path: Path) -> None:
    store = ArtifactStore.open(tmp_path)
    store.put_many([b"small"])
    index = store._blobs._packed._index  # type: ignore[attr-defined]

    del store
    gc.collect()

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        index.execute("SELECT 1")


_FORK = """
import os, sys
from causeline.producers.artifacts import ArtifactStore

store = ArtifactStore.open(sys.argv[1])
[ref] = store.put_many([b"small"])
if (child := os.fork()) == 0:
    del store
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert store.put_many([b"another"]) and store.get(ref) == b"small"
"""


def test_a_fork_that_lets_go_of_a_store_closes_nothing_of_its_parents(tmp_path: Path) -> None:
    """In a process of its own: one with threads is not to be forked."""
    subprocess.run([sys.executable, "-W", "error", "-c", _FORK, tmp_path], check=True, timeout=60)

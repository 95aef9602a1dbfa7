"""Content goes into the store, references come out, and no reference leads elsewhere."""

import hashlib
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.producers.artifacts import ArtifactStore, Corrupted
from causeline.schemas.errors import EnvironmentFault, NotFound, UsageError


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

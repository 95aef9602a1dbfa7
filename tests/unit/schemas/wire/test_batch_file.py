"""Batches in a file in place of a topic."""

import os
from pathlib import Path

from causeline.schemas.wire.batch_file import append_batch, read_batches


def test_what_was_appended_is_read_and_the_file_is_its_owners_only(tmp_path: Path) -> None:
    file = tmp_path / "traces"
    mask = os.umask(0o022)
    try:
        append_batch(file, b"one")
        append_batch(file, b"two")
    finally:
        os.umask(mask)

    assert list(read_batches(file)) == [b"one", b"two"]
    assert file.stat().st_mode & 0o777 == 0o600

"""Faults of the machine, each as one sentence with exit code 4 and a way out."""

import errno
import os
from pathlib import Path

import pytest

from causeline.schemas.errors import EnvironmentFault
from causeline.stack.faults import environment_fault
from causeline.stack.layout import state_folder
from causeline.stack.settings import StackSettings
from causeline.stack.waiting import wait_until


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "No space is left for the cellar."),
        (errno.EDQUOT, "No space is left for the cellar."),
        (errno.EACCES, "There is no permission to write the cellar."),
        (errno.EROFS, "There is no permission to write the cellar."),
        (errno.EADDRINUSE, "The address of the cellar is in use."),
        (errno.ENOTDIR, "A file stands where the cellar should be."),
        (errno.EIO, "Using the cellar failed: Input/output error."),
    ],
)
def test_each_fault_names_the_thing(number: int, sentence: str) -> None:
    fault = environment_fault(OSError(number, os.strerror(number)), "the cellar")
    assert fault.message == sentence
    assert fault.exit_code == 4
    assert fault.hint


def test_a_state_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match="A file stands where the state folder"):
        state_folder(StackSettings(state_dir=tmp_path / "file" / "state"))


def test_a_state_folder_that_was_open_is_made_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = state_folder(StackSettings(state_dir=tmp_path))
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_disk_without_room_for_a_stack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="MiB are free for the state folder"):
        state_folder(StackSettings(state_dir=tmp_path), needed_bytes=2**60)


def test_waiting_in_vain_names_what_was_waited_for() -> None:
    with pytest.raises(EnvironmentFault, match=r"Waited 0\.01 s in vain: the cellar stays dark"):
        wait_until(lambda: False, timeout_s=0.01, what="the cellar stays dark", interval_s=0.001)

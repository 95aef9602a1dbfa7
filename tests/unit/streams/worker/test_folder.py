"""A worker's folder goes with it, however it ends."""

import os
import subprocess
import sys
from pathlib import Path

from causeline.streams.worker.folder import own_folder


def test_a_folder_is_there_while_its_worker_is(tmp_path: Path) -> None:
    with own_folder(tmp_path) as folder:
        assert folder.is_dir()
        assert str(os.getpid()) in folder.name
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_worker_left_goes_and_what_a_living_one_has_stays(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    for name in (dead.stdout.decode().strip(), "of-an-earlier-release"):
        (tmp_path / f"causeline-worker-{name}-x" / "v1").mkdir(parents=True)
    living = tmp_path / f"causeline-worker-{os.getppid()}-x"
    living.mkdir()
    (tmp_path / "another").mkdir()
    with own_folder(tmp_path) as mine:
        assert {each.name for each in tmp_path.iterdir()} == {living.name, mine.name, "another"}

"""Earlier releases of this project, out of its own history, whose processes run beside those of the working tree."""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Release:
    """The sources of a release in a folder, run by this environment's Python and packages."""

    folder: Path

    def command(self, words: Sequence[str]) -> list[str]:
        """What starts one of its commands."""
        return [sys.executable, "-c", "from causeline.cli import main; main()", *words]

    @property
    def environment(self) -> dict[str, str]:
        """What has Python find this release's package before the one that is installed; and the tests' own."""
        return {"PYTHONPATH": os.pathsep.join([str(self.folder / "src"), str(ROOT)])}


def earlier(commit: str, folder: Path) -> Release:
    """The release at a commit; the test fails where the history does not reach so far."""
    try:
        packed = subprocess.run(["git", "-C", str(ROOT), "archive", commit, "src"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.fail(f"There is no git, by which the sources of {commit} are had.")
    if packed.returncode:
        said = packed.stderr.decode(errors="replace").strip()
        pytest.fail(
            f"The sources of {commit}, an earlier release, are not to be had: {said}. They are in the history that a"
            " plain `git clone` brings; `git fetch --unshallow` brings it to a clone that was cut."
        )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return Release(folder)

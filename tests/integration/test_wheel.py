"""What a release is installed from: the wheel has every file of the package, and alone with its pins runs the demo."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from causeline.stack.local import down
from tests.pages import ROOT

pytestmark = [pytest.mark.stack, pytest.mark.slow]

UV = Path(sys.executable).parent / "uv"
RUNS = 60


def done(*command: str | Path, folder: Path = ROOT) -> str:
    """What a command prints; nothing of the environment that the tests run in is in its own."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    said = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=500, check=False)
    assert said.returncode == 0, f"{command}\n{said.stdout}{said.stderr}"
    return said.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    done(UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty environment with the wheel and what the release was tried with, and nothing of this repository."""
    folder = tmp_path_factory.mktemp("user")
    python = folder / "env" / "bin" / "python"
    done(UV, "venv", "--quiet", "--python", sys.executable, folder / "env")
    install = (UV, "pip", "install", "--quiet", "--python", python)
    done(*install, "--require-hashes", "-r", ROOT / "requirements" / "all.txt")
    done(*install, "--no-deps", wheel)
    yield folder
    down(folder / ".causeline")  # where the demo fell before it could


def test_the_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    tracked = done("git", "ls-files", "--", "src/causeline").split()
    with zipfile.ZipFile(wheel) as files:
        packed = {name for name in files.namelist() if ".dist-info/" not in name}
    assert {name.removeprefix("src/") for name in tracked} <= packed


def test_in_an_empty_environment_the_wheel_runs_the_demo(environment: Path) -> None:
    causeline = environment / "env" / "bin" / "causeline"
    where = done(environment / "env" / "bin" / "python", "-c", "import causeline; print(causeline.__file__)")
    assert Path(where.strip()).is_relative_to(environment)

    told = json.loads(done(causeline, "demo", "--runs", str(RUNS), "--json", "--down", folder=environment))

    assert (told["runs_published"], told["runs_visible"], told["duplicates"]) == (RUNS, RUNS, 0)
    assert told["events_published"] == told["events_visible"] > RUNS

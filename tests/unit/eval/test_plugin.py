"""`pytest --causeline-cases`: a test for each case, with the gate's own words when it fails."""

import os
import subprocess
import sys
from pathlib import Path

from causeline.eval.case import as_yaml
from tests.unit.eval.test_case import case

ROOT = Path(__file__).parents[3]


def pytest_of(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-q",
        "--causeline-cases",
        str(folder / "cases"),
        *words,
    ]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )


def folder_of(tmp_path: Path) -> Path:
    (tmp_path / "cases").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "other.yaml").write_text("not: a case\n")
    (tmp_path / "cases" / "passes.yaml").write_text(as_yaml(case()), "utf-8")
    (tmp_path / "cases" / "fails.yaml").write_text(as_yaml(case(id="other", expect={"route": "home"})), "utf-8")
    return tmp_path


def test_each_case_is_a_test(tmp_path: Path) -> None:
    said = pytest_of(folder_of(tmp_path), "--causeline-target", "tests.unit.eval.targets:good")
    assert said.returncode == 1, said.stdout + said.stderr
    assert "1 failed, 1 passed" in said.stdout
    assert "failed: route motor, and home is right" in said.stdout
    assert "Traceback" not in said.stdout


def test_cases_without_a_target_are_refused_in_a_sentence(tmp_path: Path) -> None:
    said = pytest_of(folder_of(tmp_path))
    assert said.returncode == 4
    assert "--causeline-cases needs --causeline-target or --causeline-command" in said.stderr

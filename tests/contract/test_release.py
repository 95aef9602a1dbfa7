"""What has one version, and says so in more than one place."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _toml(file: str) -> dict[str, dict[str, object]]:
    return tomllib.loads((ROOT / file).read_text("utf-8"))


def test_causeline_and_its_compiled_core_have_one_version() -> None:
    version = _toml("pyproject.toml")["project"]["version"]
    assert _toml("core/Cargo.toml")["package"]["version"] == version
    assert _toml("core/pyproject.toml")["project"]["version"] == version


def test_the_changelog_keeps_a_place_for_what_is_not_released() -> None:
    assert re.search(r"^## \[Unreleased\]$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)


@pytest.mark.slow
def test_the_bill_of_materials_lists_every_pin(tmp_path: Path) -> None:
    """By the command of `make sbom`."""
    [line] = [line for line in (ROOT / "Makefile").read_text("utf-8").splitlines() if "cyclonedx-py" in line]
    said = line.strip().removeprefix("$(BIN)/cyclonedx-py ").split()
    said[-1] = str(tmp_path / "bill.json")
    subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", *said], cwd=ROOT, check=True, capture_output=True, timeout=300
    )

    bill = json.loads((tmp_path / "bill.json").read_text("utf-8"))
    pinned = re.findall(r"^([\w.-]+)(?:\[\w+\])?==([^ ;]+)", (ROOT / "requirements/all.txt").read_text(), re.MULTILINE)
    assert len(pinned) > 50
    assert {(each["name"], each["version"]) for each in bill["components"]} == set(pinned)
    assert all(each["externalReferences"][0]["hashes"] for each in bill["components"])

"""The floor plan is true: every folder has its row, every row its folder, and files that the pages name are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "causeline"
PAGES = ("architecture.md", "walk.md", "dev/emitter.md")
_ROW = re.compile(r"^\| `([a-z_/]+/)` \|", re.MULTILINE)
_FILE = re.compile(r"`([a-z_0-9/-]+\.(?:py|sql|html|toml))`")

_DECISION = re.compile(r"\bADRs? (\d+(?: and \d+)?)\b")


def folders() -> set[str]:
    """Every folder of the package, but those of single subjects of schemas/avro."""
    found = {path.parent for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    avro = PACKAGE / "schemas" / "avro"
    named = {avro if avro in folder.parents else folder for folder in found} - {PACKAGE}
    return {f"{folder.relative_to(PACKAGE)}/" for folder in named}


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def test_every_folder_has_a_row_and_every_row_a_folder() -> None:
    rows = _ROW.findall(page("architecture.md"))
    assert len(rows) == len(set(rows))
    assert set(rows) == folders()


@pytest.mark.parametrize("row", _ROW.findall(page("architecture.md")))
def test_what_a_row_begins_with_is_there(row: str) -> None:
    (line,) = [line for line in page("architecture.md").splitlines() if line.startswith(f"| `{row}`")]
    *_, begin, _ = line.split("|")
    for name in re.findall(r"`([^`]+)`", begin):
        assert (PACKAGE / row / name).exists(), f"{row}{name}"


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_a_page_names_with_its_folder_is_there(name: str) -> None:
    named = [each for each in _FILE.findall(page(name)) if "/" in each]
    assert named or name == "dev/emitter.md"
    for each in named:
        assert (PACKAGE / each).exists() or (ROOT / each).exists(), each


def test_every_decision_that_a_source_names_is_written_down() -> None:
    written = {int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("*.md")}
    named = {
        int(number): path.name
        for path in PACKAGE.rglob("*.py")
        for numbers in _DECISION.findall(path.read_text("utf-8"))
        for number in re.findall(r"\d+", numbers)
    }
    assert len(named) > 30
    assert {number: file for number, file in named.items() if number not in written} == {}

"""Every command that a page, a hint or a help text names is one that there is."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from causeline.cli.app import app
from causeline.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = sorted((ROOT / "src/causeline").rglob("*.py"))
_IN_PAGES = re.compile(r"(?:`|^(?:\$ )?)causeline ((?:[a-z]+[a-z-]*)(?: [a-z]+[a-z-]*)?)\b", re.MULTILINE)
_IN_CODE = re.compile(
    r"(?<![a-z] )(?<!<)(?<!b\")\bcauseline ((?:[a-z]+[a-z-]*)(?: [a-z]+[a-z-]*)?)(?= -| [A-Z{]|[`:;,.\"]|$)"
)


def _named(path: Path) -> Iterator[str]:
    text = path.read_text("utf-8")
    yield from (_IN_PAGES if path.suffix == ".md" else _IN_CODE).findall(text)


@pytest.fixture(scope="module")
def commands() -> frozenset[str]:
    """Every command by its words: `runs`, `topics list`."""
    root: Any = typer.main.get_command(app)
    context = root.make_context("causeline", [], resilient_parsing=True)
    found = {each.name: getattr(root.get_command(context, each.name), "commands", ()) for each in COMMANDS}
    return frozenset(found) | {f"{name} {sub}" for name, subs in found.items() for sub in subs}


def _unknown(words: Iterator[str], commands: frozenset[str]) -> list[str]:
    groups = {each.partition(" ")[0] for each in commands if " " in each}
    return [
        each
        for each in dict.fromkeys(words)
        if (each if each.partition(" ")[0] in groups else each.partition(" ")[0]) not in commands
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_commands_that_there_are(page: Path, commands: frozenset[str]) -> None:
    assert _unknown(_named(page), commands) == []


def test_hints_and_help_name_commands_that_there_are(commands: frozenset[str]) -> None:
    wrong = {str(path.relative_to(ROOT)): unknown for path in CODE if (unknown := _unknown(_named(path), commands))}
    assert wrong == {}


def test_a_command_that_there_is_not_is_seen(tmp_path: Path, commands: frozenset[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("Ask `causeline topics plan`, or\ncauseline runs --json\n")
    assert _unknown(_named(page), commands) == ["topics plan"]

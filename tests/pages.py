"""The pages that people follow, and their fenced blocks, in order, as commands that a shell runs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = tuple(
    sorted(
        str(path.relative_to(ROOT))
        for pattern in ("*.md", "docs/**/*.md", "deploy/**/*.md", "examples/**/*.md")
        for path in ROOT.glob(pattern)
        if "adr" not in path.parts and "node_modules" not in path.parts and path.name != "CHANGELOG.md"
    )
)
"""All but decisions and the list of changes, which nobody follows."""
_BLOCK = re.compile(r"^( *)```([a-z]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block."""

    language: str
    """As the page says; nothing where it says none."""
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a block of sh, else the whole of a block."""

    language: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page, by its path below the root."""
    text = (ROOT / page).read_text("utf-8")
    for found in _BLOCK.finditer(text):
        inside = "\n".join(line.removeprefix(found[1]) for line in found[3].splitlines())
        yield Block(found[2], inside, text.count("\n", 0, found.start()) + 1)


def steps(page: str) -> Iterator[Step]:
    """What the page has one do, in its order. A line of a block of sh that is all comment is a step, too: it tells
    what is done outside of the shell."""
    for block in blocks(page):
        if block.language != "sh":
            yield Step(block.language, block.text, block.line)
            continue
        waiting: list[str] = []
        for number, line in enumerate(block.text.splitlines(), block.line + 1):
            waiting.append(line)
            if not line.endswith("\\"):
                if command := "\n".join(waiting).strip():
                    yield Step("sh", command, number)
                waiting = []

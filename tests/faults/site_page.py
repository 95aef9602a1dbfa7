"""The blocks of commands on docs/site.md, by their headings, run as they stand."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "site.md"
_SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def sections() -> dict[str, list[str]]:
    """By heading, its blocks."""
    return {title: _BLOCK.findall(text) for title, text in _SECTION.findall(PAGE.read_text("utf-8"))}


def run(block: str, folder: Path, environment: Mapping[str, str], names: Mapping[str, str] | None = None) -> str:
    """Run a block in a shell that stops at the first command that fails; what it printed.

    `names`: what stands for a name of the page, where many share an engine.
    """
    for name, stands in (names or {}).items():
        block = re.sub(rf"\b{re.escape(name)}\b", stands, block)
    path = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=folder,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{block}\nends with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout

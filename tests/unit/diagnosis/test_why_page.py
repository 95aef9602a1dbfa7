"""The answers on docs/why.md are real: each is what `why` says of a run of the demo, word by word."""

import io
import re

import pytest
from rich.console import Console

from causeline.console.views.why_view import render
from causeline.diagnosis import diagnose
from causeline.schemas.run import Run
from tests.unit.diagnosis.demo_runs import POLICY, RUNS


def answer_of(run: Run) -> str:
    """What `why` prints of a run, without the run's name and the names of artifacts."""
    console = Console(file=io.StringIO(), width=118, color_system=None)
    for part in render(diagnose(run, POLICY)):
        console.print(part)
    printed = console.file.getvalue().replace(run.run_id, "RUN")  # type: ignore[attr-defined]
    printed = re.sub(r"\s*artifact:sha256/[0-9a-f/]+", " artifact:…", printed)
    lines = [line.rstrip() for line in printed.splitlines() if not line.startswith("Run ")]
    return "\n".join(line for line, before in zip(lines, ["", *lines], strict=False) if line or before).strip()


def test_every_answer_on_the_page_is_one_that_is_given(pytestconfig: pytest.Config) -> None:
    page = (pytestconfig.rootpath / "docs" / "why.md").read_text("utf-8")
    shown = [block.strip() for block in re.findall(r"```text\n(.*?)```", page, re.DOTALL)]
    given = {answer_of(run) for run in RUNS}

    assert len(shown) == 3
    assert [block for block in shown if block not in given] == [], "Put in what `why` says of such a run now."

"""The README's own code runs as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from causeline.stack.endpoints import Endpoints

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"<!-- run -->\n```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


def test_the_readme_has_code_to_run() -> None:
    assert len(BLOCKS) == 2
    assert len(BLOCKS[0].strip().splitlines()) <= 25


def _run(code: str, folder: Path, stack: Endpoints) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=folder,
        env=os.environ | stack.environment(),
    )


def test_a_users_own_workflow_is_on_record_and_explained(stack: Endpoints, tmp_path: Path) -> None:
    script = _run(BLOCKS[0], tmp_path, stack)
    assert script.returncode == 0, script.stderr
    assert "the policy says: review" in script.stdout
    run_id = script.stdout.strip().rpartition(" ")[2]

    reader = _run(BLOCKS[1], tmp_path, stack)
    assert reader.returncode == 0, reader.stderr
    assert f"{run_id} premium complete ['weak_provenance']" in reader.stdout.splitlines()


@pytest.mark.parametrize("block", BLOCKS, ids=["workflow", "consumer"])
def test_the_code_fits_a_page(block: str) -> None:
    assert max(map(len, block.splitlines())) <= 120

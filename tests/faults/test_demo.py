"""The demo is a check too: it ends with an error when a service of the stack did not stay up meanwhile."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from causeline.stack.local import down, up
from causeline.stack.settings import StackSettings
from causeline.stack.waiting import wait_until
from tests.faults import evidence

pytestmark = pytest.mark.stack

RUNS = 60


def test_a_demo_in_which_a_service_falls_shows_all_of_it_and_fails(tmp_path: Path) -> None:
    """The worker is killed as soon as the demo publishes; its successor joins every run, and that is said as well."""
    stack = up(StackSettings(state_dir=tmp_path / "state"))
    told = tmp_path / "told"
    try:
        words = [sys.executable, "-m", "causeline.cli", "demo", "--runs", str(RUNS), "--json"]
        with told.open("wb") as errors:
            process = subprocess.Popen(
                words, env=os.environ | stack.environment(), stdout=subprocess.PIPE, stderr=errors, text=True
            )
        wait_until(lambda: b"publishing" in told.read_bytes(), timeout_s=180, what="the demo does not publish")
        pid = evidence.pid_of(stack.state_dir, "worker-1")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        said, _ = process.communicate(timeout=300)
        account = json.loads(said.splitlines()[-1])
        assert account["runs_visible"] == account["runs_published"] == RUNS, told.read_text("utf-8")
        assert account["restarts"] == 1
        assert process.returncode == 1
        assert "worker-1 was started again 1 times" in told.read_text("utf-8")
    finally:
        down(stack.state_dir)

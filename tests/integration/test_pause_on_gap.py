"""A live run that stops because its gap said so: the example as it stands, on the real stack, and what is on record."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from causeline.console.store import open_store
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until

pytestmark = pytest.mark.stack

EXAMPLE = Path(__file__).parents[2] / "examples" / "pause_on_gap.py"
TRANSCRIPT = r"""run (?P<run>[0-9a-f]{32}) reads the invoice
run goes on: it looks up the supplier, which takes a while
run is stopped before it pays: missing_citation of \$\.total: search
causeline show (?P=run)
"""


def test_a_live_run_is_stopped_by_a_consumer_of_its_gap(stack: Endpoints) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | stack.environment(),
    )
    assert done.returncode == 0, done.stderr
    said = re.fullmatch(TRANSCRIPT, done.stdout)
    assert said is not None, done.stdout
    with open_store(stack.clickhouse()) as store:

        def stored() -> Sequence[Mapping[str, object]]:
            sql = (
                "SELECT final_state, gap_kinds, verdict, arrayExists(s -> s.step_name = 'pay', steps) AS paid FROM runs"
            )
            return store.ask(f"{sql} WHERE run_id = {{run:String}}", {"run": said["run"]})

        wait_until(lambda: bool(stored()) or None, timeout_s=30, what="the run in the store")
        (run,) = stored()
    assert (run["final_state"], run["gap_kinds"], run["verdict"]) == ("stopped", ["missing_citation"], "complete")
    assert not run["paid"]

"""Every topic read again from offset 0 into new tables: whoever asks gets the same answers, byte for byte.

CAUSELINE_FAULTS_REPLAY_RUNS=<n> says how many runs of some five events.
"""

import os
import time
from collections.abc import Callable

import pytest

from causeline.runtime.clickhouse import clickhouse_client
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until
from tests.faults import evidence
from tests.faults.site import Site

pytestmark = pytest.mark.stack

RUNS = int(os.environ.get("CAUSELINE_FAULTS_REPLAY_RUNS", "10000"))
VIEWS = ("events", "runs", "steps", "gaps", "dead_letters", "policies")
PATIENCE_S = 120 + RUNS / 300


def test_a_replay_from_the_beginning_into_new_tables_gives_the_same_answers(
    site: Site, tell: Callable[[str], None]
) -> None:
    with site.running("worker"):
        with site.running("load", CAUSELINE_LOADER_LINGER_S="0.1"):
            began = time.monotonic()
            ledger = site.publish(RUNS)
            wait_until_read(site.endpoints, site.group())
            first_s = time.monotonic() - began
        again = site.anew()
        with site.running("load", **again):
            began = time.monotonic()
            wait_until_read(site.endpoints, again["CAUSELINE_LOADER_GROUP_ID"])
            again_s = time.monotonic() - began
    before = answers(site.endpoints)
    after = answers(site.endpoints.model_copy(update={"clickhouse_url": again["CAUSELINE_CLICKHOUSE_URL"]}))
    assert before["events"][0] == len(ledger.emitted)
    assert before["runs"][0] == RUNS
    assert after == before
    tell(
        f"{len(ledger.emitted)} events of {RUNS} runs; published and loaded in {first_s:.0f} s, read again into new"
        f" tables in {again_s:.0f} s; the same hashes of {', '.join(VIEWS)}"
    )


def wait_until_read(endpoints: Endpoints, loader_group: str) -> None:
    """Worker and loader at the end of what they read, and nothing more coming: the runs topic stands still."""
    last: list[object] = []

    def done() -> bool:
        now = evidence.end_offsets(endpoints)
        still = last == [now] and not evidence.behind(endpoints, loader_group)
        last[:] = [now]
        return still

    wait_until(done, timeout_s=PATIENCE_S, what="not all is read", interval_s=1.0)


def answers(endpoints: Endpoints) -> dict[str, tuple[int, int]]:
    """Rows of each view, and the sum of the hashes of whole rows."""
    found = {}
    with clickhouse_client(endpoints.clickhouse(), timeout_s=300) as client:
        for view in VIEWS:
            asked = f"SELECT count(), sum(cityHash64(toString(tuple(*)))) FROM {view}"
            rows, digest = client.query(asked).result_rows[0]
            found[view] = (int(rows), int(digest))
    return found


def test_the_hash_is_of_every_row_and_column(site: Site) -> None:
    """One event more, or another word in one column, is another hash."""
    with site.running("worker"), site.running("load"):
        site.publish(2)
        wait_until_read(site.endpoints, site.group())
    before = answers(site.endpoints)
    renamed = "UPDATE step_name = 'x' WHERE step_name = 's0' SETTINGS mutations_sync = 2"
    site.command(f"ALTER TABLE narrow_event_rows {renamed}")
    changed = answers(site.endpoints)
    assert changed["events"][0] == before["events"][0]
    assert changed["events"] != before["events"]

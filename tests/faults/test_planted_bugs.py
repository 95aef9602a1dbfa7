"""The oracle is proven by planted bugs: each turns it red by its letter, and the real code, dying there, stays green.

Broker and engine are real and shared; each scenario has topics, a database and processes of its own. A scenario counts
only when the process died at the point that was meant, or the bug did its harm: the mark says so.
"""

import random
from pathlib import Path

import pytest

from causeline.producers.emitter.segments import SUFFIX
from causeline.producers.tracer import Tracer
from causeline.runtime.clickhouse import clickhouse_client
from tests.faults.oracle import Ledger
from tests.faults.site import ONE_MESSAGE_AN_INSERT, PROJECT, STORED, Site, emit_runs, letters, spooling

pytestmark = pytest.mark.stack

NOBODY = 1
"""The port where no broker listens."""


@pytest.mark.parametrize("point", ["crash_before_insert", "crash_after_insert"])
def test_a_loader_that_dies_around_its_insert_loses_and_doubles_nothing(site: Site, point: str) -> None:
    with site.running("worker"), site.running("load", point):
        found = site.violations(site.publish(), died_at=point)
    assert found == [], site.explain(found)


def test_an_offset_committed_before_its_insert_is_seen_as_a_loss(site: Site) -> None:
    with site.running("worker"), site.running("load", "commit_before_insert"):
        found = site.violations(site.publish(), died_at="commit_before_insert")
    assert letters(found) & {"C", "E"}, f"seed {site.seed}"
    assert letters(found) <= {"C", "E"}, site.explain(found)


@pytest.mark.parametrize(
    ("point", "expected"), [("crash_after_insert", set()), ("token_made_anew_after_insert", {"D"})]
)
def test_the_insert_token_alone_keeps_a_repeated_insert_from_being_stored(
    site: Site, point: str, expected: set[str]
) -> None:
    site.hold_merges()
    ledger = site.publish(batch_events=20)
    with site.running("worker"), site.running("load", point, **ONE_MESSAGE_AN_INSERT):
        found = site.violations(ledger, died_at=point)
    assert found == [], site.explain(found)  # the views show each thing once, token or not
    assert letters(site.stored()) == expected, f"seed {site.seed}: {site.stored()}"


@pytest.mark.parametrize(("final", "expected"), [(True, set()), (False, {"D"})])
def test_the_views_final_alone_hides_what_tokens_cannot_tell(site: Site, final: bool, expected: set[str]) -> None:
    """After its death the loader cuts the same messages into other inserts, of other tokens."""
    site.hold_merges()
    if not final:
        take_final_from_the_views(site)
    ledger = site.publish(batch_events=20)
    with site.running("worker"), site.running("load", "recut_after_insert"):
        found = site.violations(ledger, died_at="recut_after_insert")
    assert letters(site.stored()) == {"D"}, f"seed {site.seed}: nothing was stored twice, so FINAL hid nothing"
    assert letters(found) == expected, site.explain(found)


def take_final_from_the_views(site: Site) -> None:
    """As if somebody had forgotten it."""
    made = "SELECT create_table_query FROM system.tables WHERE database = currentDatabase()"
    with clickhouse_client(site.endpoints.clickhouse()) as client:
        for view, table in zip(("events", "runs"), STORED, strict=True):
            text = str(client.query(f"{made} AND name = '{view}'").result_rows[0][0])
            assert f"{table} FINAL" in text
            client.command(text.replace("CREATE VIEW", "CREATE OR REPLACE VIEW").replace(" FINAL", ""))


def test_a_worker_that_dies_before_it_publishes_loses_nothing(site: Site) -> None:
    with site.running("worker", "crash_before_publish"), site.running("load"):
        found = site.violations(site.publish(), died_at="crash_before_publish")
    assert found == [], site.explain(found)


def test_an_acknowledgement_before_the_publication_is_seen_as_missing_runs(site: Site) -> None:
    with site.running("worker", "ack_before_publish"), site.running("load"):
        found = site.violations(site.publish(), died_at="ack_before_publish")
    assert letters(found) == {"E"}, site.explain(found)


LONG_LINGER = {"CAUSELINE_WORKER_LINGER_MS": "100"}
"""So a publication is on its way, the policy's record at least, when the first messages are joined."""


@pytest.mark.parametrize(
    ("bug", "expected"),
    [("error_once", set()), ("error_once_lets_go", {"E"}), ("panic_once", set()), ("panic_once_and_go_on", {"E"})],
)
def test_a_fault_while_joining_acknowledges_nothing_and_one_that_does_is_seen_as_missing_runs(
    site: Site, bug: str, expected: set[str]
) -> None:
    ledger = site.publish(batch_events=20)
    with site.running("worker", bug, **LONG_LINGER) as worker, site.running("load"):
        found = site.violations(ledger, died_at=bug)
        assert letters(found) == expected, site.explain(found)
    assert ("the worker ends: " in worker.log) == (bug != "panic_once_and_go_on"), worker.log


@pytest.mark.parametrize(("bug", "expected"), [("none", set()), ("lose_revision", {"E"})])
def test_a_revision_that_is_lost_is_seen(site: Site, bug: str, expected: set[str]) -> None:
    with site.running("worker"), site.running("load"), site.running("amend --follow", bug):
        ledger = site.publish(late_reviews=True)
        found = site.violations(ledger, died_at="lose_revision" if expected else "")
    assert letters(found) == expected, site.explain(found)


@pytest.mark.parametrize(("truncated", "expected"), [(False, set()), (True, {"C", "E"})])
def test_a_spool_that_is_truncated_is_seen_as_a_loss(site: Site, truncated: bool, expected: set[str]) -> None:
    """A process meets no broker, acknowledges what is on its disk, and ends; the next one finds the disk as it is."""
    spool = site.folder / "spool"
    ledger = spool_runs(site, spool)
    assert ledger.acknowledged == ledger.emitted.keys()
    (segment,) = spool.glob(f"*{SUFFIX}")
    if truncated:
        with segment.open("r+b") as file:
            file.truncate(segment.stat().st_size * 2 // 3)
    after = site.emitter(None, **spooling(spool))
    assert after.drain(30) == 0
    assert not after.close(10)
    with site.running("worker"), site.running("load"):
        found = site.violations(ledger)
    assert letters(found) & {"C"} == expected & {"C"}, site.explain(found)
    assert letters(found) <= expected, site.explain(found)


def spool_runs(site: Site, spool: Path) -> Ledger:
    """Runs emitted while no broker answers; every event is acknowledged by the spool."""
    emitter = site.emitter(NOBODY, **spooling(spool, batch_events=20))
    with Tracer(PROJECT, emitter=emitter, enabled=True) as tracer:
        emit_runs(tracer, 60, random.Random(site.seed))
    return emitter.ledger()

"""A producer killed while it publishes: what was acknowledged is there, and the next process brings the rest."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from causeline.stack.waiting import wait_until
from tests.faults.emitting import read_ledger
from tests.faults.proxy import Proxy
from tests.faults.site import Site, spooling

pytestmark = pytest.mark.stack

KILLS = 3
ENOUGH = 2_000
"""Lines in the ledger before the producer may be killed: by then all of its parts are at work."""
AT_MOST = 20_000
"""Lines at which it is killed in any case."""


@pytest.mark.parametrize("broker", ["up", "away"])
def test_a_producer_that_is_killed_mid_flush_has_lost_nothing_acknowledged(
    site: Site, bad_broker: Proxy, broker: str, tell: Callable[[str], None]
) -> None:
    """With the broker up, batches are on their way when it dies; with the broker away, they are on the disk."""
    dice = random.Random(site.seed)
    spool, ledger_file = site.folder / "spool", site.folder / "ledger"
    if broker == "away":
        bad_broker.go_away()
    for _ in range(KILLS):
        kill_a_producer(site, ledger_file, spool, bad_broker.port, dice)
    ledger = read_ledger(ledger_file)
    assert ledger.acknowledged, "nothing was acknowledged, so nothing was proven"
    assert ledger.acknowledged < ledger.emitted.keys(), "everything was acknowledged, so nothing was on its way"
    bad_broker.heal()
    successor = site.emitter(None, **spooling(spool))
    left_behind = spooled_events(site)
    assert successor.drain(60) == 0
    assert not successor.close(10)
    quick = {"CAUSELINE_WORKER_IDLE_TIMEOUT_S": "10"}  # for the runs that were cut off
    soon = {"CAUSELINE_AMENDER_UNJOINED_WAIT_S": "15"}  # for those whose start is not among what was left
    with site.running("worker", **quick), site.running("load"), site.running("amend --follow", **soon):
        found = site.violations(ledger)
    assert found == [], site.explain(found)
    assert broker == "up" or left_behind, "nothing was on the disk"
    tell(f"SIGKILL {KILLS} x; {site.figures(ledger)}; on disk at the end: {left_behind or 'nothing'}")


def kill_a_producer(site: Site, ledger: Path, spool: Path, port: int, dice: random.Random) -> None:
    """Have a producer emit, and kill it at a moment that the seed chooses."""
    environment = {
        **site.environment,
        "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
        **{f"CAUSELINE_EMITTER_{name.upper()}": str(value) for name, value in spooling(spool).items()},
    }
    before, acknowledged_before = lines(ledger), acknowledged(ledger)
    words = [sys.executable, "-m", "tests.faults.emitting", str(ledger), str(dice.randrange(1000))]
    process = subprocess.Popen(words, env=environment)
    try:
        wait_until(
            lambda: acknowledged(ledger) > acknowledged_before and lines(ledger) > before + ENOUGH,
            timeout_s=180,
            what="nothing is acknowledged",
        )
        more = before + ENOUGH + dice.randrange(AT_MOST)
        wait_until(lambda: lines(ledger) > more, timeout_s=180, what="the producer stands still", interval_s=0.01)
    finally:
        process.kill()
        process.wait(30)


def lines(ledger: Path) -> int:
    """How many lines it has; none when it is not there yet."""
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0


def acknowledged(ledger: Path) -> int:
    """How many events are acknowledged so far."""
    return ledger.read_bytes().count(b"\na ") if ledger.exists() else 0


def spooled_events(site: Site) -> str:
    """What the folder of the spool holds, in bytes; empty when nothing."""
    size = sum(each.stat().st_size for each in (site.folder / "spool").glob("*.spool"))
    return f"{size} bytes" if size else ""

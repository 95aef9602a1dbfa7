"""Workers that come and go all the time: the same runs, hardly anything read or published twice, and commits go on.

Judged at the broker: what is committed against the end of the topic. What is read again is counted where messages are
taken in, what is published twice on the runs topic.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from causeline.producers.tracer import Tracer
from causeline.schemas.topics import EVENTS
from causeline.stack.waiting import wait_until
from tests.faults import evidence
from tests.faults.recorder import RecordingEmitter
from tests.faults.site import PROJECT, Keeper, Site

pytestmark = pytest.mark.stack

AT_ONCE = 24
"""Runs open at any time, interleaved on the topic."""
ROUNDS, EVERY_S, JOIN_S = 6, 5.0, 90.0
FROZEN_S = 20.0
MOST_READ, MOST_TWICE = 1.3, 0.02
DEFAULT_SESSION_S = 10


@contextmanager
def load(site: Site) -> Iterator[RecordingEmitter]:
    """Runs from several threads, each some tenths of a second long, until the block ends; then all is delivered."""
    enough = threading.Event()
    emitter = site.emitter(None, batch_events=50)

    def work(tracer: Tracer, dice: random.Random) -> None:
        while not enough.is_set():
            with tracer.run("w") as run:
                for number in range(dice.randint(2, 6)):
                    enough.wait(dice.uniform(0.01, 0.15))
                    with run.step("tool", f"s{number}"):
                        pass

    with Tracer(PROJECT, emitter=emitter, enabled=True) as tracer:
        threads = [
            threading.Thread(target=work, args=(tracer, random.Random(site.seed + number))) for number in range(AT_ONCE)
        ]
        for thread in threads:
            thread.start()
        try:
            yield emitter
        finally:
            enough.set()
            for thread in threads:
                thread.join(30)
            assert not tracer.flush(60), tracer.stats()


def churn(site: Site, stack: ExitStack, reads: Path, bug: str) -> list[str]:
    """One worker stays, one is killed, one comes and goes, every five seconds; gives what was done.

    Who is to die or to leave has joined before: on a slow machine that takes longer than the five seconds.
    """
    counted = {"CAUSELINE_TEST_READS": str(reads)}
    stack.enter_context(site.running("worker", bug, **counted))
    killed = stack.enter_context(site.running("worker", bug, **counted))
    wait_until(lambda: shares(site) == [1, 1], timeout_s=JOIN_S, what="the partitions are not shared")
    dice, guest, done, idle = random.Random(site.seed), ExitStack(), list[str](), threading.Event()
    stack.enter_context(guest)
    for _ in range(ROUNDS):
        idle.wait(EVERY_S)
        members = 3 if done.count("come or go") % 2 else 2
        wait_for_members(site, members)
        what = dice.choice(["kill", "come or go"])
        done.append(what)
        if what == "kill":
            killed.kill()
        elif done.count("come or go") % 2:
            guest.enter_context(site.running("worker", bug, **counted))
        else:
            guest.close()
    guest.close()
    return done


def wait_for_members(site: Site, count: int) -> None:
    """Until the workers' group is stable and has so many members."""
    wait_until(lambda: len(shares(site)) == count, timeout_s=JOIN_S, what=f"there are never {count} workers")


def frozen_partitions(site: Site) -> list[str]:
    """Those whose commits are not at the end though nothing comes any more and there was time."""
    deadline = time.monotonic() + FROZEN_S
    last: list[str] = []

    def caught_up() -> bool:
        last[:] = [each for each in evidence.behind(site.endpoints) if ".worker on" in each]
        return not last or time.monotonic() >= deadline

    wait_until(caught_up, timeout_s=FROZEN_S + 30, what="the broker does not tell offsets", interval_s=0.5)
    return last


def published_twice(site: Site) -> tuple[int, int]:
    """How many runs were published more than once in the same revision, and how many there are."""
    times = Counter(evidence.published_runs(site.endpoints))
    return sum(count > 1 for count in times.values()), len(times)


def read_factor(site: Site, reads: Path) -> float:
    """Messages taken in by all workers, over messages on the topic."""
    name = EVENTS.full_name(site.endpoints.topic_prefix)
    there = sum(end for (topic, _), end in evidence.end_offsets(site.endpoints).items() if topic == name)
    return sum(int(line) for line in reads.read_text("utf-8").split()) / there


def test_workers_that_come_and_go_every_five_seconds_change_nothing(site: Site, tell: Callable[[str], None]) -> None:
    reads = site.folder / "reads"
    with ExitStack() as stack:
        stack.enter_context(site.running("load"))
        stack.enter_context(site.running("amend --follow"))
        with load(site) as emitter:
            done = churn(site, stack, reads, "count_reads")
        found = site.violations(emitter.ledger())
    factor, (twice, runs) = read_factor(site, reads), published_twice(site)
    tell(f"{done.count('kill')} kills, {done.count('come or go')} comings and goings; {site.figures(emitter.ledger())}")
    tell(f"read {factor:.2f} times; {twice} of {runs} runs published twice, {twice / runs:.2%}")
    assert found == [], site.explain(found)
    assert frozen_partitions(site) == []
    assert factor < MOST_READ
    assert twice < MOST_TWICE * runs


def test_without_the_done_map_commits_freeze_or_runs_are_published_again(
    site: Site, tell: Callable[[str], None]
) -> None:
    """So the figures of the test before can be otherwise."""
    reads = site.folder / "reads"
    with ExitStack() as stack:
        with load(site):
            churn(site, stack, reads, "no_done_map")
        wait_until(lambda: published_twice(site)[1] > 0, timeout_s=180, what="nothing is published")
        factor, (twice, runs) = read_factor(site, reads), published_twice(site)
        frozen = evidence.behind(site.endpoints)
    tell(
        f"read {factor:.2f} times; {twice} of {runs} runs published twice; behind at the end: {len(frozen)} partitions"
    )
    assert twice >= MOST_TWICE * runs


@pytest.mark.parametrize("named", [False, True], ids=["anonymous", "named"])
def test_the_partitions_of_a_killed_worker_move_on(site: Site, named: bool, tell: Callable[[str], None]) -> None:
    """Two workers share two partitions; one is killed, and started again at once as a supervisor would."""
    session = {"CAUSELINE_WORKER_SESSION_TIMEOUT_S": str(DEFAULT_SESSION_S)}
    with ExitStack() as stack:
        stack.enter_context(site.running("load"))
        stack.enter_context(site.running("amend --follow"))
        workers: list[Keeper] = []
        for name in ("one", "two"):
            instance = {"CAUSELINE_WORKER_INSTANCE": name} if named else {}
            workers.append(stack.enter_context(site.running("worker", **session, **instance)))
        with load(site) as emitter:
            wait_until(lambda: min(committed(site)) > 0, timeout_s=180, what="nothing is committed")
            wait_until(lambda: shares(site) == [1, 1], timeout_s=180, what="the partitions are not shared")
            workers[0].kill()
            killed = time.monotonic()
            ends = evidence.end_offsets(site.endpoints)
            name = EVENTS.full_name(site.endpoints.topic_prefix)
            past = [ends[name, number] for number in range(len(committed(site)))]
            wait_until(
                lambda: all(now > then for now, then in zip(committed(site), past, strict=True)),
                timeout_s=180,
                what="a partition stands still",
            )
            moved_s = time.monotonic() - killed
        found = site.violations(emitter.ledger())
    twice, runs = published_twice(site)
    tell(f"all partitions move {moved_s:.1f} s after the kill; {twice} of {runs} runs published twice")
    assert found == [], site.explain(found)
    assert moved_s < DEFAULT_SESSION_S + 15


def shares(site: Site) -> list[int]:
    """How many partitions each member of the worker group has."""
    return evidence.shares(site.endpoints, f"{site.endpoints.topic_prefix}.worker")


def committed(site: Site) -> list[int]:
    """The worker group's offset of each partition of the events topic, as the broker has it."""
    name = EVENTS.full_name(site.endpoints.topic_prefix)
    return evidence.committed(site.endpoints, f"{site.endpoints.topic_prefix}.worker", name)

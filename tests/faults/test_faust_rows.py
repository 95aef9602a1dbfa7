"""What Faust does under faults, each with our counter-measure and without it, side by side, judged at the broker.

A worker that lacks one counter-measure has to show the harm, or the test of the one that has it proves nothing.
"""

import functools
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from causeline.producers.runs import Run
from causeline.producers.tracer import Tracer
from causeline.schemas.errors import EnvironmentFault
from causeline.schemas.topics import EVENTS, LATE
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until
from tests.faults import evidence
from tests.faults.proxy import Proxy
from tests.faults.site import PROJECT, Keeper, Site, emit_runs
from tests.faults.test_churn import committed, frozen_partitions, published_twice, shares

pytestmark = pytest.mark.stack

T = TypeVar("T")

SOON_S = 12.0
"""Time enough for what a sound worker does at once; a harm that is still there after it will stay."""
BEGIN_S = 90.0


def side_by_side(
    infra: Endpoints, folder: Path, seed: int, bugs: Sequence[str], scenario: Callable[[Site, str], T], **of_site: int
) -> dict[str, T]:
    """The scenario with each bug, at the same time, each with topics of its own."""
    sites = {}
    for bug in bugs:
        (folder / bug).mkdir()
        sites[bug] = Site(infra, folder / bug, seed, has_tables=False, **of_site)
    with ThreadPoolExecutor(len(bugs)) as pool:
        running = {bug: pool.submit(scenario, site, bug) for bug, site in sites.items()}
        return {bug: each.result() for bug, each in running.items()}


def tracing(site: Site) -> Tracer:
    """What publishes by itself; a run's events are on the topic once it is flushed."""
    return Tracer(PROJECT, emitter=site.emitter(), enabled=True)


def publish(site: Site, tracer: Tracer, runs: int) -> None:
    """Runs from beginning to end."""
    emit_runs(tracer, runs, random.Random(site.seed))
    assert not tracer.flush(60), tracer.stats()


def open_runs(tracer: Tracer, count: int) -> list[Run]:
    """Runs that have begun, on the topic."""
    runs = [tracer.run("w").__enter__() for _ in range(count)]
    assert not tracer.flush(60), tracer.stats()
    return runs


def close_runs(tracer: Tracer, runs: Sequence[Run]) -> None:
    """End what was opened."""
    for run in runs:
        run.__exit__(None, None, None)
    assert not tracer.flush(60), tracer.stats()


def ends(site: Site) -> list[int]:
    """The end of each partition of the events topic."""
    name = EVENTS.full_name(site.endpoints.topic_prefix)
    return [end for (topic, _), end in sorted(evidence.end_offsets(site.endpoints).items()) if topic == name]


def happens(condition: Callable[[], bool], within_s: float) -> bool:
    """Whether it comes true in time."""
    try:
        return wait_until(condition, timeout_s=within_s, what="it does not happen", interval_s=0.25)
    except EnvironmentFault:
        return False


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Until it is so; a failure of the scenario otherwise."""
    wait_until(condition, timeout_s=BEGIN_S, what=what, interval_s=0.25)


# --- what is acknowledged


@dataclass(frozen=True)
class Held:
    """How far the partition of an open run was committed beyond its first message, and what the worker listens to."""

    beyond: int
    ports: frozenset[int]


def an_open_run_amid_others(site: Site, bug: str) -> Held:
    """Runs come and go beside one that stays open, until the broker has been told of them."""
    with site.running("worker", bug) as worker, tracing(site) as tracer:
        publish(site, tracer, 20)
        wait_for(lambda: committed(site) == ends(site), "nothing is committed")
        before = ends(site)
        run = open_runs(tracer, 1)
        [its] = [number for number, end in enumerate(ends(site)) if end != before[number]]
        for _ in range(2):  # the second time round, what was due at the first is told
            publish(site, tracer, 20)
            wait_for(lambda: committed(site)[1 - its] == ends(site)[1 - its], "the other partition stands still")
        beyond = committed(site)[its] - before[its]
        ports = listens_to(worker)
        close_runs(tracer, run)
        assert bug != "none" or frozen_partitions(site) == []
        return Held(beyond, ports)


def listens_to(worker: Keeper) -> frozenset[int]:
    """The ports that the worker's process has opened."""
    found = psutil.Process(worker.pid).net_connections(kind="inet")
    return frozenset(each.laddr.port for each in found if each.status == psutil.CONN_LISTEN)


def test_the_oldest_open_run_holds_the_commit_where_it_is(
    infra: Endpoints, tmp_path: Path, seed: int, tell: Callable[[str], None]
) -> None:
    bugs = ["none", "ack_out_of_order", "ack_by_the_loop", "read_by_take"]
    seen = side_by_side(infra, tmp_path, seed, bugs, an_open_run_amid_others)
    tell(f"committed beyond the first message of an open run: { {bug: held.beyond for bug, held in seen.items()} }")
    assert seen["none"].beyond == 0
    assert all(held.beyond > 0 for bug, held in seen.items() if bug != "none"), seen


def test_no_port_of_fausts_is_opened(infra: Endpoints, tmp_path: Path, seed: int) -> None:
    def ports(site: Site, bug: str) -> frozenset[int]:
        with site.running("worker", bug) as worker:
            wait_for(lambda: shares(site) == [2], "the worker is not ready")
            return listens_to(worker)

    seen = side_by_side(infra, tmp_path, seed, ["none", "web"], ports)
    assert len(seen["web"] - seen["none"]) == 1, seen
    assert 6066 in seen["web"], seen
    assert 6066 not in seen["none"], seen


# --- what comes and goes


@dataclass(frozen=True)
class Joined:
    """A second worker came while runs were open, and went."""

    is_shared: bool
    stopped_s: float | None
    """How long a worker took to stop while runs were open; None: it had to be killed."""
    frozen: list[str]
    """Partitions whose commits stand still after it has gone."""


def a_worker_comes_and_goes_while_runs_are_open(site: Site, bug: str) -> Joined:
    """Runs that were open when it came end before it goes; others are open then."""
    with site.running("worker", bug) as stays, tracing(site) as tracer:
        publish(site, tracer, 20)
        wait_for(lambda: committed(site) == ends(site), "nothing is committed")
        runs = open_runs(tracer, 20)
        with site.running("worker", bug) as guest:
            wait_for(lambda: "joining" in guest.log, "the second worker does not begin")
            if not happens(lambda: shares(site) == [1, 1], 2 * SOON_S):
                guest.stop(1)
                return Joined(False, stays.stop(SOON_S), [])
            close_runs(tracer, runs)
            publish(site, tracer, 20)
            wait_for(lambda: committed(site) == ends(site), "what ended is not committed")
            runs = open_runs(tracer, 20)
            publish(site, tracer, 20)
            wait_for(lambda: published_twice(site)[1] == 80, "what came after the open runs is not published")
            stopped_s = guest.stop(SOON_S)
        close_runs(tracer, runs)
        publish(site, tracer, 20)
        return Joined(True, stopped_s, frozen_partitions(site))


def test_open_runs_hold_up_neither_a_rebalance_nor_a_stop_and_nothing_outlives_it(
    infra: Endpoints, tmp_path: Path, seed: int, tell: Callable[[str], None]
) -> None:
    bugs = ["none", "wait_empty", "keep_state"]
    seen = side_by_side(infra, tmp_path, seed, bugs, a_worker_comes_and_goes_while_runs_are_open)
    for bug, joined in seen.items():
        tell(f"{bug}: {joined}")
    assert seen["none"].is_shared
    assert seen["none"].stopped_s is not None
    assert seen["none"].frozen == []
    assert not seen["wait_empty"].is_shared
    assert seen["wait_empty"].stopped_s is None
    assert seen["keep_state"].frozen != []


def runs_that_hold_all_commits(site: Site, bug: str) -> list[int]:
    """How many events each run was published with, though a worker came and went while nothing could be committed."""
    with site.running("worker", bug), tracing(site) as tracer:
        runs = open_runs(tracer, 8)
        wait_for(lambda: are_there(site, 1), "the worker is not ready")
        with site.running("worker", bug):
            wait_for(lambda: are_there(site, 2), "the second worker is not ready")
        wait_for(lambda: are_there(site, 1), "the second worker has not gone")
        close_runs(tracer, runs)
        happens(lambda: published_twice(site)[1] == len(runs), 2 * SOON_S)
        return sorted(events for _, events in evidence.published_runs(site.endpoints))


def test_where_nothing_is_committed_each_rebalance_begins_at_the_start(
    infra: Endpoints, tmp_path: Path, seed: int, tell: Callable[[str], None]
) -> None:
    """Else it reads on past what a question of before the rebalance was given after it: runs lack their beginning."""
    seen = side_by_side(infra, tmp_path, seed, ["swallow", "swallow_and_stay"], runs_that_hold_all_commits)
    tell(f"events of runs of two: {seen}")
    assert seen["swallow"] == [2] * 8
    assert seen["swallow_and_stay"] != [2] * 8


def are_there(site: Site, count: int) -> bool:
    """Whether the group is stable with so many workers."""
    return len(shares(site)) == count


def the_shares_of_three(site: Site, bug: str) -> list[int]:
    """What three workers get of four partitions, when they come one after the other."""
    with ExitStack() as stack:
        for there in range(1, 4):
            stack.enter_context(site.running("worker", bug))
            wait_for(functools.partial(are_there, site, there), f"there are never {there} workers")
        return shares(site)


def test_four_partitions_on_three_workers_leave_none_idle(infra: Endpoints, tmp_path: Path, seed: int) -> None:
    seen = side_by_side(infra, tmp_path, seed, ["none", "standby_replicas"], the_shares_of_three, partitions=4)
    assert seen == {"none": [1, 1, 2], "standby_replicas": [0, 2, 2]}


# --- what fails


def an_error_while_joining(site: Site, bug: str) -> list[str]:
    """The partitions whose commits stand still after it."""
    with site.running("worker", bug), tracing(site) as tracer:
        publish(site, tracer, 20)
        wait_for(site.mark.exists, "nothing is raised")
        publish(site, tracer, 20)
        return frozen_partitions(site)


def test_an_error_while_joining_ends_the_worker_and_not_its_partition(
    infra: Endpoints, tmp_path: Path, seed: int
) -> None:
    seen = side_by_side(infra, tmp_path, seed, ["raise_once", "raise_once_and_go_on"], an_error_while_joining)
    assert seen["raise_once"] == []
    assert seen["raise_once_and_go_on"] != []


def what_is_acknowledged_is_committed(site: Site, bug: str) -> bool:
    """Whether the broker knows in time."""
    with site.running("worker", bug), tracing(site) as tracer:
        wait_for(lambda: shares(site) == [2], "the worker is not ready")
        publish(site, tracer, 20)
        wait_for(lambda: published_twice(site)[1] == 20, "the runs are not published")
        return happens(lambda: committed(site) == ends(site), SOON_S)


def test_what_is_acknowledged_is_soon_committed(infra: Endpoints, tmp_path: Path, seed: int) -> None:
    """What is not is thrown away at a rebalance."""
    seen = side_by_side(infra, tmp_path, seed, ["none", "commit_seldom"], what_is_acknowledged_is_committed)
    assert seen == {"none": True, "commit_seldom": False}


# --- what straddles


def a_run_whose_tail_is_held_by_another(site: Site, bug: str) -> int:
    """How many messages are said to be late, though none is.

    Its first message is acknowledged, its last is not: another run begins in it, open when the worker dies.
    """
    reads = {"CAUSELINE_TEST_READS": str(site.folder / "reads")}
    with site.running("worker", bug, **reads) as worker, tracing(site) as tracer:
        [straddling] = open_runs(tracer, 1)
        wait_for(lambda: shares(site) == [1], "the worker is not ready")
        straddling.__exit__(None, None, None)
        [other] = open_runs(tracer, 1)
        wait_for(lambda: published_twice(site)[1] == 1, "the run is not published")
        wait_for(lambda: committed(site) == [1], "its first message is not acknowledged")
        assert ends(site) == [2], "its end and the other's beginning are to be one message"
        worker.kill()
        close_runs(tracer, [other])
        wait_for(lambda: published_twice(site)[1] == 2, "the other run is not published")
        assert frozen_partitions(site) == []
        assert published_twice(site) == (0, 2)
        name = LATE.full_name(site.endpoints.topic_prefix)
        return sum(end for (topic, _), end in evidence.end_offsets(site.endpoints).items() if topic == name)


def test_a_run_whose_tail_is_read_again_is_known(infra: Endpoints, tmp_path: Path, seed: int) -> None:
    """What the same worker publishes twice without it while others come and go is told by the tests of churn."""
    bugs = ["count_reads", "no_done_map"]
    seen = side_by_side(infra, tmp_path, seed, bugs, a_run_whose_tail_is_held_by_another, partitions=1)
    assert seen == {"count_reads": 0, "no_done_map": 1}


# --- what is said


def test_a_worker_whose_broker_is_away_says_so_a_few_times(
    infra: Endpoints, tmp_path: Path, seed: int, bad_broker: Proxy, tell: Callable[[str], None]
) -> None:
    bugs = ["none", "let_clients_talk"]
    both = threading.Barrier(len(bugs), timeout=BEGIN_S)

    def lines(site: Site, bug: str) -> int:
        port = {"CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{bad_broker.port}"}
        with site.running("worker", bug, **port) as worker:
            wait_for(lambda: shares(site) == [2], "the worker is not ready")
            before = len(worker.log.splitlines())
            both.wait()
            bad_broker.go_away()
            happens(lambda: False, SOON_S)
            both.wait()
            bad_broker.heal()
            return len(worker.log.splitlines()) - before

    seen = side_by_side(infra, tmp_path, seed, bugs, lines)
    tell(f"lines of a worker in {SOON_S:g} s without a broker: {seen}")
    assert seen["none"] < 100
    assert seen["let_clients_talk"] > 4 * seen["none"]

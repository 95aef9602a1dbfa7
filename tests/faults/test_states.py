"""States that users meet: a topic made again, partitions raised, many emitters, a steady pace, a bound reached.

CAUSELINE_FAULTS_MAY_BE_OPEN=<n> says how many events may be open where three times as many come; 1000000 is the default
of a worker.
"""

import os
import random
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewPartitions

from benchmarks import steady
from causeline.producers.tracer import Tracer
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.topics import EVENTS
from causeline.stack.waiting import wait_until
from causeline.streams.worker.done_map import DoneMap
from causeline.streams.worker.joiner import Incoming, Joiner
from causeline.streams.worker.publications import Publication
from causeline.streams.worker.settings import Limits
from tests.faults.oracle import Ledger
from tests.faults.site import PARTITIONS, PROJECT, QUIET_S, Site, emit_runs
from tests.unit.streams.build import CORE, SCHEMAS, batch, event

pytestmark = pytest.mark.stack

MAY_BE_OPEN = int(os.environ.get("CAUSELINE_FAULTS_MAY_BE_OPEN", "100000"))
"""A tenth of the default bound: what is held grows with it, the rule does not."""


def together(*ledgers: Ledger) -> Ledger:
    """What several producers did, as one account."""
    emitted = {event_id: run_id for each in ledgers for event_id, run_id in each.emitted.items()}
    return Ledger(
        emitted,
        frozenset().union(*(each.acknowledged for each in ledgers)),
        frozenset().union(*(each.runs for each in ledgers)),
    )


def admin_of(site: Site) -> AdminClient:
    connection = KafkaConnection(bootstrap_servers=site.endpoints.kafka_bootstrap_servers)
    return AdminClient({**connection.client_config(), "log_level": 0})


def test_a_topic_that_is_deleted_and_made_again_hides_none_of_its_messages(site: Site) -> None:
    """Those who read it were beyond the offsets at which its new messages stand, and are running."""
    name = EVENTS.full_name(site.endpoints.topic_prefix)
    with site.running("worker") as worker, site.running("load") as loader:
        before = site.publish(200, batch_events=10)
        assert site.violations(before) == []
        admin = admin_of(site)
        [gone] = admin.delete_topics([name]).values()
        gone.result(30)
        wait_until(lambda: name not in admin.list_topics(timeout=10).topics, timeout_s=180, what="it is not gone")
        [made] = admin.create_topics([NewTopic(name, PARTITIONS, 1, config=EVENTS.config())]).values()
        made.result(30)
        after = site.publish(400, batch_events=10)
        found = site.violations(together(before, after))
        assert found == [], site.explain(found)
    assert "deleted and made again" in worker.log
    assert "deleted and made again" in loader.log


def test_partitions_raised_while_all_runs_lose_nothing(site: Site) -> None:
    name = EVENTS.full_name(site.endpoints.topic_prefix)
    with site.running("worker"), site.running("load"), site.running("amend --follow"):
        before = site.publish(60)
        admin = admin_of(site)  # whose answers end with it
        [raised] = admin.create_partitions([NewPartitions(name, PARTITIONS + 3)]).values()
        raised.result(30)
        site.causeline("topics", "apply")
        after = site.publish(200)
        found = site.violations(together(before, after))
    assert found == [], site.explain(found)


def test_a_run_that_ends_long_after_it_was_closed_becomes_whole_by_the_amender(site: Site) -> None:
    """It looks too early first, and then not for longer than the oracle watches views that stand still."""
    worker, amender = {"CAUSELINE_WORKER_IDLE_TIMEOUT_S": "1"}, {"CAUSELINE_AMENDER_RETRY_MIN_S": str(2 * QUIET_S)}
    emitter = site.emitter()
    with (
        site.running("worker", **worker),
        site.running("load", CAUSELINE_LOADER_LINGER_S="3"),
        site.running("amend --follow", **amender),
        Tracer(PROJECT, emitter=emitter, enabled=True) as tracer,
    ):
        with tracer.run("w") as run:
            assert not tracer.flush(60)
            wait_until(lambda: site.visible() == 1, timeout_s=180, what="the run is not closed")
            with run.step("tool", "late"):
                pass
        assert not tracer.flush(60)
        found = site.violations(emitter.ledger())
    assert found == [], site.explain(found)


def test_twenty_emitters_at_once_lose_and_double_nothing(site: Site) -> None:
    emitters = [site.emitter() for _ in range(20)]

    def emit(number: int) -> None:
        with Tracer(PROJECT, emitter=emitters[number], enabled=True) as tracer:
            emit_runs(tracer, 30, random.Random(site.seed + number))
            assert not tracer.flush(60)

    with site.running("worker"), site.running("load"):
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(emit, range(20)))
        found = site.violations(together(*(each.ledger() for each in emitters)))
    assert found == [], site.explain(found)


def test_a_stack_at_a_steady_pace_idle_and_over_a_stop_shows_what_a_plain_joiner_gives(seed: int) -> None:
    """`python -m benchmarks.steady`, small."""
    found = steady.course(4, [10.0, 100.0], 60, 8.0, seed)
    assert found == {"runs": 121, "absent": 0, "twice": 0, "differing": 0, "restarts": 0, "idle_restarts": 0}


class _Token:
    def ack(self) -> None:
        pass


def test_three_times_the_open_events_that_may_be_close_the_oldest_runs_and_are_counted(
    tell: Callable[[str], None],
) -> None:
    """No run ends: at the bound the oldest are closed as they are, which is counted and said."""
    limits = Limits(max_open_events=MAY_BE_OPEN)
    published: list[Publication] = []
    joiner = Joiner(limits=limits, core=CORE, schemas=SCHEMAS, publish=published.append, clock=lambda: 0, prefix="test")
    joiner.open_partition(0, 0, DoneMap())
    began = time.monotonic()
    most = 0
    for offset in range(3 * MAY_BE_OPEN // 1_000):
        records = [event("run_started", run=offset + 1)]
        records += [event("step_finished", run=offset + 1, seq=n) for n in range(1, 1_000)]
        joiner.handle([Incoming(0, offset, batch(records), _Token())])
        joiner.close_due()
        most = max(most, joiner.assembler.open_events)
        for each in published:
            each.delivered()
        published.clear()
    counters = joiner.counters
    closed = 2 * MAY_BE_OPEN // 1_000
    assert most <= MAY_BE_OPEN + 1_000
    assert (counters.events, counters.crowded_out, counters.too_large) == (3 * MAY_BE_OPEN, closed, 0)
    assert joiner.committable(0) == closed, "what was closed is acknowledged, in order"
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    tell(
        f"{3 * MAY_BE_OPEN:,d} events of open runs in {time.monotonic() - began:.0f} s: at most {most:,d} open,"
        f" {closed:,d} runs closed; most memory of the process {peak_mib} MiB"
    )

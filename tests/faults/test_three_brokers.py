"""Three brokers that keep three copies: one killed, one frozen, leaders moved under load, and nothing is lost."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, ElectionType, TopicPartition
from confluent_kafka.admin import AdminClient, TopicMetadata  # type: ignore[attr-defined]
from typer.testing import CliRunner, Result

from causeline.cli.app import app
from causeline.kafka.admin import admin_client
from causeline.kafka.consumer import group_config
from causeline.ops.copies import read_copies
from causeline.ops.topics import read
from causeline.producers.tracer import Tracer
from causeline.schemas.errors import Unreachable
from causeline.schemas.topics import EVENTS, RUNS
from causeline.stack.endpoints import Endpoints
from causeline.stack.kafka import BrokerCluster, running_cluster
from causeline.stack.waiting import wait_until
from tests.faults import site_page
from tests.faults.site import PROJECT, Site, emit_runs, spooling

pytestmark = pytest.mark.stack

PAUSE_S = 0.02
"""Between two runs of the load: some 150 events a second."""
NEWS = 100
"""So many more events must be delivered before the next thing happens: the load goes on through it."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerCluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def endpoints(infra: Endpoints, cluster: BrokerCluster) -> Endpoints:
    """The three brokers, and the engine that all fault tests share."""
    return infra.model_copy(update={"kafka_bootstrap_servers": cluster.connection.bootstrap_servers})


@pytest.fixture
def site(endpoints: Endpoints, tmp_path: Path, seed: int) -> Site:
    return Site(endpoints, tmp_path, seed, replication=3)


@pytest.fixture
def topics(endpoints: Endpoints, tmp_path: Path, seed: int) -> Site:
    """A site without tables."""
    return Site(endpoints, tmp_path, seed, replication=3, has_tables=False)


class Brokers:
    """What the cluster says of a site's topics."""

    def __init__(self, site: Site) -> None:
        self._kafka = site.endpoints.kafka()
        self._prefix = site.endpoints.topic_prefix
        self.events = EVENTS.full_name(self._prefix)

    @property
    def admin(self) -> AdminClient:
        """A new client for each question: one that is connected to a broker waits for it, however frozen it is."""
        return admin_client(self._kafka)

    def topic(self, name: str) -> TopicMetadata:
        """What the brokers say of a topic, as soon as the one that is asked has heard of its partitions."""

        def told() -> TopicMetadata | None:
            said = self.admin.list_topics(name, timeout=10).topics[name]
            return said if said.partitions else None

        return wait_until(told, timeout_s=60, what=f"no broker says anything of {name}")

    def leader(self, partition: int) -> int:
        """Who leads a partition of the events; -1 for nobody, or while nobody says."""
        return int(self.topic(self.events).partitions[partition].leader)

    def moved_from(self, old: int, partition: int) -> int:
        """The leader that took the place of `old`, once there is one."""
        return wait_until(
            lambda: (now := self.leader(partition)) > 0 and now != old and now, timeout_s=60, what="no leader follows"
        )

    def have_the_first_copy_lead(self, partition: int) -> None:
        """As an operator does when a broker is back."""
        admin, place = self.admin, TopicPartition(self.events, partition)
        admin.elect_leaders(ElectionType.PREFERRED, [place]).result(60)
        first = self.topic(self.events).partitions[partition].replicas[0]
        wait_until(lambda: self.leader(partition) == first, timeout_s=60, what="the first copy does not lead")

    def wait_until_whole(self) -> None:
        """Until every copy is up to date."""
        admin = self.admin

        def is_whole() -> bool:
            try:
                return not read_copies(admin, read(admin, self._prefix)).lagging
            except Unreachable:  # a broker that comes back cuts the answer off
                return False

        wait_until(is_whole, timeout_s=120, what="copies lag")


@contextmanager
def load(tracer: Tracer, dice: random.Random) -> Iterator[None]:
    """Runs without an end, until the block's."""
    stop = threading.Event()

    def emit() -> None:
        while not stop.wait(PAUSE_S):
            emit_runs(tracer, 1, dice)

    thread = threading.Thread(target=emit)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def asked(site: Site, command: str) -> str:
    """What the command says, on one line; how it ends is another matter."""
    return " ".join(CliRunner().invoke(app, command.split()[1:], env=dict(site.environment)).output.split())


def test_brokers_killed_and_frozen_and_leaders_moved_under_load_lose_nothing(
    site: Site, cluster: BrokerCluster, tell: Callable[[str], None]
) -> None:
    brokers, emitter = Brokers(site), site.emitter(None, **spooling(site.folder / "spool"))

    def go_on() -> float:
        """Until the load has got through; how long that took, seconds."""
        began, before = time.monotonic(), emitter.stats().delivered
        wait_until(lambda: emitter.stats().delivered > before + NEWS, timeout_s=120, what="nothing is delivered")
        return time.monotonic() - began

    with (
        site.running("worker", CAUSELINE_KAFKA_CLIENT_RACK="rack-2"),
        site.running("load", CAUSELINE_KAFKA_CLIENT_RACK="rack-3"),
        site.running("amend --follow"),
    ):
        with Tracer(PROJECT, emitter=emitter, enabled=True) as tracer:
            with load(tracer, random.Random(site.seed)):
                go_on()
                assert "have all their copies up to date (3 copies of each)" in asked(site, "causeline status")

                killed = brokers.leader(0)
                cluster.node(killed).kill()
                brokers.moved_from(killed, 0)
                after_kill_s = go_on()
                for command in site_page.sections()["A broker is lost"][0].splitlines():
                    said = asked(site, command)
                    assert f"have a copy that is not up to date: broker {killed} away." in said, said
                cluster.node(killed).start()
                brokers.wait_until_whole()

                brokers.have_the_first_copy_lead(0)
                assert brokers.leader(0) == killed
                go_on()

                frozen = brokers.leader(1)
                cluster.node(frozen).freeze()
                try:
                    brokers.moved_from(frozen, 1)
                    while_frozen_s = go_on()
                finally:
                    cluster.node(frozen).thaw()
                brokers.wait_until_whole()
            assert not tracer.flush(90), tracer.stats()
            wait_until(lambda: not tracer.stats().waiting, timeout_s=180, what="the disk still holds events")
            stats = tracer.stats()
        found = site.violations(emitter.ledger())
    assert found == [], site.explain(found)
    assert not stats.lost, stats
    assert not stats.dropped, stats
    assert emitter.ledger().acknowledged == emitter.ledger().emitted.keys()
    tell(
        f"{site.figures(emitter.ledger())}; {NEWS} more delivered {after_kill_s:.1f} s after a leader's kill was known,"
    )
    tell(f"{while_frozen_s:.1f} s after a frozen one was replaced")


def test_a_reader_reads_from_the_copy_in_its_own_rack(topics: Site) -> None:
    brokers = Brokers(topics)
    brokers.wait_until_whole()
    topics.publish(20)
    leader = brokers.leader(0)
    here = leader % 3 + 1
    connection = topics.endpoints.kafka().model_copy(update={"client_rack": f"rack-{here}"})
    told: list[Mapping[str, object]] = []

    def from_whom(text: str) -> None:
        place = json.loads(text)["topics"].get(brokers.events, {}).get("partitions", {}).get("0", {})
        told.append({name: place.get(name) for name in ("leader", "broker")})

    config = group_config(connection, f"{topics.group()}-near", client_id="near", read_ahead_bytes=2**20)
    consumer = Consumer({**config, "statistics.interval.ms": 200, "stats_cb": from_whom})
    try:
        consumer.assign([TopicPartition(brokers.events, 0, 0)])
        assert consumer.poll(60) is not None
        wait_until(
            lambda: consumer.poll(0.1) is None and told and told[-1] == {"leader": leader, "broker": here},
            timeout_s=60,
            what=lambda: f"it reads from {told[-1:]}",
        )
    finally:
        consumer.close()


def test_topics_are_made_with_as_many_copies_as_the_setting_says(topics: Site) -> None:
    prefix = f"{topics.endpoints.topic_prefix}x"

    def apply(copies: int) -> Result:
        environment = {**topics.environment, "CAUSELINE_TOPIC_PREFIX": prefix, "CAUSELINE_REPLICATION": str(copies)}
        return CliRunner().invoke(app, ["topics", "apply"], env=environment)

    refused = apply(4)
    assert (refused.exit_code, "See --replication" in refused.output) == (2, True), refused.output
    assert apply(2).exit_code == 0
    partitions = Brokers(topics).topic(RUNS.full_name(prefix)).partitions
    assert {len(each.replicas) for each in partitions.values()} == {2}

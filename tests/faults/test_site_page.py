"""docs/site.md: each block of commands does what its heading promises, on a site that has lived a little."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka import Producer

from causeline.producers.artifacts import ArtifactStore
from causeline.producers.tracer import Tracer
from causeline.runtime.clickhouse import clickhouse_client
from causeline.schemas.topics import EVENTS
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until
from tests.faults import evidence, site_page
from tests.faults.site import PROJECT, Site

pytestmark = pytest.mark.stack

SUBJECT = "subject-17"
POISON = b"\x00\xff\xff\xff\xf0poison"
"""Of a schema id that nobody knows."""


class Lived:
    """A site with its processes at rest, so that what a block does is done by the block."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.blocks = site_page.sections()
        self.names = {each: f"{each}-{site.endpoints.topic_prefix}" for each in ("monday", "tuesday", "before-upgrade")}
        self.names["looked_at"] = f"{site.endpoints.topic_prefix}_looked_at"
        self.environment = {
            **site.environment,
            "CAUSELINE_ARTIFACTS": str(site.folder / "artifacts"),
            "CAUSELINE_STATE_DIR": str(site.folder / "no-stack"),
        }

    def follow(self, heading: str, number: int = 0) -> str:
        """Run a block of a heading."""
        block = self.blocks[heading][number]
        return site_page.run(block, self.site.folder, self.environment, self.names)

    def work(self, runs: int = 0, **labels: str) -> None:
        """Publish runs, and have all that is on the topics joined and stored."""
        before = self.site.visible()
        with ExitStack() as stack:
            for command in ("worker", "load"):
                stack.enter_context(self.site.running(command))
            stored = ArtifactStore.open(self.environment["CAUSELINE_ARTIFACTS"])
            with Tracer(PROJECT, emitter=self.site.emitter(None), enabled=True) as tracer:
                for number in range(runs):
                    ref = stored.put(f"{labels} {number}".encode())
                    with tracer.run("w", input_ref=ref, labels=labels) as run, run.step("tool", "s"):
                        pass
                assert not tracer.flush(60)
            wait_until(
                lambda: self.site.visible() == before + runs and not evidence.behind(self.site.endpoints),
                timeout_s=180,
                what="not all is stored",
            )

    def runs(self, database: str = "") -> list[str]:
        """The runs that are shown, by id."""
        connection = self.site.endpoints.clickhouse()
        with clickhouse_client(connection.in_database(database or connection.database)) as client:
            return sorted(str(run) for (run,) in client.query("SELECT run_id FROM runs").result_rows)


@pytest.fixture(scope="module")
def lived(infra: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    lived = Lived(Site(infra, tmp_path_factory.mktemp("lived"), 1))
    lived.work(10)
    yield lived
    shutil.rmtree(lived.site.endpoints.state_dir / "clickhouse" / "backups", ignore_errors=True)


def test_every_block_of_the_page_is_run_by_a_test() -> None:
    text = Path(__file__).read_text("utf-8") + (Path(__file__).parent / "test_three_brokers.py").read_text("utf-8")
    for heading, blocks in site_page.sections().items():
        assert not blocks or f'"{heading}"' in text, heading


@pytest.mark.parametrize(
    ("heading", "says"),
    [
        ("How much it takes", "runs_a_day"),
        ("Upgrade and rollback", "migrations are applied"),
        ("Retention and erasure", "retention of"),
        ("A disk is full", "Loaded"),
        ("Lag grows", "as it should be"),
        ("A clock is wrong", "clock agrees"),
    ],
)
def test_a_block_of_looking_and_mending_goes_through(lived: Lived, heading: str, says: str) -> None:
    before = lived.runs()
    assert says in lived.follow(heading)
    assert lived.runs() == before


def test_a_site_whose_clickhouse_is_lost_comes_back_whole(lived: Lived) -> None:
    lived.follow("Backup and restore", 0)
    backed_up = lived.runs()
    lived.work(5)
    everything = lived.runs()
    lived.follow("Backup and restore", 1)
    assert lived.runs(lived.names["looked_at"]) == backed_up
    lived.site.command(f"DROP DATABASE {lived.names['looked_at']} SYNC")

    with clickhouse_client(lived.site.endpoints.clickhouse(), use_database=False) as client:
        client.command(f"DROP DATABASE {lived.site.endpoints.clickhouse().database} SYNC")
    lived.follow("ClickHouse is lost")
    assert lived.runs() == everything


def test_all_of_one_subject_is_erased_and_nobody_elses(lived: Lived) -> None:
    others = lived.runs()
    lived.work(3, subject=SUBJECT)
    assert len(lived.runs()) == len(others) + 3
    lived.follow("Retention and erasure", 1)
    assert lived.runs() == others


def test_poison_is_listed_and_would_be_sent_again(lived: Lived) -> None:
    producer = Producer({**lived.site.endpoints.kafka().client_config(), "log_level": 0})
    producer.produce(EVENTS.full_name(lived.site.endpoints.topic_prefix), POISON, partition=0)
    assert producer.flush(60) == 0
    lived.work()
    said = lived.follow("A flood of poison")
    listed, would_be_sent = (line.split()[0] for line in said.splitlines() if "unknown_schema" in line)
    assert listed == would_be_sent

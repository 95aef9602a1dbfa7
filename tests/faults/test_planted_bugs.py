"""The oracle is proven by planted bugs: each turns it red by its letter, and the real code, dying there, stays green.

Broker and engine are real and shared; each scenario has topics, a database and processes of its own.
"""

import os
import random
import secrets
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from causeline.cli.app import app
from causeline.producers.tracer import Tracer
from causeline.sinks.clickhouse import clickhouse_client
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down, up
from causeline.stack.services import Ports, clickhouse_service, kafka_service
from causeline.stack.settings import StackSettings
from causeline.stack.supervisor import Service
from causeline.stack.waiting import wait_until
from tests.faults import evidence
from tests.faults.oracle import Ledger, Violation, judge, report
from tests.faults.recorder import RecordingEmitter

pytestmark = pytest.mark.stack

SEED = int(os.environ.get("CAUSELINE_FAULTS_SEED", secrets.randbelow(1_000_000)))
RUNS = 60
PROJECT = "planted"
SETTLED_S = 20.0
"""So long nothing may have changed before the oracle is asked."""


@pytest.fixture(scope="module")
def infra() -> Iterator[Endpoints]:
    """Broker and engine, and nothing of ours."""

    def only_infra(settings: StackSettings, endpoints: Endpoints, ports: Ports) -> tuple[Service, ...]:
        return kafka_service(settings, endpoints, ports), clickhouse_service(endpoints, ports)

    endpoints = up(StackSettings(ephemeral=True), services_of=only_infra)
    yield endpoints
    down(endpoints.state_dir)


class Site:
    """One scenario's own topics, tables and processes."""

    def __init__(self, infra: Endpoints, folder: Path) -> None:
        prefix = f"t{uuid.uuid4().hex[:10]}"
        url = infra.clickhouse_url.rpartition("/")[0] + f"/{prefix}"
        self.endpoints = infra.model_copy(update={"topic_prefix": prefix, "clickhouse_url": url})
        self.folder = folder
        self.environment = {
            **os.environ,
            **self.endpoints.environment(),
            "CAUSELINE_LOADER_LINGER_S": "0.3",
            "CAUSELINE_TEST_MARK": str(folder / "died"),
        }
        for words in (["topics", "apply", "--partitions", "2"], ["migrate"]):
            done = CliRunner().invoke(app, words, env=dict(self.environment))
            assert done.exit_code == 0, done.output

    @contextmanager
    def running(self, command: str, bug: str = "none") -> Iterator[None]:
        """The command, started again whenever it has died, until the block ends."""
        words = [sys.executable, "-m", "tests.faults.bugged", bug, *command.split()]
        keeper = [sys.executable, "-m", "tests.faults.keeper", *words]
        with (self.folder / f"{command.split(maxsplit=1)[0]}.log").open("ab") as log:
            process = subprocess.Popen(keeper, env=self.environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)

    def publish(self, *, late_reviews: bool = False) -> Ledger:
        """Runs of a few steps each, of sizes that the seed chooses; perhaps a review of each, after it."""
        dice = random.Random(SEED)
        emitter = RecordingEmitter(self.endpoints)
        with Tracer(PROJECT, emitter=emitter, enabled=True) as tracer:
            runs = []
            for _ in range(RUNS):
                with tracer.run("w") as run:
                    for number in range(dice.randint(1, 5)):
                        with run.step("tool", f"s{number}"):
                            pass
                runs.append(run)
            assert not tracer.flush(60)
            if late_reviews:
                wait_until(lambda: self.visible() >= RUNS or None, timeout_s=60, what="the runs are not there")
                for run in runs:
                    assert tracer.record_review(run.run_id, "w", "approved", run_started_at=run.started_at)
                assert not tracer.flush(60)
        return emitter.ledger()

    def visible(self) -> int:
        return evidence.count_views(self.endpoints, PROJECT)["runs"][1]

    def violations(self, ledger: Ledger) -> list[Violation]:
        """What the oracle says once it is content, or nothing has moved for long."""
        last: list[object] = []
        quiet = 0

        def settled() -> list[Violation] | None:
            nonlocal last, quiet
            seen = evidence.read_views(self.endpoints, PROJECT)
            found = judge(ledger, seen)
            now: list[object] = [sorted(seen.event_ids), sorted((run.run_id, run.events) for run in seen.runs)]
            quiet = quiet + 1 if now == last else 0
            last = now
            return found if not found or quiet >= SETTLED_S else None

        box: list[list[Violation]] = []

        def done() -> bool | None:
            found = settled()
            if found is None:
                return None
            box.append(found)
            return True

        wait_until(done, timeout_s=180, what="the views never settle", interval_s=1.0)
        return box[0]


@pytest.fixture
def site(infra: Endpoints, tmp_path: Path) -> Site:
    return Site(infra, tmp_path)


def letters(found: list[Violation]) -> set[str]:
    return {each.letter for each in found}


@pytest.mark.parametrize("bug", ["crash_before_insert", "crash_after_insert"])
def test_a_loader_that_dies_around_its_insert_loses_and_doubles_nothing(site: Site, bug: str) -> None:
    with site.running("worker"), site.running("load", bug):
        found = site.violations(site.publish())
        assert (site.folder / "died").exists()
    assert found == [], f"seed {SEED}\n{report(found)}"


def test_an_offset_committed_before_its_insert_is_seen_as_a_loss(site: Site) -> None:
    with site.running("worker"), site.running("load", "commit_before_insert"):
        found = site.violations(site.publish())
    assert letters(found) & {"C", "E"}, f"seed {SEED}"


def test_a_view_without_final_is_seen_as_doubles_once_a_loader_has_died_after_its_insert(site: Site) -> None:
    made = "SELECT create_table_query FROM system.tables WHERE database = currentDatabase()"
    with clickhouse_client(site.endpoints.clickhouse()) as client:
        for view, table in (("events", "event_rows"), ("runs", "run_rows")):
            text = str(client.query(f"{made} AND name = '{view}'").result_rows[0][0])
            client.command(text.replace("CREATE VIEW", "CREATE OR REPLACE VIEW").replace(" FINAL", ""))
            client.command(f"SYSTEM STOP MERGES {table}")
            client.command(f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 0")
    with site.running("worker"), site.running("load", "crash_after_insert"):
        found = site.violations(site.publish())
    assert "D" in letters(found), f"seed {SEED}"


def test_without_tokens_the_views_alone_still_show_each_thing_once(site: Site) -> None:
    with clickhouse_client(site.endpoints.clickhouse()) as client:
        for table in ("event_rows", "run_rows"):
            client.command(f"ALTER TABLE {table} MODIFY SETTING non_replicated_deduplication_window = 0")
    with site.running("worker"), site.running("load", "crash_after_insert"):
        found = site.violations(site.publish())
        assert (site.folder / "died").exists()
    assert found == [], f"seed {SEED}\n{report(found)}"


def test_a_worker_that_dies_before_it_publishes_loses_nothing(site: Site) -> None:
    with site.running("worker", "crash_before_publish"), site.running("load"):
        found = site.violations(site.publish())
        assert (site.folder / "died").exists()
    assert found == [], f"seed {SEED}\n{report(found)}"


def test_an_acknowledgement_before_the_publication_is_seen_as_missing_runs(site: Site) -> None:
    with site.running("worker", "ack_before_publish"), site.running("load"):
        found = site.violations(site.publish())
    assert "E" in letters(found), f"seed {SEED}"


@pytest.mark.parametrize(("bug", "expected"), [("none", set()), ("lose_revision", {"E"})])
def test_a_revision_that_is_lost_is_seen(site: Site, bug: str, expected: set[str]) -> None:
    with site.running("worker"), site.running("load"), site.running("amend --follow", bug):
        found = site.violations(site.publish(late_reviews=True))
    assert letters(found) == expected, f"seed {SEED}\n{report(found)}"

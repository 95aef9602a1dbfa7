"""A scenario's own topics, tables and processes, on a broker and an engine that it shares with others."""

import os
import random
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from typer.testing import CliRunner

from causeline.cli.app import app
from causeline.producers.emitter.settings import EmitterSettings
from causeline.producers.tracer import Tracer
from causeline.runtime.clickhouse import clickhouse_client
from causeline.schemas.errors import CauselineError
from causeline.schemas.topics import DEAD
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until
from tests.faults import evidence
from tests.faults.oracle import Ledger, Violation, judge, judge_stored, report
from tests.faults.recorder import RecordingEmitter
from tests.faults.releases import Release

PROJECT = "planted"
PARTITIONS = 2
STORED = ("narrow_event_rows", "narrow_run_rows")
ONE_MESSAGE_AN_INSERT = {"CAUSELINE_LOADER_MAX_BLOCK_ROWS": "1"}
"""So a loader that sends again what it read before cuts it as before."""
QUIET_S = 5.0
"""So long nothing may have changed, with all read to its end at the broker, before the oracle is asked."""
STUCK_S = 120.0
"""So long nothing may have changed at all: a watchdog may first have to end a worker whose broker was killed."""


class Keeper:
    """A command that is started again whenever it has died; its process is a child of the keeper's."""

    def __init__(self, process: subprocess.Popen[bytes], log_file: Path) -> None:
        self._keeper = psutil.Process(process.pid)
        self.process = process
        self.log_file = log_file

    @property
    def pid(self) -> int:
        """The command's process as of now; waits until there is one."""
        return int(
            wait_until(lambda: [each.pid for each in self._children()], timeout_s=180, what="the command does not run")[
                0
            ]
        )

    def _children(self) -> list[psutil.Process]:
        return [each for each in self._keeper.children() if each.status() != psutil.STATUS_ZOMBIE]

    def kill(self) -> int:
        """End the command as a crash would; gives the process that died."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self, within_s: float) -> float | None:
        """Ask the command to stop; how long it took, seconds, or None when it had to be killed."""
        began = evidence.now_s()
        children = self._children()
        self.process.terminate()
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            for child in children:
                child.kill()
            self.process.wait(10)
            return None
        return evidence.now_s() - began

    @property
    def log(self) -> str:
        """What it has said so far, in all its lives."""
        return self.log_file.read_text("utf-8", errors="replace")


class Site:
    """See the module. `kafka` and `clickhouse` may lead through a proxy; evidence is always taken directly."""

    def __init__(
        self,
        infra: Endpoints,
        folder: Path,
        seed: int,
        release: Release | None = None,
        /,
        *,
        partitions: int = PARTITIONS,
        replication: int = -1,
        has_tables: bool = True,
    ) -> None:
        prefix = f"t{uuid.uuid4().hex[:10]}"
        url = infra.clickhouse_url.rpartition("/")[0] + f"/{prefix}"
        self.endpoints = infra.model_copy(update={"topic_prefix": prefix, "clickhouse_url": url})
        self.folder = folder
        self.seed = seed
        self.mark = folder / "died"
        self._amenders = 0
        self.environment = {
            **os.environ,
            **self.endpoints.environment(),
            "CAUSELINE_LOADER_LINGER_S": "0.3",
            "CAUSELINE_LOADER_SESSION_TIMEOUT_S": "6",
            "CAUSELINE_WORKER_SESSION_TIMEOUT_S": "6",
            "CAUSELINE_TEST_MARK": str(self.mark),
        }
        copies = {"CAUSELINE_REPLICATION": str(replication)}
        self.causeline("topics", "apply", "--partitions", str(partitions), release=release, **copies)
        if has_tables:
            self.causeline("migrate", release=release)

    def causeline(self, *words: str, release: Release | None = None, **environment: str) -> str:
        """Run one of our commands, or of an earlier release's, to its end, which must be good; what it printed."""
        environment = {**self.environment, **environment}
        if release is None:
            done = CliRunner().invoke(app, list(words), env=environment)
            assert done.exit_code == 0, done.output
            return done.output
        ran = subprocess.run(
            release.command(words),
            env={**environment, **release.environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def group(self) -> str:
        """The loaders' group."""
        return f"{self.endpoints.topic_prefix}.loader"

    def anew(self) -> dict[str, str]:
        """New tables, and a group that has read nothing: the environment of a loader that fills them."""
        url = f"{self.endpoints.clickhouse_url}_again"
        self.causeline("migrate", CAUSELINE_CLICKHOUSE_URL=url)
        return {"CAUSELINE_CLICKHOUSE_URL": url, "CAUSELINE_LOADER_GROUP_ID": f"{self.group()}-again"}

    @contextmanager
    def running(
        self, command: str, bug: str = "none", release: Release | None = None, /, **environment: str
    ) -> Iterator[Keeper]:
        """The command, or an earlier release's, started again whenever it has died, until the block ends."""
        words = [sys.executable, "-m", "tests.faults.bugged", bug, *command.split()]
        if release is not None:
            words = release.command(command.split())
            environment |= release.environment
        kept = [sys.executable, "-m", "tests.faults.keeper", *words]
        log_file = self.folder / f"{command.split(maxsplit=1)[0]}-{uuid.uuid4().hex[:4]}.log"
        with log_file.open("ab") as log:
            process = subprocess.Popen(kept, env={**self.environment, **environment}, stdout=log, stderr=log)
        keeper = Keeper(process, log_file)
        amenders = int(command.startswith("amend"))
        self._amenders += amenders
        try:
            yield keeper
        finally:
            self._amenders -= amenders
            stopped = process.poll() is not None or keeper.stop(60) is not None
        assert stopped, f"{command} did not stop when told to"

    def clickhouse_by(self, port: int) -> dict[str, str]:
        """The environment of a command that reaches the engine by another port."""
        url = self.endpoints.clickhouse_url
        return {"CAUSELINE_CLICKHOUSE_URL": url.replace(f":{self.endpoints.clickhouse().port}/", f":{port}/")}

    def emitter(self, broker_port: int | None = None, /, **settings: object) -> RecordingEmitter:
        """One that notes what was acknowledged; `broker_port` is the way round by a proxy."""
        servers = f"127.0.0.1:{broker_port}" if broker_port else self.endpoints.kafka_bootstrap_servers
        return RecordingEmitter(self.endpoints.model_copy(update={"kafka_bootstrap_servers": servers}), **settings)

    def publish(self, runs: int = 60, *, late_reviews: bool = False, **settings: object) -> Ledger:
        """Runs of a few steps each, of sizes that the seed chooses; perhaps a review of each, after it."""
        emitter = self.emitter(None, **settings)
        with Tracer(PROJECT, emitter=emitter, enabled=True) as tracer:
            made = emit_runs(tracer, runs, random.Random(self.seed))
            assert not tracer.flush(60)
            if late_reviews:
                wait_until(lambda: self.visible() >= runs or None, timeout_s=180, what="the runs are not there")
                for run_id, started_at in made:
                    assert tracer.record_review(run_id, "w", "approved", run_started_at=started_at)
                assert not tracer.flush(60)
        return emitter.ledger()

    def visible(self) -> int:
        """Distinct runs in the view."""
        return evidence.count_views(self.endpoints, PROJECT)["runs"][1]

    def dead_letters(self) -> int:
        """How many messages stand on the topic of dead letters."""
        name = DEAD.full_name(self.endpoints.topic_prefix)
        return sum(end for (topic, _), end in evidence.end_offsets(self.endpoints).items() if topic == name)

    def figures(self, ledger: Ledger) -> str:
        """Load, acknowledged, visible, dead, lost, twice, in words."""
        seen = evidence.read_views(self.endpoints, PROJECT)
        shown = set(seen.event_ids)
        lost = len(ledger.acknowledged - shown - seen.dead)
        return (
            f"{len(ledger.runs)} runs, {len(ledger.emitted)} emitted, {len(ledger.acknowledged)} acknowledged,"
            f" {len(shown)} visible, {len(seen.dead)} dead, {lost} lost, {len(seen.event_ids) - len(shown)} twice"
        )

    def command(self, *sql: str) -> None:
        """Have the engine do something to this scenario's tables."""
        with clickhouse_client(self.endpoints.clickhouse()) as client:
            for each in sql:
                client.command(each)

    def hold_merges(self) -> None:
        """From here on rows stay as they were inserted, however alike they are."""
        self.command(*(f"SYSTEM STOP MERGES {table}" for table in STORED))

    def died_at(self) -> str:
        """Where the process was when it died by our hand, by the name of the bug; empty when it did not."""
        return self.mark.read_text("utf-8") if self.mark.exists() else ""

    def stored(self) -> list[Violation]:
        """What stands in the tables more often than once, under the views; only meaningful while merges are held."""
        with clickhouse_client(self.endpoints.clickhouse()) as client:
            rows = client.query(
                "SELECT 'narrow_event_rows', count(), uniqExact(event_id) FROM narrow_event_rows"
                " WHERE project = {p:String} UNION ALL"
                " SELECT 'narrow_run_rows', count(), uniqExact(run_id, revision) FROM narrow_run_rows"
                " WHERE project = {p:String}",
                parameters={"p": PROJECT},
            ).result_rows
        return judge_stored({str(name): (int(count), int(distinct)) for name, count, distinct in rows})

    def violations(self, ledger: Ledger, *, died_at: str = "", timeout_s: float = 400.0) -> list[Violation]:
        """What the oracle says once it is content, or nothing moves any more; only after the death that was meant.

        While an amender runs, late events that wait for it have not come to rest: between two looks at a run it may
        pause for longer than the views are watched.
        """
        if died_at:
            wait_until(lambda: self.died_at() == died_at, timeout_s=180, what=f"nothing died at {died_at}")
        last: object = None
        still_since = evidence.now_s()
        found: list[Violation] = []

        def settled() -> bool:
            nonlocal last, still_since, found
            try:
                seen = evidence.read_views(self.endpoints, PROJECT)
                behind = evidence.behind(self.endpoints, amended=self._amenders > 0)
            except CauselineError:
                return False  # the engine is on its way back
            found = judge(ledger, seen)
            now = (sorted(seen.event_ids), sorted((run.run_id, run.events, run.verdict) for run in seen.runs), behind)
            if now != last:
                last, still_since = now, evidence.now_s()
            still_s = evidence.now_s() - still_since
            return (not behind and (not found or still_s >= QUIET_S)) or still_s >= STUCK_S

        wait_until(settled, timeout_s=timeout_s, what="the views never settle", interval_s=0.5)
        return found

    def explain(self, found: list[Violation]) -> str:
        """The seed, the violations with where their subjects were last seen, and the last that the processes said."""
        seen = evidence.read_views(self.endpoints, PROJECT)
        told = evidence.whereabouts(self.endpoints, [each.subject for each in found], seen)
        logs = "\n".join(f"--- {log.name}\n{_end_of(log)}" for log in sorted(self.folder.glob("*.log")))
        return f"seed {self.seed}\n{report(found, told)}\n{logs}"


def _end_of(log: Path, lines: int = 40) -> str:
    return "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-lines:])


def emit_runs(tracer: Tracer, count: int, dice: random.Random) -> list[tuple[str, int]]:
    """Runs one after the other; the id and the start of each."""
    made = []
    for _ in range(count):
        with tracer.run("w") as run:
            for number in range(dice.randint(1, 5)):
                with run.step("tool", f"s{number}"):
                    pass
        made.append((run.run_id, run.started_at))
    return made


def letters(found: list[Violation]) -> set[str]:
    """The letters of what was found."""
    return {each.letter for each in found}


def spooling(folder: Path, **more: object) -> dict[str, object]:
    """Settings of an emitter that goes to the disk soon after the broker is gone."""
    chosen: dict[str, object] = {"spool": folder, "spool_after_s": 1.0, "delivery_timeout_s": 4.0, **more}
    assert chosen.keys() <= EmitterSettings.model_fields.keys()
    return chosen

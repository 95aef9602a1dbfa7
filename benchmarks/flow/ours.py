"""Our pipeline on one machine: emitter, broker, worker, loader and engine, each a process whose CPU is read."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from clickhouse_connect.driver.client import Client
from pydantic import SecretStr

from benchmarks.joining.broker import Bench
from benchmarks.joining.runs import EVENTS_A_RUN
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.tables import EVENTS, RUNS
from causeline.schemas.topics import TOPICS
from causeline.sinks.migrate import migrate
from causeline.stack.waiting import wait_until
from tests.integration.clickhouse_fixture import ClickHouseProcess

PARTS = ("emitter", "broker", "worker", "loader", "engine")
_PATIENCE_S = 900.0
_PREFIX = "flow"


@dataclass(frozen=True, slots=True)
class Lot:
    """Some runs, from the first that is emitted until the last can be asked for: CPU seconds by part, and wall."""

    events: int
    cpu_s: Mapping[str, float]
    wall_s: float

    @property
    def us_per_event(self) -> float:
        """CPU microseconds of all parts an event."""
        return sum(self.cpu_s.values()) * 1e6 / self.events


class Pipeline:
    """All parts up; `through` sends a lot of runs from end to end."""

    def __init__(self, client: Client, emitter: "subprocess.Popen[str]", pids: Mapping[str, int]) -> None:
        self._client = client
        self._emitter = emitter
        self._processes = {part: psutil.Process(pid) for part, pid in pids.items()}
        self.runs = 0

    def through(self, runs: int) -> Lot:
        """Emit `runs` runs and wait until they and their events are in the tables."""
        before, began = self._cpu_s(), time.monotonic()
        assert self._emitter.stdin is not None
        assert self._emitter.stdout is not None
        self._emitter.stdin.write(f"{runs}\n")
        self._emitter.stdin.flush()
        if self._emitter.stdout.readline() != "done\n":
            raise SystemExit("The emitter did not deliver its events.")
        self.runs += runs
        wait_until(self._all_in, timeout_s=_PATIENCE_S, what="the last run to be queryable")
        wall_s, after = time.monotonic() - began, self._cpu_s()
        return Lot(runs * EVENTS_A_RUN, {part: after[part] - before[part] for part in PARTS}, wall_s)

    def check(self) -> None:
        """Raise unless the views hold every run once, whole, and every event."""
        [told] = self._client.query(
            "SELECT count(), uniqExact(run_id), countIf(verdict = 'complete'), sum(events) FROM runs"
        ).result_rows
        if told != (self.runs, self.runs, self.runs, self.runs * EVENTS_A_RUN):
            raise RuntimeError(f"{self.runs} runs were sent; runs, ids, complete ones and events are {told}")

    def resident_mb(self) -> dict[str, float]:
        """By part, what it holds resident now."""
        return {part: process.memory_info().rss / 2**20 for part, process in self._processes.items()}

    def _all_in(self) -> bool:
        return self._rows(RUNS.kept) >= self.runs and self._rows(EVENTS.kept) >= self.runs * EVENTS_A_RUN

    def _rows(self, table: str) -> int:
        return int(self._client.query(f"SELECT count() FROM {table}").result_rows[0][0])

    def _cpu_s(self) -> dict[str, float]:
        spent = {}
        for part, process in self._processes.items():
            times = process.cpu_times()
            spent[part] = times.user + times.system
        return spent


@contextmanager
def our_pipeline(folder: Path, bench: Bench) -> Iterator[Pipeline]:
    """The parts beside a broker that is up, stopped in the end; state is kept in `folder`."""
    bench.topics(_PREFIX, [topic.name for topic in TOPICS])
    with ExitStack() as stack:
        server = stack.enter_context(ClickHouseProcess(folder / "clickhouse"))
        connection = ClickHouseConnection(
            url=server.endpoint.connection_url, password=SecretStr(server.endpoint.password)
        )
        migrate(connection)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CAUSELINE_")},
            "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": bench.servers,
            "CAUSELINE_TOPIC_PREFIX": _PREFIX,
            "CAUSELINE_CLICKHOUSE_URL": connection.url,
            "CAUSELINE_CLICKHOUSE_PASSWORD": server.endpoint.password,
        }
        pids = {"broker": _listener(bench.servers), "engine": server.pid}
        for part, command in (("worker", "worker"), ("loader", "load")):
            pids[part] = stack.enter_context(_running(["-m", "causeline.cli", command], environment)).pid
        emitter = stack.enter_context(
            _running(["-m", "benchmarks.flow.emitting", bench.servers, _PREFIX], environment, talks=True)
        )
        pids["emitter"] = emitter.pid
        assert emitter.stdout is not None
        if emitter.stdout.readline() != "ready\n":
            raise SystemExit("The emitter did not start.")
        client = stack.enter_context(clickhouse_client(connection, timeout_s=600))
        yield Pipeline(client, emitter, pids)


@contextmanager
def _running(
    words: list[str], environment: Mapping[str, str], *, talks: bool = False
) -> "Iterator[subprocess.Popen[str]]":
    pipe = subprocess.PIPE if talks else subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *words], env=environment, stdin=pipe, stdout=pipe, stderr=None if talks
                               else subprocess.DEVNULL, text=True)  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _listener(servers: str) -> int:
    """The process id of the broker that listens on the first of `servers`."""
    port = int(re.split(r"[:,]", servers)[1])
    for each in psutil.net_connections("tcp"):
        if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port and each.pid:
            return each.pid
    raise RuntimeError(f"nothing listens on port {port}")

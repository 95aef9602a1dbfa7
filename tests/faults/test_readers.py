"""Many readers before the console, a live tail among them, while runs are loaded and the engine goes and comes back.

Nobody waits for ever; an answer is the truth as far as it was known, or one sentence that says why there is none.
CAUSELINE_READERS sets how many there are (200 is what a console takes), CAUSELINE_READERS_LOAD the events a second.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from causeline.stack.ports import free_ports
from causeline.stack.waiting import wait_until
from causeline.web.patience import PATIENCE_S
from tests.faults.proxy import Proxy
from tests.faults.site import PROJECT, Site

pytestmark = pytest.mark.stack

READERS = int(os.environ.get("CAUSELINE_READERS", "24"))
TAILS = READERS // 3
LOAD_PER_S = int(os.environ.get("CAUSELINE_READERS_LOAD", "500"))
RUNS = 120
WAIT_S = 120 + 3 * READERS
"""So many readers ask for so many answers, of a machine that loads, joins and reads at the same time."""


@dataclass
class Told:
    """What the readers were told, and what of it was a lie."""

    statuses: Counter[int] = field(default_factory=Counter)
    lies: list[str] = field(default_factory=list)
    news: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    broken: int = 0
    """Connections that had been idle and were closed just as they were asked again; a browser asks anew by another."""


class Crowd:
    """Readers in a thread of their own: they read until they are stopped.

    The console is another process: in one with so many readers it is these that make them wait.
    """

    def __init__(self, base: str, project: str) -> None:
        self.base, self.project = base, project
        self.told = Told()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()), daemon=True)

    def __enter__(self) -> "Crowd":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(3 * PATIENCE_S)
        assert not self._thread.is_alive(), "a reader hangs"

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something while they read; without them it would not come."""
        wait_until(lambda: holds() or not self._thread.is_alive(), timeout_s=WAIT_S, what=what)
        assert self._thread.is_alive(), "the readers have gone"

    async def _all(self) -> None:
        limits = httpx.Limits(max_connections=2 * READERS)
        async with httpx.AsyncClient(base_url=self.base, limits=limits, timeout=2 * PATIENCE_S) as client:
            tails = [asyncio.create_task(self._follow(client)) for _ in range(TAILS)]
            await asyncio.gather(*(self._read(client) for _ in range(READERS - TAILS)))
            for tail in tails:
                tail.cancel()
            await asyncio.gather(*tails, return_exceptions=True)

    async def _read(self, client: httpx.AsyncClient) -> None:
        while not self._stopping.is_set():
            listed = await self._get(client, "/api/v1/runs?since=all&limit=100")
            if listed is None:
                continue
            places = [(run["started_at"], run["run_id"]) for run in listed["runs"]]
            if places != sorted(set(places), reverse=True):
                self.told.lies.append("a list is out of order, or has a run twice")
            for run in listed["runs"][:2]:
                await self._check(client, run)

    async def _check(self, client: httpx.AsyncClient, listed: dict[str, Any]) -> None:
        whole = await self._get(client, f"/api/v1/runs/{listed['run_id']}")
        if whole is None:
            return
        if whole["run_id"] != listed["run_id"] or whole["project"] != self.project:
            self.told.lies.append(f"{listed['run_id']} is told as another run")
        if whole["verdict"] == "complete" and whole["events"] != len(whole["steps"]) + 2:
            self.told.lies.append(f"{listed['run_id']} is complete with {whole['events']} events")

    async def _get(self, client: httpx.AsyncClient, path: str) -> dict[str, Any] | None:
        began = time.monotonic()
        try:
            answer = await client.get(path)
        except (httpx.ReadError, httpx.RemoteProtocolError):
            self.told.broken += 1
            return None
        self.told.slowest_s = max(self.told.slowest_s, time.monotonic() - began)
        self.told.statuses[answer.status_code] += 1
        if answer.status_code == 200:
            return dict(answer.json())
        if answer.status_code != 503 or "." not in answer.text:
            self.told.lies.append(f"{path}: {answer.status_code} {answer.text[:200]}")
        await asyncio.sleep(0.05)  # a reader who was refused does not ask again at once
        return None

    async def _follow(self, client: httpx.AsyncClient) -> None:
        async with _events(client, "/live/runs?since=all") as events:
            async for name in events:
                self.told.news[name] += 1


@dataclass
class Loaded:
    """What was loaded, once that has ended."""

    runs: int = 0
    events: int = 0
    took_s: float = 0.0


@contextmanager
def loading(site: Site) -> Iterator[Loaded]:
    """Runs are published at a steady pace by a process of its own while the block lasts."""
    loaded = Loaded()
    command = [sys.executable, "-m", "tests.faults.loading", str(LOAD_PER_S), str(site.seed)]
    process = subprocess.Popen(command, env=site.environment, stdout=subprocess.PIPE)
    try:
        yield loaded
        process.terminate()
        said = json.loads(process.communicate(timeout=4 * PATIENCE_S)[0])
    finally:
        process.kill()
    assert not said.pop("left"), "the broker did not take all of it"
    vars(loaded).update(said)


@asynccontextmanager
async def _events(client: httpx.AsyncClient, path: str) -> AsyncIterator[AsyncIterator[str]]:
    async with client.stream("GET", path, timeout=None) as answer:
        assert answer.status_code == 200

        async def names() -> AsyncIterator[str]:
            async for line in answer.aiter_lines():
                if line.startswith("event: "):
                    yield line.removeprefix("event: ")

        yield names()


def _serves(base: str) -> bool:
    try:
        return httpx.get(f"{base}/healthz", timeout=PATIENCE_S).status_code == 200
    except httpx.TransportError:
        return False


def test_readers_are_told_the_truth_while_the_engine_goes_and_comes_back(
    site: Site, clickhouse_proxy: Proxy, tell: Callable[[str], None]
) -> None:
    [port] = free_ports(1)
    base = f"http://127.0.0.1:{port}"
    with (
        site.running("worker"),
        site.running("load"),  # which has its own way to the engine, and goes on
        site.running(f"serve --port {port}", **site.clickhouse_by(clickhouse_proxy.port)),
    ):
        wait_until(lambda: _serves(base), timeout_s=WAIT_S, what="the console is not there")
        site.publish(runs=RUNS)
        wait_until(lambda: site.visible() >= RUNS, timeout_s=WAIT_S, what="the runs are not there")
        with loading(site) as load, Crowd(base, PROJECT) as crowd:
            told = crowd.told
            crowd.until(lambda: told.statuses[200] >= READERS, "nobody is answered")
            crowd.until(lambda: told.news["news"] >= TAILS, "the tails are told nothing")
            clickhouse_proxy.go_away()
            crowd.until(lambda: told.statuses[503] >= READERS, "nobody is told that it is away")
            crowd.until(lambda: told.news["away"] >= TAILS, "the tails are not told so")
            clickhouse_proxy.heal()
            before = told.statuses[200]
            crowd.until(lambda: told.statuses[200] >= before + 2 * READERS, "it does not come back")
            crowd.until(lambda: told.news["news"] >= 2 * TAILS, "the tails hear no more")
        assert told.lies == []
        assert told.slowest_s < 2 * PATIENCE_S
        assert told.broken <= READERS
        wait_until(
            lambda: site.visible() >= RUNS + load.runs, timeout_s=300, what="what was loaded meanwhile is not there"
        )
    tell(
        f"{READERS} readers, {TAILS} of them tails: {dict(told.statuses)}, slowest {told.slowest_s:.1f} s,"
        f" {told.broken} connections closed as they were asked again;"
        f" {load.events:,d} events loaded meanwhile, {load.events / load.took_s:,.0f} a second, all visible"
    )

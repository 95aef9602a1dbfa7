"""A real stack with runs of the demo, and a real Chromium in front of its pages."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from causeline import ArtifactStore, ConflictSide, Tracer
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down
from causeline.stack.waiting import wait_until
from causeline.web.identity import link_key

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
RUNS = 150
PATIENCE_S = 120
"""How long a page may take to come, or to become what a test expects: pages are tested here, and not the machine."""
_SCREENSHOTS = os.environ.get("CAUSELINE_SCREENSHOTS")  # now: a test has no variables of ours
_STUCK_S = 180.0
"""So long nothing of the demo's stack may have written a line."""
PLANTED = "garbled_ocr"
"""A fault whose run has all that the tests look for: a cause at a step with artifacts, gaps, and a cost."""
LAYER = "parse"
QUESTIONS = 12
"""Items that wait for a reviewer: more than all tests together decide, whatever the demo's own runs asked."""

expect.set_options(timeout=PATIENCE_S * 1000)


@dataclass(frozen=True)
class Site:
    """The console of a stack that holds the demo's runs."""

    base: str
    token: str
    endpoints: Endpoints
    faulty: str
    """A run in which the demo planted `PLANTED`: by its truth file, and not by what came of it."""

    def get(self, path: str) -> httpx.Response:
        """What somebody of this machine is answered, who did not sign in."""
        return httpx.get(self.base + path, timeout=PATIENCE_S)

    def ask(self, sql: str, **parameters: object) -> list[tuple[Any, ...]]:
        """Rows of the stack's store."""
        with clickhouse_client(ClickHouseConnection.from_environment(self.endpoints.environment())) as client:
            return [tuple(row) for row in client.query(sql, parameters=parameters).result_rows]

    @contextmanager
    def environment(self) -> Iterator[None]:
        """What workflows publish while this is open goes to the stack."""
        with pytest.MonkeyPatch.context() as patched:
            for name, value in self.endpoints.environment().items():
                patched.setenv(name, value)
            yield

    def enter(self, to: str = "/") -> str:
        """The address that signs its visitor in."""
        return f"{self.base}/enter?key={link_key(self.token, time.time())}&to={to}&name=Anna"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demo, published and joined; its stack ends with the session.

    CAUSELINE_BROWSER_STACK names the folder of a demo's stack that is up, to try pages again and again.
    """
    if standing := os.environ.get("CAUSELINE_BROWSER_STACK"):
        yield _site_of(Path(standing))
        return
    folder = tmp_path_factory.mktemp("site")
    try:
        _demo(folder)
        yield _site_of(folder)
    finally:
        down(folder)


def _site_of(folder: Path) -> Site:
    endpoints = Endpoints.load(folder)
    truths = [
        json.loads(line) for file in sorted(folder.glob("demo/*.jsonl")) for line in file.read_text().splitlines()
    ]
    faulty = next(each["run_id"] for each in truths if [fault["fault"] for fault in each["faults"]] == [PLANTED])
    site = Site(endpoints.console_url, endpoints.console_token_file.read_text().strip(), endpoints, faulty)
    stored = "SELECT kind FROM causes WHERE run_id = {run_id:String} AND kind IS NOT NULL"
    wait_until(lambda: site.ask(stored, run_id=faulty), timeout_s=PATIENCE_S, what="no cause of the run is stored")
    return site


@pytest.fixture(scope="session")
def questions(site: Site) -> frozenset[str]:
    """The runs of `QUESTIONS` items that wait for a reviewer, published for it."""
    artifacts = ArtifactStore.open(site.endpoints.artifacts)
    sides = [_side(artifacts, kind, amount) for kind, amount in (("invoice", "412 EUR"), ("order", "421 EUR"))]
    with site.environment(), Tracer("demo") as tracer:
        asked = [tracer.run("invoice") for _ in range(QUESTIONS)]
        for run in asked:
            with run:
                with run.tool("look up the order"):
                    pass
                run.evidence("$.total", refs=[sides[0].source_ref], score=0.95, sides=sides)
                run.fallback("human_review", reason="conflict about $.total")
        assert not tracer.flush(PATIENCE_S)
    ids = sorted(run.run_id for run in asked)
    open_items = "SELECT count() FROM reviews WHERE has({ids:Array(String)}, run_id) AND state = 'open'"
    wait_until(
        lambda: site.ask(open_items, ids=ids)[0][0] == QUESTIONS, timeout_s=PATIENCE_S, what="nothing waits for review"
    )
    wait_until(
        lambda: all(site.get(f"/api/v1/runs/{run_id}").is_success for run_id in ids),
        timeout_s=PATIENCE_S, what="the runs that ask are not joined",
    )  # fmt: skip
    return frozenset(ids)


def _side(artifacts: ArtifactStore, kind: str, amount: str) -> ConflictSide:
    before = f"{kind.upper()} of Ostara Print, Turin\nPaper, A4, ten boxes\n\fTotal amount: "
    place = f"chars={len(before)}-{len(before) + len(amount)}"
    document = artifacts.put(f"{before}{amount}\nThank you.\n".encode())
    return ConflictSide(
        source_ref=f"{document}#{place}", value_ref=artifacts.put(amount.encode()), source_kind=kind, score=0.95
    )


@pytest.fixture(scope="session")
def corrected(site: Site, questions: frozenset[str]) -> str:
    """The question of an item that a reviewer has corrected, to 412 EUR."""
    assert questions
    with httpx.Client(
        base_url=site.base, timeout=PATIENCE_S, headers={"accept": "text/html"}, follow_redirects=True
    ) as client:
        client.get(site.enter().removeprefix(site.base).replace("Anna", "Eve"))
        csrf = _field(client.get("/reviews").text, "csrf")
        taken = client.post("/reviews/next", data={"csrf": csrf})
        assert MINE.search(str(taken.url))
        answer = client.post(
            f"{taken.url.path}/resolve", data={"csrf": csrf, "outcome": "overridden", "value": "412 EUR"}
        )
        assert answer.is_success, answer.text[:500]
        sql = "SELECT count() FROM reviews WHERE item_id = {item:String} AND state = 'resolved'"
        item = taken.url.path.rpartition("/")[2]
        wait_until(lambda: site.ask(sql, item=item)[0][0], timeout_s=PATIENCE_S, what="the decision is not stored")
        return str(taken.url.path)


def _field(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found
    return found[1]


def _demo(folder: Path) -> None:
    """A demo in `folder`. However slow the machine is, it has time for as long as something of it goes on."""
    environment = {**os.environ, "CAUSELINE_STATE_DIR": str(folder)}
    said = folder.parent / "demo.log"
    with said.open("wb") as log:
        command = [sys.executable, "-m", "causeline.cli", "demo", "--runs", str(RUNS), "--patience", "600"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    seen, since = -1, time.monotonic()
    while process.poll() is None:
        written = sum(file.stat().st_size for file in (said, *folder.glob("logs/*")))
        if written != seen:
            seen, since = written, time.monotonic()
        elif time.monotonic() - since > _STUCK_S:
            process.kill()
        time.sleep(0.2)  # between two looks at a condition
    text = said.read_text("utf-8", "replace")
    assert process.returncode == 0, f"the demo ended with {process.returncode}:\n{text}\n{_ends(folder)}"


def _ends(folder: Path) -> str:
    logs = sorted(folder.glob("logs/*.log"))
    return "\n".join(f"{log.name}: {log.read_text('utf-8', 'replace')[-600:]}" for log in logs)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium as the machine has it."""
    found = next((path for name in _CHROMIUM if (path := shutil.which(name))), None)
    assert found, "The browser tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=_FLAGS)
        yield started
        started.close()


@dataclass(frozen=True)
class Took:
    """How somebody found something: by `mouse` or `keyboard`, with so many clicks or keys."""

    task: str
    by: str
    acts: int
    seconds: float


MINE = re.compile(r"/reviews/[0-9a-f]{16,}$")
"""Where somebody is who has taken an item."""
took: pytest.StashKey[list[Took]] = pytest.StashKey()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table of what somebody was sent to find."""
    if found := config.stash.get(took, []):
        terminalreporter.section("found by mouse alone, and by keyboard alone")
        for each in found:
            acts = f"{each.acts} {'clicks' if each.by == 'mouse' else 'keys'}"
            terminalreporter.write_line(f"{each.task:60} {each.by:9} {acts:>10} {each.seconds:6.1f} s")


@dataclass
class Seen:
    """What a page did beside being shown: errors on its console, and requests to anywhere else."""

    errors: list[str]
    elsewhere: list[str]


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that knows nobody yet."""
    made = browser.new_context(viewport={"width": 1280, "height": 900})
    made.set_default_timeout(PATIENCE_S * 1000)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, site: Site, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page whose visitor is signed in; a picture of it is kept where CAUSELINE_SCREENSHOTS names a folder."""
    opened = context.new_page()
    opened.goto(site.enter())
    yield opened
    if _SCREENSHOTS:
        Path(_SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        opened.screenshot(path=Path(_SCREENSHOTS) / f"{request.node.name[:120].replace('/', '_')}.png")


def watched(page: Page, site: Site) -> Seen:
    """Notes what a page complains of and whom it asks, from now on."""
    seen = Seen([], [])
    page.on(
        "console", lambda message: seen.errors.append(message.text) if message.type in {"error", "warning"} else None
    )
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(site.base) else seen.elsewhere.append(asked.url))
    return seen

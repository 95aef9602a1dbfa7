"""A real stack with runs of the demo, and a real Chromium in front of its pages."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down
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

expect.set_options(timeout=PATIENCE_S * 1000)


@dataclass(frozen=True)
class Site:
    """The console of a stack that holds the demo's runs."""

    base: str
    token: str
    endpoints: Endpoints
    faulty: str
    """A run in which the demo planted a fault, as it explains one."""

    def enter(self, to: str = "/") -> str:
        """The address that signs its visitor in."""
        return f"{self.base}/enter?key={link_key(self.token, time.time())}&to={to}&name=Anna"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demo, published and joined; its stack ends with the session.

    CAUSELINE_BROWSER_STACK names the folder of a demo's stack that is up, to try pages again and again.
    """
    if standing := os.environ.get("CAUSELINE_BROWSER_STACK"):
        endpoints = Endpoints.load(Path(standing))
        token = endpoints.console_token_file.read_text().strip()
        found = httpx.get(f"{endpoints.console_url}/api/v1/runs?gap=any&since=all", timeout=60).json()["runs"]
        told = (httpx.get(f"{endpoints.console_url}/runs/{run['run_id']}", timeout=60) for run in found)
        faulty = next(page.url.path.rpartition("/")[2] for page in told if "Cause 1 is here" in page.text)
        yield Site(endpoints.console_url, token, endpoints, faulty)
        return
    folder = tmp_path_factory.mktemp("site")
    try:
        said = _demo(folder)
        endpoints = Endpoints.load(folder)
        faulty = re.findall(r"^ *causeline why ([0-9a-f]{32})$", said, re.MULTILINE)[0]
        yield Site(endpoints.console_url, endpoints.console_token_file.read_text().strip(), endpoints, faulty)
    finally:
        down(folder)


def _demo(folder: Path) -> str:
    """What a demo in `folder` says. However slow the machine is, it has time for as long as something of it goes on."""
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
    return text


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

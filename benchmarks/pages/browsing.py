"""A real Chromium before a page: when it can be used, and what its main thread did until then."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, sync_playwright

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_PATIENCE_MS = 120_000


@contextmanager
def chromium() -> Iterator[Browser | None]:
    """The machine's Chromium; None where it has none."""
    found = next((path for name in _CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        yield None
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=_FLAGS)
        yield browser
        browser.close()


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of an app, served by a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


def seen(browser: Browser, url: str, condition: str) -> dict[str, float]:
    """Milliseconds until a condition (JavaScript) holds on a page that no cache knows, and how busy it was by then.

    `main_thread_ms` is CPU of the page's main thread.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(url, wait_until="commit", timeout=_PATIENCE_MS)
        page.wait_for_function(condition, timeout=_PATIENCE_MS)
        interactive_ms = float(page.evaluate("performance.now()"))
        metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
        return {
            "interactive_ms": interactive_ms,
            "main_thread_ms": 1000 * metrics["TaskDuration"],
            "nodes": float(page.evaluate("document.getElementsByTagName('*').length")),
        }
    finally:
        context.close()

"""Every page, in every form that people look at it in: no fault that axe knows, no complaint, no request elsewhere."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from causeline.drift.store import open_drift_store
from causeline.drift.watch import watch_once
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.topics import DEFAULT_PREFIX
from causeline.sinks.migrate import migrate
from causeline.web.identity import link_key
from causeline.web.stores import Stores
from tests.browser.conftest import LAYER, MINE, Seen, Site, watched
from tests.browser.served import TOKEN, console_of
from tests.integration.drift.making import drifting, put_runs
from tests.integration.drift.test_commands import HOURS, PLAN

PAGES = (
    "/reviews/{item}", "/reviews/{decided}", "/policies/{policy}", "/artifacts?ref={artifact}&run={faulty}",
    "/", "/runs", "/runs?gap=any", "/runs?workflow=nobody", "/runs/{faulty}", "/runs/{faulty}/evidence",
    "/runs/{faulty}/events", "/compare?a={faulty}", "/reviews", "/reviews?state=all", "/drift", "/evals", "/pipeline",
    "/causes", "/causes?since=all", "/sessions", "/policies", "/sql", "/sql?q=@cost-of-failures", "/sql?q=SELECT",
    "/runs/nothing", "/sign-in",
)  # fmt: skip
FORMS = {
    "light": ({"color_scheme": "light"}, (1280, 900)),
    "dark": ({"color_scheme": "dark"}, (1280, 900)),
    "narrow": ({"color_scheme": "light"}, (360, 740)),
    "zoomed to 200 %": ({"color_scheme": "dark"}, (640, 450)),
    "forced colours": ({"color_scheme": "light", "forced_colors": "active"}, (1280, 900)),
}


@pytest.fixture(scope="module")
def ids(site: Site, questions: frozenset[str], corrected: str) -> dict[str, str]:
    """What stands in the addresses of pages that are about one thing."""
    asking = "SELECT item_id FROM reviews WHERE state = 'open' AND has({runs:Array(String)}, run_id) LIMIT 1"
    of_run = "SELECT policy_hash, input_ref FROM runs WHERE run_id = {run_id:String}"
    (policy, artifact), *_ = site.ask(of_run, run_id=site.faulty)
    return {
        "faulty": site.faulty, "policy": policy, "artifact": artifact,
        "item": site.ask(asking, runs=sorted(questions))[0][0], "decided": corrected.rpartition("/")[2],
    }  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_fault_in_any_form(page: Page, site: Site, ids: dict[str, str], path: str) -> None:
    _look(page, site, site.base + path.format(**ids))


def test_the_pages_of_what_moved_have_no_fault_in_any_form(page: Page, site: Site) -> None:
    with _apart(site, "moved") as (base, own):
        drifting(own, hours=HOURS)
        put_runs(own, 1, start=f"2026-11-02 {HOURS + 1:02d}:30:00", first=90_000)
        with open_drift_store(own) as store:
            watch_once(store, PLAN)
        page.goto(f"{base}/drift")
        page.locator("main a[href*='/drift/']").first.click()
        page.wait_for_url("**/drift/*")
        expect(page.get_by_role("heading", name="Runs before")).to_be_visible()
        for address in (f"{base}/drift", page.url):
            _look(page, replace(site, base=base), address)


def test_the_page_of_a_run_that_is_still_open_has_no_fault_in_any_form(page: Page, site: Site) -> None:
    with _apart(site, "still_open") as (base, own):
        _insert(
            own, "event_rows (run_id, event_id, occurred_at, event_type, step_kind, step_name, status)", OPEN_EVENTS
        )
        _look(page, replace(site, base=base), f"{base}/runs/{OPEN}")
        expect(page.get_by_role("heading", name="Still open")).to_be_visible()
        expect(page.locator("tbody tr")).to_have_count(len(OPEN_EVENTS))


def test_the_pages_of_dead_letters_and_of_their_replay_have_no_fault_in_any_form(page: Page, site: Site) -> None:
    with _apart(site, "dead") as (base, own):
        _insert(own, "dead_letter_rows (dead_id, observed_at, stage, topic, partition, offset, reason, value)", DEAD)
        page.goto(f"{base}/enter?key={link_key(TOKEN, time.time())}&to=/pipeline&name=Anna")
        apart = replace(site, base=base)
        _look(page, apart, f"{base}/pipeline")
        seen = watched(page, apart)
        page.get_by_role("button", name="Send corrupt again").click()
        expect(page.get_by_role("heading", name="Send 60 messages again?")).to_be_visible()
        expect(page.locator("main")).to_contain_text("and 10 more")
        _in_every_form(page, seen)
        page.get_by_role("link", name="No", exact=True).click()
        expect(page.get_by_role("heading", name="Dead letters")).to_be_visible()


OPEN = "5" * 32
OPEN_EVENTS = [
    (OPEN, "a", "2026-11-02 08:00:00", "run_started", None, None, None),
    (OPEN, "b", "2026-11-02 08:00:01", "step_finished", "tool", "look up the order", "error"),
    (OPEN, "c", "2026-11-02 08:00:02", "step_finished", "model_call", "n" * 400, "ok"),
]
DEAD = [
    (f"{number}", "2026-11-02 08:00:00", "loader", "causeline.events", 0, number, reason, f"bytes {number}")
    for number, reason in enumerate(["corrupt"] * 60 + ["unknown_schema"] * 2)
]


def _insert(connection: ClickHouseConnection, into: str, rows: Sequence[tuple[object, ...]]) -> None:
    values = ", ".join(f"({', '.join('NULL' if each is None else repr(each) for each in row)})" for row in rows)
    with clickhouse_client(connection) as client:
        client.command(f"INSERT INTO {into} VALUES {values}")


@contextmanager
def _apart(site: Site, name: str) -> Iterator[tuple[str, ClickHouseConnection]]:
    """The address of a console over tables of its own, and how to fill them."""
    direct = ClickHouseConnection.from_environment(site.endpoints.environment())
    own = ClickHouseConnection(url=re.sub(r"/[^/]*$", f"/{name}", direct.url), password=direct.password)
    with clickhouse_client(direct) as client:
        client.command(f"DROP DATABASE IF EXISTS {name} SYNC")  # of a session that was ended
        migrate(own)
        try:
            with console_of(Stores(own, DEFAULT_PREFIX), site.endpoints.artifacts) as base:
                yield base, own
        finally:
            client.command(f"DROP DATABASE {name} SYNC")


def _look(page: Page, site: Site, address: str) -> None:
    seen = watched(page, site)
    page.goto(address)
    _in_every_form(page, seen)


def _in_every_form(page: Page, seen: Seen) -> None:
    """The page as it stands; `seen` is what it has done since it was asked for."""
    for form, (media, (width, height)) in FORMS.items():
        page.emulate_media(**media)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": height})
        is_whole = page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert is_whole, f"{form}: the page scrolls sideways"
        found = Axe().run(page)
        assert not found.response["violations"], f"{form}: {found.generate_report()}"
    complaints = [text for text in seen.errors if "Failed to load resource" not in text]
    assert not complaints, complaints
    assert not seen.elsewhere, seen.elsewhere


def test_the_page_of_a_run_names_the_planted_fault_and_shows_where_it_is(page: Page, site: Site) -> None:
    page.goto(f"{site.base}/runs/{site.faulty}")

    cause = page.locator(".causes a[data-step]").first
    expect(cause).to_have_text(re.compile(f"^{LAYER}:"))
    expect(page.locator(".lead")).to_contain_text(cause.inner_text().partition(":")[2])
    expect(page.locator(".wf .num").first, "the first cause is a number on the waterfall").to_be_visible()
    expect(page.locator("#details h2")).to_have_text(cause.inner_text())


@pytest.mark.usefixtures("questions")
def test_the_page_of_an_item_that_one_has_taken_has_no_fault_in_any_form(page: Page, site: Site) -> None:
    page.goto(f"{site.base}/reviews")
    page.get_by_role("button", name="Take the next item").click()
    page.wait_for_url(MINE)

    _look(page, site, page.url)
    page.get_by_role("button", name="Give it back").click()

"""What a page says when there is nothing, little, not yet, not all, or no store to ask: never a lie."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from causeline import ArtifactStore, Tracer
from causeline.ops.erasing import erase
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.topics import DEFAULT_PREFIX
from causeline.sinks.migrate import migrate
from causeline.stack.waiting import wait_until
from causeline.web.stores import Stores
from tests.browser.conftest import PATIENCE_S, Site, watched
from tests.browser.served import console_of
from tests.faults.proxy import Proxy
from tests.integration.console.conftest import insert_runs
from tests.unit.console.samples import clean_run, failed_run


@dataclass
class Small:
    """A console over tables of its own, which hold what a test puts there; its way to the engine may have trouble."""

    base: str
    connection: ClickHouseConnection
    proxy: Proxy


@pytest.fixture(scope="module")
def small(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    """Empty tables at first; the tests of this module fill them in their order."""
    direct = ClickHouseConnection.from_environment(site.endpoints.environment())
    own = ClickHouseConnection(url=re.sub(r"/[^/]*$", "/small", direct.url), password=direct.password)
    with clickhouse_client(direct) as client:
        client.command("DROP DATABASE IF EXISTS small SYNC")  # of a session that was ended
    migrate(own)
    with Proxy(own.port) as proxy:
        way = ClickHouseConnection(url=own.url.replace(f":{own.port}/", f":{proxy.port}/"), password=own.password)
        with console_of(Stores(way, DEFAULT_PREFIX), tmp_path_factory.mktemp("artifacts")) as base:
            yield Small(base, own, proxy)
    with clickhouse_client(own) as client:
        client.command("DROP DATABASE small SYNC")


@pytest.mark.parametrize(("path", "says"), [
    ("/", "No run in the last 24 hours"), ("/runs?since=all", "There are no runs yet"), ("/reviews", "Nothing waits"),
    ("/causes?since=all", "No run matches"), ("/sessions?since=all", "No session"),
    ("/policies", "No policy has judged"), ("/drift", "watch"), ("/evals", "case"),
])  # fmt: skip
def test_where_there_is_nothing_a_page_says_so_and_what_fills_it(
    page: Page, small: Small, path: str, says: str
) -> None:
    page.goto(small.base + path)

    expect(page.locator("main")).to_contain_text(says)


def test_a_run_that_comes_is_news_to_a_list_that_is_open_and_moves_nothing(page: Page, small: Small) -> None:
    page.goto(f"{small.base}/runs?since=all")
    expect(page.locator("main")).to_contain_text("There are no runs yet")
    insert_runs(small.connection, clean_run(1))

    expect(page.locator("[data-said]")).to_have_text("1 new run.")
    expect(page.locator("main")).to_contain_text("There are no runs yet")
    page.get_by_role("link", name="Show", exact=True).click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("[data-live]")).to_be_hidden()


def test_a_run_that_is_amended_while_it_is_read_says_so(page: Page, small: Small) -> None:
    run = clean_run(2)
    insert_runs(small.connection, run)
    page.goto(f"{small.base}/runs/{run.run_id}")
    insert_runs(small.connection, replace(run, revision=run.revision + 1, amended=True))

    expect(page.locator("[data-said]")).to_contain_text("amended meanwhile: revision")
    page.get_by_role("link", name="Show", exact=True).click()
    expect(page.locator("main")).to_contain_text("This record was amended after its first close")


def test_what_a_record_lacks_stands_as_rows_without_bars(page: Page, small: Small) -> None:
    partial = replace(
        clean_run(3), verdict="partial", missing=("tool:fetch", "end"), events_lost=2, close_reason="grace"
    )
    insert_runs(small.connection, partial)
    page.goto(f"{small.base}/runs/{partial.run_id}")

    hollow = page.locator(".wf tr.hollow")
    expect(hollow).to_have_count(2)
    expect(hollow.first).to_contain_text("tool:fetch")
    expect(hollow.first).to_contain_text("missing")
    assert hollow.locator("svg").count() == 0
    expect(page.locator("main")).to_contain_text("2 events lost")


def test_a_run_without_an_end_says_that_it_has_none(page: Page, small: Small) -> None:
    unfinished = replace(failed_run(4), verdict="unfinished", final_state=None, missing=("end",), close_reason="idle")
    insert_runs(small.connection, unfinished)
    page.goto(f"{small.base}/runs/{unfinished.run_id}")

    expect(page.locator("main")).to_contain_text("its end never came")


def test_a_run_that_is_erased_while_it_is_read_says_so_and_is_gone(page: Page, small: Small, tmp_path: Path) -> None:
    run = clean_run(5)
    insert_runs(small.connection, run)
    page.goto(f"{small.base}/runs/{run.run_id}")
    with clickhouse_client(small.connection) as client:
        erase(client, ArtifactStore.open(tmp_path), run.run_id)

    expect(page.locator("[data-said]")).to_have_text("This run was erased.")
    page.reload()
    expect(page.locator("main")).to_contain_text("No run has the id")


def test_a_foreign_run_claims_no_more_than_can_be_known(page: Page, site: Site) -> None:
    page.goto(f"{site.base}/runs?workflow=help_desk&verdict=complete&since=all")  # they come over OTLP
    page.locator("tbody a").first.click()

    expect(page.locator("main")).to_contain_text("its root and every span that another names are in")
    expect(page.locator("main")).not_to_contain_text("that its workflow sent are in")


def test_an_engine_that_goes_and_comes_back_is_told_on_the_page_that_is_open(
    page: Page, site: Site, small: Small
) -> None:
    insert_runs(small.connection, clean_run(6))
    seen = watched(page, replace(site, base=small.base))
    page.goto(f"{small.base}/runs?since=all")
    rows = page.locator("tbody tr").count()
    small.proxy.go_away()
    try:
        expect(page.locator("[data-said]")).to_contain_text("may be out of date")
        assert page.locator("tbody tr").count() == rows, "what was shown stays"
        page.goto(f"{small.base}/runs?since=7d")
        expect(page.get_by_role("heading", name="Away")).to_be_visible()
        expect(page.locator("main")).not_to_contain_text("Traceback")
        page.go_back()
    finally:
        small.proxy.heal()
    page.goto(f"{small.base}/runs?since=all")
    assert page.locator("tbody tr").count() == rows
    expect(page.locator("[data-live]")).to_be_hidden()
    assert not [text for text in seen.errors if "Failed to load" not in text]


def test_an_engine_that_is_slow_gets_its_time_and_the_page_is_whole(page: Page, small: Small) -> None:
    insert_runs(small.connection, clean_run(7))
    small.proxy.delay_s = 0.5
    try:
        page.goto(f"{small.base}/runs?since=all")
        expect(page.locator("tbody tr").first).to_be_visible()
    finally:
        small.proxy.delay_s = 0.0


def test_a_run_that_is_still_open_is_told_so_far_and_its_joining_is_news(page: Page, site: Site) -> None:
    with site.environment(), Tracer("open") as tracer:
        run = tracer.run("slow answer")
        with run:
            with run.step("tool", "first"):
                pass
            assert not tracer.flush(PATIENCE_S)
            wait_until(lambda: _events(site, run.run_id) >= 2, timeout_s=PATIENCE_S, what="the events do not come")
            page.goto(f"{site.base}/runs/{run.run_id}")
            expect(page.get_by_role("heading", name="Still open")).to_be_visible()
            expect(page.locator("main")).to_contain_text("2 of its events are in")
            expect(page.locator("tbody")).to_contain_text("first")
            assert page.locator(".causes").count() == 0, "of what is not complete no cause is named"
        assert not tracer.flush(PATIENCE_S)
    expect(page.locator("[data-said]")).to_have_text("The run is joined now.")
    page.get_by_role("link", name="Show", exact=True).click()
    expect(page.locator(".lead")).to_be_visible()


def _events(site: Site, run_id: str) -> int:
    return int(site.ask("SELECT count() FROM events WHERE run_id = {run_id:String}", run_id=run_id)[0][0])


def test_what_is_below_a_step_folds_away_by_key_and_by_button(page: Page, site: Site) -> None:
    page.goto(f"{site.base}/runs?workflow=help_desk&since=all")  # they come over OTLP, and have steps below steps
    page.locator("tbody a").first.click()
    button = page.locator("button.fold").first
    shown = page.locator(".wf tbody tr:visible")
    before = shown.count()
    button.click()
    expect(button).to_have_attribute("aria-expanded", "false")
    assert shown.count() < before
    page.keyboard.press("l")
    assert shown.count() == before
    page.keyboard.press("h")
    assert shown.count() < before

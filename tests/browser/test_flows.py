"""What people come for, done as they do it: by keyboard, by mouse, two at once, without scripts, back and forth."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from causeline.reviews.leases import release
from causeline.reviews.queue import item_by_id
from causeline.reviews.store import open_leases
from causeline.runtime.connections import ClickHouseConnection
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until
from causeline.web.stores import Stores
from tests.browser.conftest import MINE, PATIENCE_S, Site
from tests.browser.served import behind, console_of


@contextmanager
def _reader(browser: Browser, site: Site, name: str, *, scripts: bool = True) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=scripts, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_S * 1000)
    page = context.new_page()
    page.goto(site.enter().replace("Anna", name))
    try:
        yield page
    finally:
        context.close()


def _tab_to(page: Page, query: str, *, most: int = 120) -> None:
    """Press Tab until what `query` names has the focus."""
    for _ in range(most):
        if page.evaluate("(query) => document.activeElement.matches(query)", query):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{query} cannot be reached by Tab on {page.url}")


def decided(page: Page, outcome: str) -> None:
    """The page says that its item is decided; on a slow machine it may have to be asked again."""
    told = page.get_by_label("Decision").get_by_role("heading", name=re.compile("^(Decided|Sent)$"))
    expect(told).to_be_visible()
    if told.inner_text() == "Sent":
        page.get_by_role("link", name="Look again").click()
        page.wait_for_url(MINE)

        def is_told() -> int:
            page.reload()
            return told.count()

        wait_until(is_told, timeout_s=PATIENCE_S, what="the decision cannot be read")
    expect(page.get_by_label("Decision")).to_contain_text(outcome)


@pytest.mark.usefixtures("questions")
def test_by_keyboard_alone_from_part_of_an_id_to_a_decision(page: Page, site: Site) -> None:
    page.keyboard.press("/")
    page.keyboard.type(site.faulty[-9:])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/runs/{site.faulty}*")

    page.keyboard.press("c")
    expect(page.locator(".wf tr.on .c-mark a").first).to_be_visible()
    _tab_to(page, ".wf a.step")
    page.keyboard.press("j")
    page.keyboard.press("k")
    _tab_to(page, "#details a[href*='/artifacts?']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/artifacts?**")
    expect(page.locator(".excerpt, img, .empty").first).to_be_visible()

    _tab_to(page, ".nav a[href$='/reviews']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/reviews")
    _tab_to(page, "form[action$='/reviews/next'] button")
    page.keyboard.press("Enter")
    page.wait_for_url(MINE)
    page.keyboard.press("o")
    page.keyboard.type("300 EUR")
    page.keyboard.press("Control+Enter")
    decided(page, "overridden")
    expect(page.get_by_label("Decision")).to_contain_text("artifact:")


def test_the_key_for_causes_walks_the_causes_and_not_what_followed(page: Page, site: Site) -> None:
    page.goto(f"{site.base}/runs?gap=any")
    listed = [str(each.get_attribute("href")) for each in page.locator("tbody td:first-child a").all()][:12]
    for address in (f"/runs/{site.faulty}", *listed):
        page.goto(site.base + address)
        steps = page.evaluate(
            "() => [...new Set([...document.querySelectorAll('.causes > li')].map(cause =>"
            " cause.querySelector('a.at')?.dataset.step).filter(Boolean))]"
        )
        if not steps:
            continue
        chosen = page.evaluate("() => document.querySelector('.wf tr.on')?.id.slice(5)")
        at = steps.index(chosen) if chosen in steps else -1
        for presses, key in enumerate("c" * len(steps), start=1):
            page.keyboard.press(key)
            expect(page.locator(f"#step-{steps[(at + presses) % len(steps)]}.on")).to_be_visible()


@pytest.mark.usefixtures("questions")
def test_by_mouse_alone_from_the_overview_to_a_decision(page: Page, site: Site) -> None:
    page.goto(f"{site.base}/runs?since=all&id={site.faulty[-9:]}")
    page.locator("tbody a").first.click()
    page.locator(".causes a[data-step]").first.click()
    page.locator("#details a[href*='/artifacts?']").first.click()
    page.wait_for_url("**/artifacts?**")

    page.get_by_role("link", name="Reviews").click()
    page.get_by_role("button", name="Take the next item").click()
    page.wait_for_url(MINE)
    page.get_by_role("button", name="Approve").click()
    decided(page, "approved")
    page.get_by_role("link", name=re.compile("what went wrong")).click()
    page.wait_for_url("**/runs/**")


@pytest.mark.usefixtures("questions")
def test_an_item_that_somebody_else_has_taken_is_refused_with_a_sentence(browser: Browser, site: Site) -> None:
    with _reader(browser, site, "Anna") as anna, _reader(browser, site, "Ben") as ben:
        ben.goto(f"{site.base}/reviews")
        ben.locator("tbody tr", has_not=ben.locator(".mono.small")).locator("a").first.click()
        address = ben.url
        anna.goto(address)
        anna.get_by_role("button", name="Take this item").click()
        expect(anna.get_by_role("button", name="Approve")).to_be_visible()

        ben.get_by_role("button", name="Take this item").click()
        expect(ben.locator("main")).to_contain_text("leased")
        ben.goto(address)
        expect(ben.get_by_label("Decision")).to_contain_text("Somebody else has this item")
        anna.get_by_role("button", name="Give it back").click()
        ben.reload()
        expect(ben.get_by_role("button", name="Take this item")).to_be_visible()


@pytest.mark.usefixtures("questions")
def test_a_lease_that_has_ended_meanwhile_keeps_what_was_written(browser: Browser, site: Site) -> None:
    with _reader(browser, site, "Anna") as anna, _reader(browser, site, "Ben") as ben:
        anna.goto(f"{site.base}/reviews")
        anna.get_by_role("button", name="Take the next item").click()
        anna.wait_for_url(MINE)
        anna.get_by_label("What is right").fill("what Anna wrote")
        _end_lease(site.endpoints, anna.url.rpartition("/")[2])
        ben.goto(anna.url)
        ben.get_by_role("button", name="Take this item").click()
        expect(ben.get_by_role("button", name="Approve")).to_be_visible()

        anna.get_by_role("button", name="Correct").click()
        expect(anna.get_by_role("alert")).to_contain_text("leased")
        expect(anna.locator("body")).to_contain_text("what Anna wrote")
        ben.get_by_role("button", name="Give it back").click()


def _end_lease(endpoints: Endpoints, item_id: str) -> None:
    connection = ClickHouseConnection.from_environment(endpoints.environment())
    with open_leases(connection) as store:
        item = item_by_id(store, item_id)
        assert item.leased_by
        release(store, item, item.leased_by)


def test_back_forward_and_reload_keep_what_is_shown(page: Page, site: Site) -> None:
    page.goto(f"{site.base}/runs?gap=any&since=7d&id={site.faulty[-9:]}")
    page.locator("tbody a").first.click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f]{32}\?.*gap=any"))
    steps = page.locator(".wf a.step")
    names = []
    for at in (0, 1):
        steps.nth(at).click()
        page.wait_for_url(re.compile("step=" + str(steps.nth(at).get_attribute("data-step"))))
        names.append(page.locator("#details h2").inner_text())
    assert names[0] != names[1]

    page.go_back()
    expect(page.locator("#details h2")).to_have_text(names[0])
    page.go_forward()
    expect(page.locator("#details h2")).to_have_text(names[1])
    page.reload()
    expect(page.locator("#details h2")).to_have_text(names[1])
    page.get_by_role("navigation", name="Path").get_by_role("link").first.click()
    expect(page.locator("select[name=gap]")).to_have_value("any")
    expect(page.locator("select[name=since]")).to_have_value("7d")


@pytest.mark.usefixtures("questions")
def test_the_keys_for_next_and_previous_walk_the_list_that_a_run_was_opened_from(page: Page, site: Site) -> None:
    page.goto(f"{site.base}/runs?gap=any")
    listed = [each.get_attribute("title") for each in page.locator("tbody td:first-child a").all()]
    page.locator("tbody a").first.click()
    page.wait_for_url(f"**/runs/{listed[0]}?*")
    for key, at in (("]", 1), ("]", 2), ("[", 1)):
        page.keyboard.press(key)
        page.wait_for_url(f"**/runs/{listed[at]}?*")
    assert "gap=any" in page.url


def test_times_are_told_in_one_zone_at_a_time_over_a_change_of_clocks(browser: Browser, site: Site) -> None:
    context = browser.new_context(timezone_id="Europe/Berlin")
    context.set_default_timeout(PATIENCE_S * 1000)
    page = context.new_page()
    page.goto(site.enter())
    page.goto(f"{site.base}/runs?since=all")
    utc = page.locator("time").first.inner_text()
    page.keyboard.press("z")
    expect(page.locator("footer")).to_contain_text("Europe/Berlin")
    here = page.locator("time").first.inner_text()
    assert here != utc
    shown = page.evaluate(
        "() => { const t = document.querySelector('time'); t.dateTime = '2026-03-29T01:30:00+00:00'; zoned(true);"
        " return t.textContent; }"
    )
    assert shown == "2026-03-29 03:30:00", "the hour after clocks went forward"
    page.reload()
    expect(page.locator("footer")).to_contain_text("Europe/Berlin")
    context.close()


@pytest.mark.usefixtures("questions")
def test_without_scripts_a_run_is_read_and_a_review_resolved(browser: Browser, site: Site) -> None:
    with _reader(browser, site, "Cora", scripts=False) as page:
        page.locator("#find").fill(site.faulty[-9:])
        page.get_by_role("button", name="Open").click()
        page.wait_for_url(f"**/runs/{site.faulty}*")
        step = page.locator(".wf a.step").nth(1)
        name = step.inner_text().split()[-1]
        step.click()
        expect(page.locator("#details h2")).to_contain_text(name)

        page.goto(f"{site.base}/reviews")
        page.get_by_role("button", name="Take the next item").click()
        page.get_by_role("button", name="Approve").click()
        decided(page, "approved")


def test_below_the_path_of_a_proxy_every_address_stays_below_it(
    browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = "/tools/causeline"
    with _under(site, prefix, monkeypatch) as base, _reader(browser, site, "Dora") as page:
        for path in ("/", "/runs", f"/runs/{site.faulty}", "/reviews", "/drift", "/evals", "/sql", "/pipeline"):
            page.goto(base + path)
            addresses = page.evaluate(
                "() => [...document.querySelectorAll('[href],[src],[action],[data-details],[data-waterfall]')].flatMap("
                "e => ['href','src','action','data-details','data-waterfall'].map(n => e.getAttribute(n)))"
            )
            outside = [each for each in addresses if each and each[0] == "/" and not each.startswith(prefix + "/")]
            assert not outside, f"{path}: {outside[:3]}"
        page.goto(f"{base}/runs/{site.faulty}")
        page.locator(".wf a.step").nth(1).click()
        page.wait_for_url(re.compile(f"{prefix}/runs/.*step="))
        expect(page.locator("#details h2")).to_be_visible()


@contextmanager
def _under(site: Site, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The console of the stack's store, below the path of a proxy."""
    for name, value in site.endpoints.environment().items():
        monkeypatch.setenv(name, value)
    stores = Stores(ClickHouseConnection.from_environment(site.endpoints.environment()), site.endpoints.topic_prefix)
    with (
        console_of(stores, site.endpoints.artifacts, root_path=prefix) as inner,
        behind(prefix, int(inner.rpartition(":")[2])) as base,
    ):
        yield base

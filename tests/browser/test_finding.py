"""What somebody who never saw the console is sent to find, by mouse alone and by keyboard alone; clicks, keys, seconds.

What each took is told at the end of the session.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Site, Took, took
from tests.browser.test_flows import decided


@dataclass
class Hand:
    """Somebody's mouse, or keyboard: what is done with it is counted."""

    page: Page
    uses: str
    acts: int = 0
    began: float = field(default_factory=time.monotonic)

    def follow(self, what: Locator) -> None:
        """Go where a link leads: one click; or j down to its row, Tab to any other, and Enter."""
        before = self.page.url
        if self.uses == "mouse":
            self.acts += 1
            what.click()
        else:
            handle = what.element_handle()
            key = "j" if handle.evaluate("link => Boolean(link.closest('[data-rows] tbody'))") else "Tab"
            for _ in range(150):
                if handle.evaluate("link => link === document.activeElement"):
                    break
                self.press(key)
            else:
                raise AssertionError(f"{key} does not reach {what}")
            self.press("Enter")
        expect(self.page).not_to_have_url(before)
        self.page.wait_for_load_state()  # what the next act is aimed at is all there

    def press(self, key: str) -> None:
        """A key."""
        assert self.uses == "keyboard"
        self.acts += 1
        self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        """Text, letter by letter."""
        for letter in text:
            self.press(letter)


@pytest.fixture(params=["mouse", "keyboard"])
def hand(page: Page, request: pytest.FixtureRequest) -> Iterator[Hand]:
    """A hand on the console's first page; what it took is told."""
    used = Hand(page, request.param)
    yield used
    task = request.node.name.partition("[")[0].removeprefix("test_finds_").replace("_", " ")
    request.config.stash.setdefault(took, []).append(
        Took(task, used.uses, used.acts, round(time.monotonic() - used.began, 1))
    )


def _open_run(hand: Hand, run_id: str) -> None:
    """From the first page to the run whose id ends with given digits."""
    digits = run_id[-8:]
    if hand.uses == "keyboard":
        hand.press("/")
        hand.type(digits)
        hand.press("Enter")
    else:
        hand.follow(hand.page.get_by_role("navigation", name="Pages").get_by_role("link", name="Runs"))
        expect(hand.page.get_by_role("heading", name="Runs")).to_be_visible()
        while not (link := hand.page.locator("tbody").get_by_role("link", name=digits)).count():
            hand.follow(hand.page.get_by_role("link", name="Older runs"))
        hand.follow(link)
    hand.page.wait_for_url(f"**/runs/{run_id}*")


def test_finds_the_cause_of_a_run_whose_id_ends_with_given_digits(hand: Hand, site: Site) -> None:
    said = site.get(f"/api/v1/runs/{site.faulty}/why").json()
    _open_run(hand, site.faulty)

    expect(hand.page.locator(".lead")).to_have_text(said["summary"])
    expect(hand.page.locator(".wf tr.on .num").first).to_have_text("1")


@pytest.fixture(scope="module")
def citing(site: Site) -> str:
    """A run that cites a place in a document."""
    cites = "arrayExists(each -> arrayExists(ref -> match(ref, '^artifact:.*#chars='), each.evidence_refs), evidence)"
    found = site.ask(f"SELECT run_id FROM runs WHERE workflow = 'contract' AND {cites} ORDER BY run_id LIMIT 1")
    assert found, "no run of the demo cites a place"
    return str(found[0][0])


def test_finds_the_page_of_the_document_that_was_cited(hand: Hand, citing: str) -> None:
    _open_run(hand, citing)
    hand.follow(hand.page.get_by_role("list", name="Views of the run").get_by_role("link", name="Evidence"))
    hand.follow(hand.page.locator("main a[href*='/artifacts?'][href*='%23chars']").first)
    hand.page.wait_for_url("**/artifacts?**")

    cited = hand.page.locator(".excerpt mark")
    expect(cited).to_be_in_viewport()


def test_finds_what_the_reviewer_corrected(hand: Hand, site: Site, corrected: str) -> None:
    hand.follow(hand.page.get_by_role("navigation", name="Pages").get_by_role("link", name="Reviews"))
    hand.follow(hand.page.get_by_role("link", name="resolved", exact=True))
    hand.follow(hand.page.locator(f"a[href$='{corrected}']"))
    decided(hand.page, "overridden")
    hand.follow(hand.page.get_by_label("Decision").locator("a[href*='/artifacts?']").first)

    expect(hand.page.locator(".excerpt")).to_have_text("412 EUR")


def test_finds_what_this_cause_cost_this_week(hand: Hand, site: Site) -> None:
    _open_run(hand, site.faulty)
    hand.follow(hand.page.get_by_role("link", name="How often this happened in a week"))

    expect(hand.page.get_by_role("heading", name="What went wrong")).to_be_visible()
    this = hand.page.locator("tr#meant")
    expect(this).to_contain_text(f"run {site.faulty[-8:]} counts here")
    expect(this).to_be_in_viewport()
    expect(this.locator("td.n").nth(2)).to_contain_text("$")

"""What somebody who never saw the console is sent to find, by mouse alone and by keyboard alone; clicks, keys, seconds.

CAUSELINE_FINDINGS names a file that takes one line of JSON for each task.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Site
from tests.browser.test_flows import MINE, _decided

_FINDINGS = os.environ.get("CAUSELINE_FINDINGS")  # now: a test has no variables of ours


@dataclass
class Hand:
    """Somebody's mouse, or keyboard: what is done with it is counted."""

    page: Page
    uses: str
    acts: int = 0
    began: float = field(default_factory=time.monotonic)

    def follow(self, what: Locator) -> None:
        """Go where a link or button leads: one click, or Tab until it has the focus, and Enter."""
        if self.uses == "mouse":
            self.acts += 1
            what.click()
            return
        handle = what.element_handle()
        for _ in range(150):
            if handle.evaluate("element => element === document.activeElement"):
                break
            self.press("Tab")
        else:
            raise AssertionError(f"Tab does not reach {what}")
        self.press("Enter")

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
    if _FINDINGS:
        task = request.node.name.partition("[")[0].removeprefix("test_finds_")
        line = {"task": task, "by": used.uses, "acts": used.acts, "seconds": round(time.monotonic() - used.began, 1)}
        with Path(_FINDINGS).open("a") as kept:
            kept.write(json.dumps(line) + "\n")


def _open_run(hand: Hand, run_id: str) -> None:
    """From the first page to the run whose id ends with given digits."""
    digits = run_id[-8:]
    if hand.uses == "keyboard":
        hand.press("/")
        hand.type(digits)
        hand.press("Enter")
    else:
        hand.follow(hand.page.get_by_role("navigation", name="Pages").get_by_role("link", name="Runs"))
        while not (link := hand.page.get_by_role("link", name=digits)).count():
            hand.follow(hand.page.get_by_role("link", name="Older runs"))
        hand.follow(link)
    hand.page.wait_for_url(f"**/runs/{run_id}*")


def test_finds_the_cause_of_a_run_whose_id_ends_with_given_digits(hand: Hand, site: Site) -> None:
    said = httpx.get(f"{site.base}/api/v1/runs/{site.faulty}/why", timeout=60).json()
    _open_run(hand, site.faulty)

    expect(hand.page.locator(".lead")).to_have_text(said["summary"])
    expect(hand.page.locator(".wf tr.on .num").first).to_have_text("1")


@pytest.fixture(scope="module")
def citing(site: Site) -> str:
    """A run that cites a place in a document."""
    for run in httpx.get(f"{site.base}/api/v1/runs?since=all", timeout=60).json()["runs"]:
        whole = httpx.get(f"{site.base}/api/v1/runs/{run['run_id']}", timeout=60).text
        if re.search(r'"evidence_refs": ?\["artifact:sha256/[^"]*#', whole):
            return str(run["run_id"])
    raise AssertionError("no run of the demo cites a place")


def test_finds_the_page_of_the_document_that_was_cited(hand: Hand, citing: str) -> None:
    _open_run(hand, citing)
    hand.follow(hand.page.get_by_role("list", name="Views of the run").get_by_role("link", name="Evidence"))
    hand.follow(hand.page.locator("main a[href*='/artifacts?']", has_text="#").first)
    hand.page.wait_for_url("**/artifacts?**")

    cited = hand.page.locator(".excerpt mark")
    expect(cited).to_be_in_viewport()


@pytest.fixture(scope="module")
def corrected(site: Site) -> str:
    """The question of an item that a reviewer has corrected, to 412 EUR."""
    with httpx.Client(base_url=site.base, timeout=60, headers={"accept": "text/html"}, follow_redirects=True) as client:
        client.get(site.enter().removeprefix(site.base).replace("Anna", "Eve"))
        csrf = _field(client.get("/reviews").text, "csrf")
        taken = client.post("/reviews/next", data={"csrf": csrf})
        assert MINE.search(str(taken.url))
        decided = client.post(
            f"{taken.url.path}/resolve", data={"csrf": csrf, "outcome": "overridden", "value": "412 EUR"}
        )
        assert decided.status_code == 200, decided.text[:500]
        return str(taken.url.path)


def _field(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found
    return found[1]


def test_finds_what_the_reviewer_corrected(hand: Hand, site: Site, corrected: str) -> None:
    hand.follow(hand.page.get_by_role("navigation", name="Pages").get_by_role("link", name="Reviews"))
    hand.follow(hand.page.get_by_role("link", name="resolved", exact=True))
    hand.follow(hand.page.locator(f"a[href$='{corrected}']"))
    _decided(hand.page, "overridden")
    hand.follow(hand.page.get_by_label("Decision").locator("a[href*='/artifacts?']").first)

    expect(hand.page.locator(".excerpt")).to_have_text("412 EUR")


def test_finds_what_this_cause_cost_this_week(hand: Hand, site: Site) -> None:
    _open_run(hand, site.faulty)
    hand.follow(hand.page.get_by_role("link", name="How often this happened in a week"))

    expect(hand.page.get_by_role("heading", name="What went wrong")).to_be_visible()
    expect(hand.page.locator("tbody tr").first.locator("td.n").nth(2)).to_contain_text("$")
    assert hand.page.locator("#meant").count() <= 1, "of all the week's causes at most one is this one"

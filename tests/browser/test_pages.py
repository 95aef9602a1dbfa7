"""Every page, in every form that people look at it in: no fault that axe knows, no complaint, no request elsewhere."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Site, watched

PAGES = (
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


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_fault_in_any_form(page: Page, site: Site, path: str) -> None:
    seen = watched(page, site)
    page.goto(site.base + path.format(faulty=site.faulty))

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

    lead = page.locator(".lead").inner_text()
    assert lead
    marked = page.locator(".wf .num").first
    assert marked.is_visible(), "the first cause is a number on the waterfall"
    assert page.locator("#details h2").inner_text() == page.locator(".causes a[data-step]").first.inner_text()

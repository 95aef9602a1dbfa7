"""A run with a canary in every text that a record has: on every page it stays text, seen and escaped."""

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import quote

import pytest

from causeline.console.answers import Record
from causeline.schemas.run import Run
from tests.unit.web.test_pages import OneRun, client

CANARY = "<img src=x onerror=alert(1)><script>alert(1)</script>'\"{{7*7}}\u202e\u200b"
RUN = "a" * 32
AT = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
PLAIN: Mapping[type, object] = {str: CANARY, int: 1, float: 0.5, bool: True, datetime: AT}


def filled(hint: Any) -> Any:
    """A value of a type with the canary wherever text may stand."""
    if is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint)
        return hint(**{each.name: filled(hints[each.name]) for each in fields(hint)})
    if get_origin(hint) is tuple:
        return (filled(get_args(hint)[0]),)
    if get_origin(hint) is not None and isinstance(get_origin(hint), type) and issubclass(get_origin(hint), Mapping):
        return {CANARY: CANARY}
    if members := [each for each in get_args(hint) if each is not type(None)]:
        return filled(members[0])
    return PLAIN[hint]


class Hostile(OneRun):
    """Holds that run, tells it in lists too, and says the canary for whatever else it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.run = replace(filled(Run), run_id=RUN)

    def ask(self, sql: str, parameters: Mapping[str, object] | None = None, *, is_small: bool = False) -> list[Record]:
        if "FROM events" in sql:
            return [
                {
                    "event_id": CANARY,
                    "occurred_at": AT,
                    "emitter_id": CANARY,
                    "seq": 1,
                    "event_type": CANARY,
                    "step_name": CANARY,
                    "labels": {CANARY: CANARY},
                }
            ]
        if "FROM rollups" in sql:
            return [{"workflow": CANARY}]
        if "(SELECT groupArray(" in sql:
            return [{"live": [(CANARY, CANARY, CANARY, 0.1, 0.7, CANARY, CANARY)], "policy": CANARY}]
        is_of_runs = sql.startswith(("SELECT * FROM runs", "SELECT run_id"))
        return [asdict(self.run)] if is_of_runs and "run_texts" not in sql else []


class Tags(HTMLParser):
    """Which elements a page has, and which attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


PAGES = (
    f"/runs/{RUN}", f"/runs/{RUN}?all=1", f"/runs/{RUN}/evidence", f"/runs/{RUN}/events",
    f"/runs/{RUN}/details?step={quote(CANARY)}", f"/compare?a={RUN}&b={RUN}", "/runs?since=all", f"/r?id={RUN}",
)  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_what_is_stored_never_becomes_part_of_a_page(path: str) -> None:
    page = client(Hostile()).get(path, follow_redirects=True)

    assert page.status_code == 200, page.text[:300]
    tags = Tags(page.text)
    assert not [name for name in tags.attributes if name.startswith("on")]
    assert "img" not in tags.names
    assert page.text.count("<script") == (1 if "<html" in page.text else 0)
    assert "{{7*7}}" in page.text, "no template takes what is stored for a template"
    assert not set(page.text) & {"\u202e", "\u200b"}, "what hides or turns text is made visible"


def test_the_canary_is_shown_so_that_this_test_can_fail() -> None:
    page = client(Hostile()).get(f"/runs/{RUN}").text

    assert page.count("&lt;img src=x") > 5


@pytest.mark.parametrize("path", [f"/api/v1/runs/{RUN}", f"/api/v1/runs/{RUN}/why", f"/api/v1/runs/{RUN}/steps"])
def test_the_api_says_it_as_json_that_no_browser_takes_for_a_page(path: str) -> None:
    answer = client(Hostile()).get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_ticket_is_plain_text() -> None:
    answer = client(Hostile()).get(f"/runs/{RUN}/ticket")

    assert answer.headers["content-type"].startswith("text/plain")

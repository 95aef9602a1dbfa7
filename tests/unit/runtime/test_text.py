"""What comes from elsewhere cannot move a cursor, hide or turn the text around it."""

import html
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from causeline.runtime.text import inert_json, inert_markdown, shortened, visible


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("abc\u202edef", "abc\\u202edef"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\x9b31m", "\\x9b31m"),
        ("line\u2028sep", "line\\u2028sep"),
        ("\U000e0041tag", "\\U000e0041tag"),
        ("lone\ud800", "lone\\ud800"),
        ("Prämie 保険料 ☂", "Prämie 保険料 ☂"),
    ],
)
def test_what_does_not_print_as_itself_is_escaped(hostile: str, shown: str) -> None:
    assert visible(hostile) == shown


@given(st.text())
def test_everything_shown_prints(text: str) -> None:
    assert visible(text).isprintable()


@given(st.text(), st.integers(min_value=0, max_value=80))
def test_a_shortened_text_has_at_most_the_width_and_keeps_both_ends(text: str, width: int) -> None:
    short = shortened(text, width)
    assert len(short) <= max(width, 0) or text == short
    if len(text) > width >= 5:
        assert short.startswith(text[: (width - 1) * 2 // 3])
        assert text.endswith(short.partition("…")[2]) or "…" in text


LIVE = [
    "@everyone", "mail me@example.com", "see #12", "https://evil.example", "www.evil.example", "<img src=x>", "<!-- x",
    "[text](javascript:alert)", "![](x)", "**bold**", "_it_", "`code`", "| cell |", "# heading", "- list", "1. list",
    "> quote", "~~gone~~", "a\\|b", "\x1b[2J", "line\nbreak", "$x$", "&lt;script&gt;", "[^1]", "{{template}}",
]  # fmt: skip


@pytest.mark.parametrize("hostile", LIVE)
def test_markdown_shows_it_and_does_nothing(hostile: str) -> None:
    """Held by a renderer: nothing but text comes out, and no mention is left in it."""
    renderer = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    shown = renderer.render(f"before {inert_markdown(hostile)} after")

    text = html.unescape(shown.removeprefix("<p>").removesuffix("</p>\n"))
    assert "<" not in shown[3:-5], shown
    assert text.replace("\u2060", "") == f"before {visible(hostile)} after"
    assert not re.search(r"@\w|#\d|https?://|www\.", text)


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_means_the_same_and_prints(document: object) -> None:
    shown = inert_json(json.dumps(document, ensure_ascii=False))
    assert shown.replace("\n", "").isprintable()
    assert json.loads(shown) == json.loads(json.dumps(document))

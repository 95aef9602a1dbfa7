"""What comes from elsewhere cannot move a cursor, hide or turn the text around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.console.safe_text import shortened, visible


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

"""Numbers and moments as people read them."""

from datetime import UTC, datetime

import pytest

from causeline.console import words


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (None, ""),
        (0, "0 µs"),
        (830, "830 µs"),
        (1_000, "1 ms"),
        (999_499, "999 ms"),
        (999_500, "1.00 s"),
        (1_240_000, "1.24 s"),
        (59_994_999, "59.99 s"),
        (60_000_000, "1 min 00 s"),
        (3_661_000_000, "1 h 01 min"),
        (-2_000, "-2 ms"),
    ],
)
def test_durations(micros: int | None, text: str) -> None:
    assert words.duration(micros) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(None, ""), (0.0, "$0.00"), (0.0123, "$0.0123"), (0.00001234, "$1.234e-05"), (1234.5, "$1,234.50")],
)
def test_dollars(amount: float | None, text: str) -> None:
    assert words.dollars(amount) == text


def test_moments_are_utc() -> None:
    assert words.moment(datetime(2026, 3, 1, 8, 0, 0, 123_999, tzinfo=UTC)) == "2026-03-01 08:00:00.123 UTC"
    assert words.moment(None) == ""


def test_lists_are_bounded() -> None:
    assert words.listed([]) == ""
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed([str(n) for n in range(2000)], most=2) == "0, 1 and 1,998 more"


def test_counts_agree_with_their_nouns() -> None:
    assert words.count(1, "event") == "1 event"
    assert words.count(1_500, "retry", "retries") == "1,500 retries"

"""Moments as people type them."""

import pytest

from causeline.console.when import parse_moment
from causeline.schemas.errors import UsageError

NOW = 1_772_352_000_000_000  # 2026-03-01T08:00:00Z


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        ("today", NOW - 8 * 3600 * 1_000_000),
        ("15m", NOW - 15 * 60 * 1_000_000),
        (" 2 H ", NOW - 2 * 3600 * 1_000_000),
        ("7d", NOW - 7 * 86400 * 1_000_000),
        ("1w", NOW - 7 * 86400 * 1_000_000),
        ("999999999w", 0),
        ("2026-03-01T08:00", NOW),
        ("2026-03-01T09:00:00.000001+01:00", NOW + 1),
        ("2026-03-01", NOW - 8 * 3600 * 1_000_000),
        ("0001-01-01", 0),
    ],
)
def test_a_moment_is_so_long_ago_or_a_date(text: str, moment: int) -> None:
    assert parse_moment(text, now_us=NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "15", "m", "-5m", "1.5h", "2026-13-01", "15m;", "\u0661\u0665m", "1e3s"]
)
def test_what_is_no_moment_is_said_to_be_none(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        parse_moment(text, now_us=NOW)

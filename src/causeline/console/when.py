"""Moments as people type them: `15m` ago, or an ISO 8601 date."""

import re
from datetime import UTC, datetime

from causeline.schemas.errors import UsageError

_AGO = re.compile(r"(\d{1,9})\s*(s|m|h|d|w)", re.ASCII | re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LAST_MICROSECOND = 253_402_300_799_999_999


def parse_moment(text: str, *, now_us: int) -> int:
    """`text` as microseconds since the epoch; without a zone it is UTC. Raises UsageError.

    `90s`, `15m`, `2h`, `7d` and `4w` are so long before `now_us`; `now` and `today` are what they say.
    """
    word = text.strip().lower()
    if word == "now":
        return now_us
    if word == "today":
        return now_us - now_us % (86400 * 1_000_000)
    if match := _AGO.fullmatch(word):
        return max(now_us - int(match[1]) * _SECONDS[match[2]] * 1_000_000, 0)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"{text[:60]!r} is not a time.", hint="Say 15m, 2h or 7d for so long ago, or 2026-01-31T08:00."
        ) from None
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return min(max(round(aware.timestamp() * 1_000_000), 0), _LAST_MICROSECOND)

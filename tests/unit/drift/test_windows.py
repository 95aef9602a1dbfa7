"""Windows: where they start, and which are over for good, whatever a clock does."""

from datetime import UTC, datetime, timedelta

import pytest

from causeline.drift.windows import Length, Window, floor, watermark, window_of, windows_between

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
SETTLE = timedelta(minutes=10)


def test_windows_start_at_multiples_of_their_length() -> None:
    assert floor(NOON.replace(minute=7, second=3)) == NOON.replace(minute=5)
    assert window_of(NOON, Length.DAY).start == NOON.replace(hour=0)


def test_only_whole_windows_are_over() -> None:
    found = list(windows_between(NOON, NOON + timedelta(minutes=119), Length.HOUR))
    assert found == [Window(NOON, Length.HOUR)]
    assert len(list(windows_between(NOON, NOON + timedelta(minutes=120), Length.HOUR))) == 2


@pytest.mark.parametrize(
    ("now", "newest_close", "expected"),
    [
        (NOON, NOON, NOON - SETTLE),
        (NOON, NOON - timedelta(hours=3), NOON - timedelta(hours=3)),
        (NOON + timedelta(days=400), NOON, NOON),
        (NOON, NOON + timedelta(days=400), NOON - SETTLE),
        (NOON - timedelta(days=1), NOON, NOON - timedelta(days=1) - SETTLE),
    ],
    ids=["as it should be", "nothing came in for long", "server ahead", "worker ahead", "server behind"],
)
def test_the_watermark_believes_the_more_careful_clock(
    now: datetime, newest_close: datetime, expected: datetime
) -> None:
    assert watermark(now, newest_close, SETTLE) == expected

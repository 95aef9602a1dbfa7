"""A cause is told with how sure its share is, against the window before; a new one stands out; words do nothing."""

from dataclasses import replace

import pytest

from causeline.console.stored_causes import WeighedCause, is_new
from causeline.console.views.causes_view import bars, cells, html, markdown

CAUSE = WeighedCause(
    workflow="desk", layer="retrieve", step="retrieve:kb", kind="step_error", thing="retrieve:kb", certainty="certain",
    sentence="<img src=x>| broke.", fix="Mend it.", runs=36, of=400, runs_before=9, of_before=800, cost_usd=1.5,
    trend=(0, 0, 0, 6, 10, 20), examples=("a" * 32,), is_new=False,
)  # fmt: skip


def test_a_share_is_told_with_its_interval_and_against_the_window_before() -> None:
    assert cells(CAUSE)[3] == "9.0% (6.6% to 12.2%)"
    assert cells(CAUSE)[6] == "more, 9 of 800 before"
    assert replace(CAUSE, runs=4).change == "same"
    assert replace(CAUSE, runs=0, runs_before=40).change == "less"
    assert replace(CAUSE, of_before=0, runs_before=0).change == ""
    assert CAUSE.as_json()["share_low"] == pytest.approx(0.0657, abs=1e-3)


@pytest.mark.parametrize(
    ("trend", "before", "of_before", "new"),
    [
        ((0, 0, 0, 0, 3, 9), 0, 600, True),
        ((2, 2, 2, 2, 2, 2), 0, 600, True),  # all over this window, and never before it
        ((0, 0, 0, 0, 3, 9), 1, 600, False),  # it was there before
        ((0, 0, 0, 0, 0, 2), 0, 600, False),  # two runs are no news
        ((0, 0, 0, 0, 0, 3), 0, 30, False),  # so rare that thirty runs need not have had it
        ((0, 0, 0, 0, 3, 9), 0, 0, True),  # nothing is known before: against the older half
        ((1, 0, 0, 0, 3, 9), 0, 0, False),
    ],
)
def test_a_cause_is_new_where_it_would_have_been_seen_before(
    trend: tuple[int, ...], before: int, of_before: int, *, new: bool
) -> None:
    assert is_new(trend, (100,) * 6, before, of_before) is new


def test_a_report_shows_words_and_does_nothing_with_them() -> None:
    assert "<img" not in html([CAUSE], "week", "note")
    assert "<img" not in markdown([CAUSE], "week", "note")
    assert "<tr class=new>" in html([replace(CAUSE, is_new=True)], "week", "note")
    assert "class=new" not in html([CAUSE], "week", "note")
    assert bars((0, 1, 4)) == " ▂█"

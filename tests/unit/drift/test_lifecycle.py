"""An alert opens, lasts, and closes; a window on the edge does not make it flutter."""

from datetime import UTC, datetime

from causeline.drift.counts import ANCHORS, NONE, Counts
from causeline.drift.judging import Baseline, Outcome, Question, judge
from causeline.drift.lifecycle import NOTHING, AlertStanding, AlertState, Mark, Span, after
from causeline.drift.windows import Length, Window

FIRST = Window(datetime(2026, 11, 2, tzinfo=UTC), Length.HOUR)
AGAINST = Span(datetime(2026, 11, 1, tzinfo=UTC), FIRST.start)
BEFORE = {"a": 7000, "b": 3000}
STEADY, ON_THE_EDGE, MOVED, FEW = {"a": 1400, "b": 600}, {"a": 1455, "b": 545}, {"a": 1200, "b": 800}, {"a": 7, "b": 3}


def counts(values: dict[str, int]) -> Counts:
    return Counts({((NONE,) * len(ANCHORS), value): runs for value, runs in values.items()})


def follow(
    *windows: dict[str, int], standing: AlertStanding = NOTHING, marks: dict[str, Mark] | None = None
) -> list[AlertStanding]:
    found = []
    window = FIRST
    for values in windows:
        [judgement] = judge([Question("invoice", "route", Baseline.PREVIOUS, counts(BEFORE), counts(values))])
        standing = after(standing, window, judgement, AGAINST, marks or {})
        found.append(standing)
        window = Window(window.end, window.length)
    return found


def states(*windows: dict[str, int]) -> list[AlertState | None]:
    return [standing.state for standing in follow(*windows)]


def test_a_window_that_drifts_opens_an_alert_with_the_baseline_it_was_held_against() -> None:
    [opened] = follow(MOVED)
    assert (opened.state, opened.since, opened.against) == (AlertState.OPEN, FIRST.start, AGAINST)


def test_the_next_windows_belong_to_the_same_alert() -> None:
    assert len({standing.alert_id for standing in follow(MOVED, MOVED, STEADY)}) == 1


def test_one_calm_window_does_not_close_it_and_two_do() -> None:
    assert states(MOVED, STEADY) == [AlertState.OPEN, AlertState.OPEN]
    assert states(MOVED, STEADY, STEADY) == [AlertState.OPEN, AlertState.OPEN, AlertState.CLOSED]


def test_calm_windows_count_in_a_row_only() -> None:
    assert states(MOVED, STEADY, MOVED, STEADY)[-1] is AlertState.OPEN


def test_a_window_on_the_edge_neither_opens_nor_calms() -> None:
    [edge] = judge([Question("invoice", "route", Baseline.PREVIOUS, counts(BEFORE), counts(ON_THE_EDGE))])
    assert edge.outcome is Outcome.STEADY
    assert states(ON_THE_EDGE) == [None]
    assert states(MOVED, ON_THE_EDGE, ON_THE_EDGE, ON_THE_EDGE)[-1] is AlertState.OPEN


def test_too_few_runs_change_nothing() -> None:
    assert states(MOVED, FEW, FEW, FEW)[-1] is AlertState.OPEN


def test_after_it_closed_another_may_open() -> None:
    found = follow(MOVED, STEADY, STEADY, STEADY, MOVED)
    assert [standing.state for standing in found[3:]] == [None, AlertState.OPEN]
    assert found[0].alert_id != found[4].alert_id


def test_an_acknowledged_level_is_the_new_baseline() -> None:
    [opened] = follow(MOVED)
    [acknowledged] = follow(STEADY, standing=opened, marks={opened.alert_id: Mark.ACKNOWLEDGED})
    assert (acknowledged.state, acknowledged.normal_from) == (None, FIRST.start)


def test_a_muted_alert_goes_on_and_closes_as_any_other() -> None:
    [opened] = follow(MOVED)
    marks = {opened.alert_id: Mark.MUTED}
    found = follow(MOVED, STEADY, STEADY, standing=opened, marks=marks)
    assert [standing.state for standing in found] == [AlertState.MUTED, AlertState.MUTED, AlertState.CLOSED]

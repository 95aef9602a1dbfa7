"""Roll-ups of a version that knew fewer anchors are read, and a little over the edge of a band is no alert."""

from causeline.drift.counts import ANCHORS, NONE, Counts, combination
from causeline.drift.judging import Baseline, Outcome, Question, judge

OLD = ("12", "acme-1", *(NONE,) * 7)


def test_an_anchor_that_was_not_known_then_was_not_recorded() -> None:
    read = combination(OLD)
    assert len(read) == len(ANCHORS)
    assert Counts({(read, "a"): 3}).anchor_values("index") == {NONE}
    assert combination(read) == read


def moved(dimension: str, before: int, after: int) -> Outcome:
    """What comes of so many runs of 1,000 in another band."""
    sides = [Counts({(combination(OLD), "from 1"): 1000 - n, (combination(OLD), "from 2"): n}) for n in (before, after)]
    [judgement] = judge([Question("desk", dimension, Baseline.PREVIOUS, *sides)])
    return judgement.outcome


def test_cost_needs_a_greater_move_than_a_route() -> None:
    assert moved("route", 300, 450) is Outcome.DRIFTING
    assert moved("cost", 300, 450) is not Outcome.DRIFTING
    assert moved("cost", 300, 550) is Outcome.DRIFTING
    assert moved("duration", 300, 450) is not Outcome.DRIFTING

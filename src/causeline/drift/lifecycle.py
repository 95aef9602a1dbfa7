"""An alert's life, as a fold over the judgements of one dimension: opens, goes on, closes; nothing else is remembered.

It opens with a window that drifts. While it is open the windows are held against the baseline that it opened with, or
a lasting move would become its own baseline and close the alert. It closes after two windows in a row that are far
from sure to have moved; in between nothing changes, so that it does not flutter. Too few runs change nothing either.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from causeline.drift.judging import Baseline, Judgement, Outcome
from causeline.drift.windows import Window

CALM_P = 0.05
"""A window is calm when a move is less sure than this; it takes far more to open an alert."""
CALM_WINDOWS = 2


class AlertState(StrEnum):
    """Where an alert is in its life."""

    OPEN = "open"  # it drifts, or has not been calm for long enough
    MUTED = "muted"  # still open, and nobody is told
    CLOSED = "closed"  # two calm windows in a row
    ACKNOWLEDGED = "acknowledged"  # somebody took the new level for what is normal from now on

    @property
    def lasts(self) -> bool:
        """The alert is not over."""
        return self in (AlertState.OPEN, AlertState.MUTED)


class Mark(StrEnum):
    """What somebody said about an alert."""

    ACKNOWLEDGED = "acknowledged"
    MUTED = "muted"


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time, from (included) to (not included), UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class AlertStanding:
    """What is remembered of one dimension between two windows."""

    alert_id: str = ""
    """Of the alert that lasts, or that ended with this window; empty when there is none."""
    state: AlertState | None = None
    since: datetime | None = None
    """Start of the window that opened it."""
    against: Span | None = None
    """The baseline that it opened with."""
    calm: int = 0
    """Calm windows in a row."""
    normal_from: datetime | None = None
    """Where the baseline begins at the earliest: where the last acknowledged level came in."""

    @property
    def lasts(self) -> bool:
        """There is an alert, and it is not over."""
        return self.state is not None and self.state.lasts


NOTHING = AlertStanding()


def after(
    standing: AlertStanding, window: Window, judgement: Judgement, against: Span, marks: Mapping[str, Mark]
) -> AlertStanding:
    """What stands after a window was judged."""
    standing = marked(standing, marks)
    drifting = judgement.outcome is Outcome.DRIFTING
    if not standing.lasts:
        fresh = AlertStanding(normal_from=standing.normal_from)
        if not drifting:
            return fresh
        question = judgement.question
        opened = alert_id(question.workflow, window, question.dimension, question.baseline)
        return marked(
            replace(fresh, alert_id=opened, state=AlertState.OPEN, since=window.start, against=against), marks
        )
    if drifting:
        return replace(standing, calm=0)
    if judgement.outcome is Outcome.TOO_FEW or judgement.p_adjusted <= CALM_P:
        return standing
    calm = standing.calm + 1
    return replace(standing, calm=calm, state=AlertState.CLOSED if calm >= CALM_WINDOWS else standing.state)


def marked(standing: AlertStanding, marks: Mapping[str, Mark]) -> AlertStanding:
    """The standing with what was said about its alert."""
    mark = marks.get(standing.alert_id)
    if not standing.lasts or mark is None:
        return standing
    if mark is Mark.MUTED:
        return replace(standing, state=AlertState.MUTED)
    return replace(standing, state=AlertState.ACKNOWLEDGED, normal_from=standing.since)


def alert_id(workflow: str, opened: Window, dimension: str, baseline: Baseline) -> str:
    """The id of the alert that opens with this window: the same whenever it is judged again. 16 hex digits."""
    parts = (workflow, opened.length, opened.start.isoformat(), dimension, baseline)
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()

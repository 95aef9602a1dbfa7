"""One pass of the watch: count what changed, judge what is over, and remember nothing that is not stored.

What is to be done follows from what is stored alone: a window is counted when its runs have another fingerprint than
its roll-up, and judged when its roll-ups have another than its judgement. So a restart neither skips nor repeats one,
and a run that is amended days later is judged where it belongs.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from causeline.drift.counts import Counts
from causeline.drift.judgements import (
    Key,
    Pin,
    Standings,
    Stored,
    judgement_row,
    marks,
    pins,
    stored,
)
from causeline.drift.judging import DEFAULT_RULE, Baseline, Question, Rule, judge
from causeline.drift.lifecycle import NOTHING, AlertStanding, Mark, Span, after
from causeline.drift.reading import Dimensions, Head, WindowCounts, as_moment, heads, release_counts, sum_up
from causeline.drift.rollups import roll_up, stale_windows
from causeline.drift.store import RowStore
from causeline.drift.windows import Length, Window, floor, watermark
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.tables import JUDGEMENTS_TABLE

_WINDOWS_A_WRITE = 50
_CLOCKS = "SELECT now64(6, 'UTC') AS now, max(closed_at) AS newest, count() AS n FROM runs"
_WORKFLOWS = """
SELECT DISTINCT workflow FROM rollup_rows
WHERE window_start >= {since:DateTime('UTC')} AND window_start < {until:DateTime('UTC')} ORDER BY workflow
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is watched."""

    lengths: tuple[Length, ...] = (Length.HOUR, Length.DAY)
    baseline_windows: int = 24
    """How many windows before one are its baseline, together."""
    settle: timedelta = timedelta(minutes=10)
    """How long the runs of a window have to come to their end."""
    lookback: timedelta = timedelta(days=30)
    """Runs that started before are left as they were counted and judged."""
    labels: tuple[str, ...] = ()
    """Labels that are dimensions, too."""
    rule: Rule = DEFAULT_RULE


DEFAULT_PLAN = Plan()


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass did."""

    until: datetime | None
    """Up to when windows are over; None while there are no runs."""
    counted: int = 0
    judged: int = 0


def watch_once(
    store: RowStore, plan: Plan = DEFAULT_PLAN, policy: Policy = DEFAULT_POLICY, now: datetime | None = None
) -> Pass:
    """Bring roll-ups and judgements up to date; `now` is the server's clock, unless a test says."""
    [clocks] = store.ask(_CLOCKS)
    if not clocks["n"]:
        return Pass(None)
    until = floor(watermark(now or as_moment(clocks["now"]), as_moment(clocks["newest"]), plan.settle))
    since = floor(until - plan.lookback, timedelta(days=1))
    counted = roll_up(store, stale_windows(store, since, until), policy, plan.labels)
    span = Span(since, until)
    sum_all(store, plan, span)
    return Pass(until, counted, judge_all(store, plan, span))


def sum_all(store: RowStore, plan: Plan, span: Span) -> int:
    """Sum the hours and days of a span, for every workflow; gives the number of windows."""
    return sum(
        sum_up(store, workflow, length, heads(store, workflow, length, span.start, span.end))
        for workflow in _workflows(store, span)
        for length in plan.lengths
    )


def judge_all(store: RowStore, plan: Plan, span: Span) -> int:
    """Judge what has to be of a span, for every workflow and length; gives the number of windows."""
    said, pinned = marks(store), pins(store)
    judged = 0
    for workflow in _workflows(store, span):
        for length in plan.lengths:
            judge_of = _Judge(store, workflow, length, plan=plan, said=said, pin=pinned.get(workflow))
            judged += judge_of.bring_up(span.start, span.end)
    return judged


def _workflows(store: RowStore, span: Span) -> list[str]:
    return [str(row["workflow"]) for row in store.ask(_WORKFLOWS, {"since": span.start, "until": span.end})]


class _Judge:
    """Judges the windows of one workflow and length, in order."""

    def __init__(
        self,
        store: RowStore,
        workflow: str,
        length: Length,
        *,
        plan: Plan,
        said: Mapping[str, Mark],
        pin: Pin | None,
    ) -> None:
        self._store, self._workflow, self._length, self._plan = store, workflow, length, plan
        self._marks, self._pin = said, pin
        self._counts = WindowCounts(store, workflow, length)
        self._pinned: Dimensions = release_counts(store, workflow, pin.release, pin.span) if pin else {}

    def bring_up(self, since: datetime, until: datetime) -> int:
        """Judge what has to be; gives the number of windows.

        A window is judged when its roll-ups are others than they were, or those in the reach of its baseline, or when
        what stands before it is other than it was. Where another watch has counted a window and not summed it yet, the
        windows from there on are left to the next pass.
        """
        there = heads(self._store, self._workflow, self._length, since, until)
        known = stored(self._store, self._workflow, self._length, since)
        rows: list[Mapping[str, object]] = []
        before: Standings = {}
        reach, judged = -1, 0
        for at, head in enumerate(there):
            old = known.get(head.window.start)
            if old is None or old.seen != self._seen(head.window, head.seen):
                reach = at + self._plan.baseline_windows
            as_it_was = at == 0 or before == known.get(there[at - 1].window.start, _NEVER).standings
            if old is not None and at > reach and as_it_was:
                before = old.standings
                continue
            if (counted_from := self._counts.seen(head.window)) is None:
                break
            seen = self._seen(head.window, counted_from)
            before = self._judge(there, at, before, seen=seen, version=old.version + 1 if old else 1, rows=rows)
            judged += 1
            if judged % _WINDOWS_A_WRITE == 0:
                self._store.put_rows(JUDGEMENTS_TABLE, rows)
                rows.clear()
        self._store.put_rows(JUDGEMENTS_TABLE, rows)
        return judged

    def _judge(
        self,
        there: Sequence[Head],
        at: int,
        before: Standings,
        *,
        seen: int,
        version: int,
        rows: list[Mapping[str, object]],
    ) -> Standings:
        """Judge one window: its rows are added to `rows`, and what stands after it is given back."""
        head = there[at]
        asked = tuple(self._questions(there, at, before))
        stands: dict[Key, AlertStanding] = {}
        judgements = judge([question for question, _ in asked], self._plan.rule)
        for judgement, (question, span) in zip(judgements, asked, strict=True):
            key = (question.dimension, question.baseline)
            standing = after(before.get(key, NOTHING), head.window, judgement, span, self._marks)
            stands[key] = standing
            rows.append(judgement_row(head.window, judgement, span, standing, seen=seen, version=version))
        return stands

    def _questions(self, there: Sequence[Head], at: int, standings: Standings) -> Iterator[tuple[Question, Span]]:
        """Every dimension of a window, with what it is held against.

        A dimension that the window lacks, but that something stands about, is asked all the same: too few tell.
        """
        window = there[at].window
        reach = window.earlier(2 * self._plan.baseline_windows).start
        earlier = [head.window for head in there[:at] if head.window.start >= reach][-self._plan.baseline_windows :]
        counted = self._counts.of(window)
        usual: dict[datetime | None, Dimensions] = {}
        pin = self._pin_for(window)
        for dimension in sorted({*counted, *(name for name, _ in standings)}):
            counts = counted.get(dimension, _NO_RUNS)
            standing = standings.get((dimension, Baseline.PREVIOUS), NOTHING)
            if standing.lasts and standing.against:
                span, before = standing.against, self._counts.within(standing.against)
            else:
                normal = standing.normal_from
                windows = [each for each in earlier if normal is None or each.start >= normal]
                span = Span(windows[0].start, windows[-1].end) if windows else Span(window.start, window.start)
                if normal not in usual:
                    usual[normal] = self._counts.sum(windows)
                before = usual[normal]
            previous = Question(self._workflow, dimension, Baseline.PREVIOUS, before.get(dimension, _NO_RUNS), counts)
            yield previous, span
            if pin:
                pinned = self._pinned.get(dimension, _NO_RUNS)
                yield Question(self._workflow, dimension, Baseline.PINNED, pinned, counts), pin.span

    def _pin_for(self, window: Window) -> Pin | None:
        """The pin, for the windows after those that it is made of."""
        return self._pin if self._pin and window.start >= self._pin.span.end else None

    def _seen(self, window: Window, counted_from: int) -> int:
        """Of what a window is judged by: what its counts were summed from, and the pin."""
        pin = self._pin_for(window)
        if pin is None:
            return counted_from
        said = f"{pin.release}\0{pin.span}".encode()
        return counted_from ^ int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "big")


_NO_RUNS = Counts()
_NEVER = Stored(0, 0, {})

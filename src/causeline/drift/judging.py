"""A window judged against what came before it: a verdict for each dimension and baseline (ADR 21)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from causeline.drift.counts import Counts, Floats, Pooling, pooling
from causeline.drift.dimensions import NUMBERS
from causeline.drift.gtest import GTest, adjusted, effective_runs, g_test, runs_needed, total_variation
from causeline.drift.shift import Attribution, attributions


class Baseline(StrEnum):
    """What a window is held against."""

    PREVIOUS = "previous"  # the comparable windows before it
    PINNED = "pinned"  # the runs of a release that somebody pinned


class Outcome(StrEnum):
    """What came of it."""

    STEADY = "steady"  # nothing moved, and a move of the size looked for would have been seen
    DRIFTING = "drifting"  # it moved: sure enough, and far enough
    TOO_FEW = "too_few"  # nothing was seen, and nothing can be said: the runs are too few


@dataclass(frozen=True, slots=True)
class Rule:
    """How sure one must be, and of how much."""

    alpha: float = 0.002
    """Share of false ones among the alerts of a window that is borne (Benjamini and Hochberg)."""
    floor: float = 0.03
    """Total variation under which a move is none, however sure: millions of runs make any noise significant."""
    effect: float = 0.06
    """The move that must not be missed; says how many runs it takes."""
    power: float = 0.8
    """How surely it must be found before `steady` is said."""

    coarse: float = 0.2
    """The same for what is counted in bands of round numbers, such as cost: a little moves many over their edges."""

    def floor_of(self, dimension: str) -> float:
        """The move that is one."""
        return max(self.floor, self.coarse) if dimension in NUMBERS else self.floor


DEFAULT_RULE = Rule()


@dataclass(frozen=True, slots=True)
class Question:
    """One test: a dimension of one workflow, after against before."""

    workflow: str
    dimension: str
    baseline: Baseline
    before: Counts
    after: Counts


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of one test."""

    question: Question
    outcome: Outcome
    pooled: Pooling
    test: GTest
    p_adjusted: float
    effect: float
    """Total variation, 0 to 1."""
    needed: int
    """Runs that two equal windows would need, each."""

    @property
    def enough(self) -> bool:
        """The windows hold the runs that it takes."""
        question = self.question
        return effective_runs(question.before.runs, question.after.runs) >= self.needed

    def attributions(self) -> tuple[Attribution, ...]:
        """Which anchors the shift came with, the likeliest first."""
        return attributions(self.question.before, self.question.after, self.pooled)

    def shares(self) -> tuple[tuple[str, int, int, float], ...]:
        """Each value: runs before, runs after, and by how much its share moved; the greatest move first."""
        before, after = self.pooled.vector(self.question.before), self.pooled.vector(self.question.after)
        n_before, n_after = max(before.sum(), 1.0), max(after.sum(), 1.0)
        rows = [
            (value, int(b), int(a), float(a / n_after - b / n_before))
            for value, b, a in zip(self.pooled.values, before, after, strict=True)
        ]
        return tuple(sorted(rows, key=lambda row: -abs(row[3])))


def judge(questions: Sequence[Question], rule: Rule = DEFAULT_RULE) -> tuple[Judgement, ...]:
    """Every test of one window. A window or a baseline without runs is too few, not steady."""
    askable = [question for question in questions if question.before.runs and question.after.runs]
    pools = [pooling(question.before, question.after) for question in askable]
    vectors = [(p.vector(q.before), p.vector(q.after)) for p, q in zip(pools, askable, strict=True)]
    tests = [g_test(*pair) for pair in vectors]
    corrected = adjusted([test.p for test in tests])
    level = rule.alpha / max(1, len(askable))
    judged: Mapping[int, Judgement] = {
        id(question): _judgement(question, pool, test, p, pair, rule=rule, level=level)
        for question, pool, test, p, pair in zip(askable, pools, tests, corrected, vectors, strict=True)
    }
    nothing = GTest(0.0, 0, 1.0)
    return tuple(
        judged.get(id(question))
        or Judgement(question, Outcome.TOO_FEW, pooling(question.before, question.after), nothing, 1.0, 0.0, 1)
        for question in questions
    )


def _judgement(
    question: Question,
    pool: Pooling,
    test: GTest,
    p_adjusted: float,
    pair: tuple[Floats, Floats],
    *,
    rule: Rule,
    level: float,
) -> Judgement:
    before, after = pair
    effect = total_variation(before, after)
    needed = runs_needed(before, after, effect=rule.effect, alpha=level, power=rule.power)
    if p_adjusted <= rule.alpha and effect >= rule.floor_of(question.dimension):
        outcome = Outcome.DRIFTING
    elif effective_runs(question.before.runs, question.after.runs) < needed:
        outcome = Outcome.TOO_FEW
    else:
        outcome = Outcome.STEADY
    return Judgement(question, outcome, pool, test, p_adjusted, effect, needed)

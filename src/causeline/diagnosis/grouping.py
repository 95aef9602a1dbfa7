"""From the answers of many runs to the causes behind them: alike in workflow, layer, step, kind and thing. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from causeline.diagnosis.model import Certainty, Diagnosis, Finding
from causeline.schemas.run import Run

_EXAMPLES = 3
_TREND = 6


@dataclass(frozen=True, slots=True)
class Answered:
    """A run with its diagnosis."""

    run: Run
    found: Diagnosis


@dataclass(frozen=True, slots=True)
class CauseGroup:
    """Runs with one cause, the newest of them as examples."""

    workflow: str
    layer: str
    step: str
    kind: str
    thing: str
    certainty: Certainty
    sentence: str
    fix: str
    runs: int
    share: float
    """Of all runs of the workflow that were looked at, 0 to 1."""
    cost_usd: float
    trend: tuple[int, ...]
    """Runs by equal parts of the time that was looked at, the oldest part first."""
    examples: tuple[str, ...]
    is_new: bool
    """Whether it came up in the newer half only, and the workflow ran in the older half as well."""

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What stays the same however often it comes up."""
        return (self.workflow, self.layer, self.step, self.kind, self.thing)


@dataclass(slots=True)
class _Gathered:
    finding: Finding
    times: list[float] = field(default_factory=list)
    cost_usd: float = 0.0
    examples: list[str] = field(default_factory=list)
    certainties: set[Certainty] = field(default_factory=set)


def groups(answers: Iterable[Answered], runs: Mapping[str, int]) -> list[CauseGroup]:
    """The causes behind `answers`, new ones first, then by runs; `runs` counts all that were looked at by workflow."""
    gathered: dict[tuple[str, ...], _Gathered] = {}
    times: dict[str, list[float]] = {}
    for each in sorted(answers, key=lambda answered: -_at(answered.run)):
        times.setdefault(each.run.workflow, []).append(_at(each.run))
        cause = each.found.first_cause
        if cause is None:
            continue
        finding = cause.finding
        key = (each.run.workflow, str(finding.boundary), finding.step, finding.rule, finding.thing)
        mine = gathered.setdefault(key, _Gathered(finding))
        mine.times.append(_at(each.run))
        mine.cost_usd += each.run.cost_usd or 0.0
        mine.certainties.add(cause.certainty)
        if len(mine.examples) < _EXAMPLES:
            mine.examples.append(each.run.run_id)
    found = [_group(key, mine, times[key[0]], runs.get(key[0], 0)) for key, mine in gathered.items()]
    return sorted(found, key=lambda group: (not group.is_new, -group.runs, group.key))


def _at(run: Run) -> float:
    return run.started_at.timestamp() if run.started_at else 0.0


def _group(key: tuple[str, ...], mine: _Gathered, times: list[float], runs: int) -> CauseGroup:
    first, last = min(times), max(times)
    width = max(last - first, 1e-6)
    trend = [0] * _TREND
    for at in mine.times:
        trend[min(_TREND - 1, int((at - first) / width * _TREND))] += 1
    middle = first + width / 2
    sure = [each for each in Certainty if each in mine.certainties]
    return CauseGroup(
        workflow=key[0],
        layer=key[1],
        step=key[2],
        kind=key[3],
        thing=key[4],
        certainty=sure[0],
        sentence=mine.finding.headline,
        fix=mine.finding.fix,
        runs=len(mine.times),
        share=len(mine.times) / max(runs, 1),
        cost_usd=mine.cost_usd,
        trend=tuple(trend),
        examples=tuple(mine.examples),
        is_new=len(mine.times) >= _NEW and min(mine.times) >= middle and sum(at < middle for at in times) >= _OLD,
    )


_NEW = 3
_OLD = 20

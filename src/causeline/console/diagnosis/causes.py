"""From findings to causes: what can follow from what, and what follows from nothing."""

from collections.abc import Sequence

from causeline.console.diagnosis.model import BOUNDARIES, Cause, Consequence, Finding, Health, Link
from causeline.console.diagnosis.record import derived_from
from causeline.schemas.run import Run
from causeline.schemas.vocabulary import StepKind

_ORDER = {kind: place for place, kind in enumerate(BOUNDARIES)} | {StepKind.CLASSIFY: 3, StepKind.ROUTE: 3}
_LAST = len(_ORDER)
_ROUTING = (StepKind.ROUTE, StepKind.CLASSIFY)
_OWN_ACTS = frozenset({"call_error", "decision_ignored", "review_missing", "correction_lost"})
"""Findings about what a provider, a workflow or a reviewer did of itself: no earlier fault made it do so."""

_MENDED = frozenset({"call_error", "mended_shape", "value_mended", "gap_mended", "close_call"})
"""Findings that, when only suspect, the run got over by itself: what it did not get over comes first."""


def order(finding: Finding) -> int:
    """Where in the flow of causes a finding stands."""
    return _ORDER.get(finding.boundary, _LAST)


def _got_over(finding: Finding) -> bool:
    """Whether the run mended it by itself, so that nothing later follows from it."""
    return finding.rule in _MENDED and finding.health is Health.SUSPECT


def link(earlier: Finding, later: Finding, run: Run) -> Link | None:
    """What ties `later` to `earlier`, if `later` can follow from it: a field, a reference, the step, or the route."""
    if order(earlier) >= order(later) or later.rule in _OWN_ACTS or _got_over(earlier):
        return None
    if earlier.boundary in _ROUTING and earlier.health is Health.FAILED:
        return Link("run", run.run_id)  # whatever came after went another way
    if earlier.fields and later.fields:  # each is about fields of its own
        shared = earlier.fields & later.fields
        return Link("field", min(shared)) if shared else None
    return _by_step_or_reference(earlier, later, run)


def _by_step_or_reference(earlier: Finding, later: Finding, run: Run) -> Link | None:
    if earlier.step_id is not None and earlier.step_id == later.step_id:
        return Link("step", earlier.step_id)
    if carried := derived_from(earlier.makes, run.steps) & later.reads:
        return Link("reference", min(carried))
    if not earlier.fields and not later.reads:
        return Link("run", run.run_id)  # about the run as a whole, and what it spoils leaves no reference
    return None


def causes(findings: Sequence[Finding], run: Run) -> tuple[Cause, ...]:
    """The findings that follow from no other, each with what follows from it: failed before suspect, then by boundary.

    A suspect finding is the cause of a failed one when no failed finding is and the two are tied.
    """
    ranked = sorted(findings, key=lambda finding: (finding.health is not Health.FAILED, order(finding)))
    children: dict[int, list[Consequence]] = {}
    roots: list[Finding] = []
    for finding in ranked:
        parent = _parent(finding, ranked, run)
        if parent is None:
            roots.append(finding)
        else:
            children.setdefault(id(parent[0]), []).append(Consequence(finding, parent[1]))
    found = [Cause(root, tuple(_all_below(root, children))) for root in roots]
    return tuple(sorted(found, key=_rank))


def _parent(finding: Finding, ranked: Sequence[Finding], run: Run) -> tuple[Finding, Link] | None:
    tied = [(other, tie) for other in ranked if other is not finding and (tie := link(other, finding, run))]
    for health in (Health.FAILED, Health.SUSPECT):
        if health is Health.SUSPECT and finding.health is Health.FAILED:
            tied = [(other, tie) for other, tie in tied if tie.kind != "run"]
        same = [(other, tie) for other, tie in tied if other.health is health]
        if same:
            return min(same, key=lambda pair: order(pair[0]))
    return None


def _all_below(root: Finding, children: dict[int, list[Consequence]]) -> list[Consequence]:
    below: list[Consequence] = []
    waiting = list(children.get(id(root), ()))
    while waiting:
        consequence = waiting.pop(0)
        below.append(consequence)
        waiting += children.get(id(consequence.finding), ())
    return sorted(below, key=lambda item: order(item.finding))


def _rank(cause: Cause) -> tuple[bool, bool, int]:
    # That nobody made an eval case of it says nothing about how sure the cause is.
    healths = {
        item.health
        for item in (cause.finding, *(below.finding for below in cause.consequences))
        if item.rule != "no_eval_case"
    }
    return (Health.FAILED not in healths, _got_over(cause.finding), order(cause.finding))

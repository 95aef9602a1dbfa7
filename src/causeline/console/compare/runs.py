"""Two runs side by side: what differs in versions, path, evidence, outcome and cost. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum

from causeline.schemas.run import Decisions, Evidence, Run, Step
from causeline.schemas.vocabulary import StepKind

_NEAR = 1e-9
_ANCHORS = (
    "prompt_id", "prompt_version", "model_provider", "model_name", "model_policy", "temperature", "top_p", "seed",
    "system_fingerprint", "parser_version", "schema_version", "route_policy_version",
)  # fmt: skip
_OUTCOME = (
    "final_state", "status", "error_type", "error_step", "verdict", "missing", "confidence", "refusal",
    "validation_errors", "fallback_taken", "fallback_reason", "gap_kinds", "review_outcome", "override_ref",
    "eval_case_id", "eval_outcome", "raw_output_ref",
)  # fmt: skip
_COST = ("duration_us", "cost_usd", "input_tokens", "output_tokens", "retry_count", "slowest_step", "costliest_step")
_STEP_SAYS = tuple(
    field.name
    for field in fields(Decisions)
    if field.name not in {"evidence_refs", "context_refs", *_ANCHORS} and not field.name.endswith("_ref")
)


class Part(StrEnum):
    """What of a run differs, in the order in which a reader asks."""

    INPUT = "input"
    ANCHORS = "anchors"
    PATH = "path"
    EVIDENCE = "evidence"
    OUTCOME = "outcome"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same: `what` it is, and its value on either side; None where a side has none."""

    part: Part
    what: str
    left: object
    right: object


def compare_runs(left: Run, right: Run) -> list[Difference]:
    """What differs between two runs, in order of the parts; empty where they say the same."""
    return [
        *_plain(Part.INPUT, ("workflow", "input_ref", "parsed_artifact_ref", "context_refs"), left, right),
        *_plain(Part.ANCHORS, _ANCHORS, left, right),
        *_step_anchors(left, right),
        *_plain(Part.PATH, ("route", "route_reason", "route_confidence"), left, right),
        *_path(left, right),
        *_evidence(left, right),
        *_plain(Part.OUTCOME, _OUTCOME, left, right),
        *_plain(Part.COST, _COST, left, right),
    ]


def _plain(part: Part, names: Sequence[str], left: Run, right: Run) -> Iterator[Difference]:
    for name in names:
        yield from _unless_same(part, name, getattr(left, name), getattr(right, name))


def _unless_same(part: Part, what: str, left: object, right: object) -> Iterator[Difference]:
    near = isinstance(left, float) and isinstance(right, float) and abs(left - right) < _NEAR
    if left != right and not near:
        yield Difference(part, what, left if left != () else None, right if right != () else None)


def _by_name(run: Run) -> dict[str, Step]:
    """Steps by kind:name, those that come again with their number."""
    named: dict[str, Step] = {}
    times: Counter[str] = Counter()
    for step in run.steps:
        name = step.full_name
        while name in named:
            times[step.full_name] += 1
            name = f"{step.full_name} #{times[step.full_name] + 1}"
        named[name] = step
    return named


def _step_anchors(left: Run, right: Run) -> Iterator[Difference]:
    """Versions that differ in a step and not in the run as a whole, whose last word hides them."""
    mine, theirs = _by_name(left), _by_name(right)
    for name in mine.keys() & theirs.keys() if len(mine) < len(theirs) else [n for n in mine if n in theirs]:
        for anchor in _ANCHORS:
            if getattr(left, anchor) == getattr(right, anchor):
                what = f"{name} {anchor}"
                yield from _unless_same(Part.ANCHORS, what, getattr(mine[name], anchor), getattr(theirs[name], anchor))


def _path(left: Run, right: Run) -> Iterator[Difference]:
    mine, theirs = _by_name(left), _by_name(right)
    for name in dict.fromkeys((*mine, *theirs)):
        one, other = mine.get(name), theirs.get(name)
        if one is None or other is None:
            yield Difference(
                Part.PATH, name, one and (one.status or "unfinished"), other and (other.status or "unfinished")
            )
            continue
        yield from _unless_same(Part.PATH, f"{name} status", one.status, other.status)
        yield from _unless_same(Part.PATH, f"{name} error_type", one.error_type, other.error_type)
        if one.step_kind not in (StepKind.ROUTE, StepKind.CLASSIFY):
            for said in _STEP_SAYS:
                yield from _unless_same(Part.PATH, f"{name} {said}", getattr(one, said), getattr(other, said))
        for label in sorted({*one.labels, *other.labels}):
            yield from _unless_same(Part.PATH, f"{name} {label}", one.labels.get(label), other.labels.get(label))


def _evidence(left: Run, right: Run) -> Iterator[Difference]:
    mine, theirs = ({str(each.field_path): each for each in run.evidence} for run in (left, right))
    for path in dict.fromkeys((*mine, *theirs)):
        yield from _unless_same(Part.EVIDENCE, path, _said(left, mine.get(path)), _said(right, theirs.get(path)))


def _said(run: Run, evidence: Evidence | None) -> str | None:
    """How a field's last check stood, in a few words."""
    if evidence is None:
        return None
    score = "" if evidence.provenance_score is None else f", score {evidence.provenance_score:.2f}"
    gap = next((each for each in reversed(run.gaps) if each.event_id == evidence.event_id), None)
    stands = "supported" if gap is None else f"{gap.kind}: {gap.next_step}"
    return f"{stands}{score}, {len(evidence.evidence_refs)} references"

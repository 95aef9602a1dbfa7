"""What a case asks of an answer, held against the trace that the answer left. Pure."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from causeline.diagnosis import Diagnosis
from causeline.diagnosis.model import ROUTE_FIELDS, Certainty, Role
from causeline.eval.case import EvalCase, content_hash
from causeline.eval.output_schema import wrong_places
from causeline.schemas.run import Run
from causeline.schemas.vocabulary import StepKind

CAUSE = "cause"
"""The check of what the diagnosis finds: its boundary is the answer's name."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was asked: whether it held, and the boundary that it speaks of."""

    name: str
    passed: bool
    says: str
    """In a sentence, never with content."""
    boundary: str | None = None


def checks(
    case: EvalCase, run: Run, answer: object, diagnosis: Diagnosis, schema: Mapping[str, Any] | None
) -> list[Check]:
    """Every check of a case; `schema` is its output schema, read. `answer` is JSON, None where none was given.

    Raises UsageError where the schema cannot be held to.
    """
    return [
        *_route(case, run),
        *_corrected(case, run, answer),
        *_supported(case, run),
        *_shape(answer, schema),
        *_fallback(case, run),
        *_final_state(case, run),
        _cause(case, diagnosis),
    ]


def _route(case: EvalCase, run: Run) -> Iterator[Check]:
    wanted, refused = case.expect.route, case.expect.not_route
    if wanted is not None:
        yield Check("route", run.route == wanted, f"route {run.route}, and {wanted} is right", StepKind.ROUTE)
    if refused is not None:
        yield Check("route", run.route != refused, f"route {run.route}; {refused} was found wrong", StepKind.ROUTE)


def _corrected(case: EvalCase, run: Run, answer: object) -> Iterator[Check]:
    for path, ref in case.expect.corrected.items():
        expected = content_hash(ref)
        value = run.route if path in ROUTE_FIELDS else at_path(answer, path)
        boundary = StepKind.ROUTE if path in ROUTE_FIELDS else None
        if expected is None:
            yield Check(
                f"value of {path}", passed=False, says=f"the reference of {path} has no hash", boundary=boundary
            )
            continue
        held = any(hashlib.sha256(form.encode()).hexdigest() == expected for form in _forms(value))
        yield Check(f"value of {path}", held, f"{path} is {'what' if held else 'not what'} the reviewer gave", boundary)


def _forms(value: object) -> Iterator[str]:
    """A value as it may have been stored: the text itself, or its JSON."""
    if isinstance(value, str):
        yield value
    yield json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def at_path(answer: object, path: str) -> object:
    """The value of a field path such as `$.total` or `$.lines.0.price`; None where there is none."""
    for part in path.removeprefix("$").strip(".").split("."):
        if isinstance(answer, Mapping):
            answer = answer.get(part)
        elif isinstance(answer, list) and part.isdigit() and int(part) < len(answer):
            answer = answer[int(part)]
        else:
            return None
    return answer


def _supported(case: EvalCase, run: Run) -> Iterator[Check]:
    gaps = {gap.event_id: gap for gap in run.gaps}
    last = {each.field_path: each for each in run.evidence}
    for path in case.expect.supported:
        checked = last.get(path)
        if checked is None:
            yield Check(f"evidence for {path}", False, f"the evidence for {path} was never checked", StepKind.EVIDENCE)
            continue
        gap = gaps.get(checked.event_id)
        says = f"{path} is supported" if gap is None else f"{path}: {gap.kind}"
        yield Check(f"evidence for {path}", gap is None, says, StepKind.EVIDENCE)


def _shape(answer: object, schema: Mapping[str, Any] | None) -> Iterator[Check]:
    if schema is None:
        return
    where = wrong_places(answer, schema)
    more = ", …" if len(where) > _SHOWN else ""
    says = f"wrong at {', '.join(where[:_SHOWN])}{more}" if where else "the answer has the right shape"
    yield Check("schema", not where, says, StepKind.VALIDATE)


def _fallback(case: EvalCase, run: Run) -> Iterator[Check]:
    wanted = case.expect.fallback
    if wanted is None:
        return
    taken = list(dict.fromkeys(each.kind for each in run.fallbacks))
    held = not taken if wanted == "none" else wanted in taken
    yield Check("fallback", held, f"took {', '.join(taken) or 'none'}, and {wanted} is right", StepKind.FALLBACK)


def _final_state(case: EvalCase, run: Run) -> Iterator[Check]:
    wanted = case.expect.final_state
    if wanted is not None:
        yield Check("final state", run.final_state == wanted, f"ended {run.final_state}, and {wanted} is right")


def _cause(case: EvalCase, diagnosis: Diagnosis) -> Check:
    """Nothing may have failed, wherever: what only may be, or only looks odd beside other runs, fails no gate."""
    cause = diagnosis.first_cause
    failed = any(each.role is Role.FAILURE for each in diagnosis.symptoms)
    if cause is not None and (
        failed or cause.certainty is Certainty.CERTAIN or cause.finding.rule == case.first_cause.rule
    ):
        finding = cause.finding
        back = "is back" if finding.boundary == case.first_cause.boundary else "failed"
        return Check(CAUSE, False, f"{finding.boundary} {back}: {finding.headline}", str(finding.boundary))
    return Check(CAUSE, passed=True, says="nothing failed, as far as the record goes")

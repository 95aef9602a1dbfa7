"""What evaluators say of a run: on a span of their own, on a span event, or on a log record.

An evaluation is stored as it is said, on its own scale. One whose name speaks of grounding is evidence for the whole
answer besides: its label goes before its score, because what 1 means is the evaluator's own affair.
"""

import re
from typing import Any, Final

from causeline.otlp.receiver.attributes import Sorted, sort_out
from causeline.otlp.receiver.drafts import Content, Draft
from causeline.otlp.receiver.telemetry import Attributes, Span
from causeline.otlp.receiver.values import READERS
from causeline.schemas.ids import derived_id
from causeline.schemas.vocabulary import EventType, StepKind, is_bad

_GROUNDING: Final = ("ground", "faithful", "citation", "provenance", "attribution")
"""Evaluators with such a name measure how well an answer is supported by its sources."""
_WHOLE_ANSWER: Final = "$"
_HALF: Final = 0.5
"""A score on the other side of it than its label says is the evaluator's own count, such as of faults."""
_SCALE: Final = re.compile(r"(-?\d+(?:\.\d+)?)\s*(?:\.\.|-|to|/)\s*(-?\d+(?:\.\d+)?)")


def of_event(said: Attributes, at_us: int, draft: Draft, *, told_apart: str, step_id: str | None) -> None:
    """The evaluation that a span event or a log record is; none where it names nothing."""
    _evaluation(sort_out(said), at_us, draft, told_apart=told_apart, step_id=step_id)


def of_span(span: Span, found: Sorted, at_us: int, draft: Draft, given: Content | str | None) -> None:
    """The evaluation that an evaluator's own span is: named by the span where nothing else does."""
    found.evaluation.setdefault("name", READERS["name"](span.name))
    own = Sorted(evaluation=found.evaluation)
    _evaluation(own, at_us, draft, told_apart="", step_id=span.parent_id or span.span_id, given=given)


def share(score: float | None, scale: str | None, label: str | None) -> float | None:
    """How good a score is, 0 to 1: by its label, else by its scale; None where neither is known."""
    least, most = bounds(scale) or (0.0, 1.0)
    placed = (score - least) / (most - least) if score is not None and least <= score <= most else None
    failed = is_bad(label)
    if placed is None or failed is None:
        return placed if failed is None else 0.0 if failed else 1.0
    return placed if (placed < _HALF) is failed else 0.0 if failed else 1.0


def bounds(scale: str | None) -> tuple[float, float] | None:
    """The least and the most of `1..5`, `0-1` or `1 to 5`; None for what is no scale."""
    found = _SCALE.search(scale or "")
    if found is None:
        return None
    least, most = float(found[1]), float(found[2])
    return (least, most) if least < most else None


def _evaluation(
    found: Sorted,
    at_us: int,
    draft: Draft,
    *,
    told_apart: str,
    step_id: str | None,
    given: Content | str | None = None,
) -> None:
    said = found.evaluation
    name = said.get("name")
    if name is None:
        return
    score, label = said.get("score"), said.get("label")
    scale = said.get("scale") or _scale_in(name)
    event: dict[str, Any] = {
        "step_id": step_id,
        "evaluation_name": name,
        "evaluation_score": score,
        "evaluation_scale": scale,
        "evaluation_label": label,
        "evaluator": said.get("evaluator"),
        "explanation_ref": said.get("explanation_ref")
        or Content.of([("explanation", said.get("explanation")), *found.rest]),
        "labels": found.labels,
    }
    draft.add(EventType.EVALUATION_RECORDED, at_us, event, told_apart)
    supported = share(score, scale, label)
    if supported is not None and any(word in name.lower() for word in _GROUNDING):
        checked = {
            "step_id": derived_id(draft.trace_id, draft.span_id, name, told_apart)[:16],
            "parent_step_id": step_id,
            "step_kind": StepKind.EVIDENCE,
            "step_name": name,
            "field_path": _WHOLE_ANSWER,
            "evidence_required": True,
            "provenance_score": supported,
            "evidence_refs": (given or (f"span:{step_id}" if step_id else f"trace:{draft.trace_id}"),),
        }
        draft.add(EventType.EVIDENCE_CHECKED, at_us, checked, told_apart)


def _scale_in(name: str) -> str | None:
    """The scale that an evaluator's name says, as in `Groundedness 1-5`."""
    found = bounds(name)
    return None if found is None else f"{found[0]:g}..{found[1]:g}"

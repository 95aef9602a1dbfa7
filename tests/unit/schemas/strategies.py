"""Hypothesis strategies for the contract: any valid event, of any type, with any of its fields."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from causeline.schemas.events import EVENT_MODELS, TraceEvent
from causeline.schemas.vocabulary import (
    EvalOutcome,
    EventType,
    FallbackKind,
    FinalState,
    NextStep,
    ReviewOutcome,
    Status,
    StepKind,
)

text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
run_ids = st.integers(1, 2**128 - 1).map(lambda n: f"{n:032x}")
step_ids = st.integers(1, 2**64 - 1).map(lambda n: f"{n:016x}")
micros = st.integers(0, 253_402_300_799_999_999)
scores = st.floats(0, 1)
amounts = st.floats(0, 1e12, allow_nan=False)
refs = st.lists(text, max_size=3).map(tuple)
labels = st.dictionaries(text, st.text(st.characters(codec="utf-8"), max_size=40), max_size=4)

_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "event_id": run_ids,
    "run_id": run_ids,
    "step_id": step_ids,
    "parent_step_id": step_ids,
    "seq": st.integers(0, 2**63 - 1),
    "run_started_at": micros,
    "occurred_at": micros,
    "started_at": micros,
    "step_kind": st.sampled_from(StepKind),
    "status": st.sampled_from(Status),
    "next_step": st.sampled_from(NextStep),
    "fallback_taken": st.sampled_from(FallbackKind),
    "review_outcome": st.sampled_from(ReviewOutcome),
    "eval_outcome": st.sampled_from(EvalOutcome),
    "final_state": st.sampled_from(FinalState),
    "retry_count": st.integers(0, 2**31 - 1),
    "input_tokens": st.integers(0, 2**63 - 1),
    "output_tokens": st.integers(0, 2**63 - 1),
    "expected_events": st.integers(1, 2**31 - 1),
    "seed": st.integers(-(2**63), 2**63 - 1),
    "cost_usd": amounts,
    "temperature": amounts,
    "route_confidence": scores,
    "confidence": scores,
    "provenance_score": scores,
    "top_p": scores,
    "refusal": st.booleans(),
    "evidence_required": st.booleans(),
    "context_refs": refs,
    "evidence_refs": refs,
    "conflicting_refs": refs,
    "validation_errors": refs,
    "expected_steps": refs,
    "labels": labels,
}


def _event(draw: Callable[[st.SearchStrategy[Any]], Any], model: type[TraceEvent]) -> TraceEvent:
    fields = {}
    for name, field in model.model_fields.items():
        if field.is_required() or draw(st.booleans()):
            fields[name] = draw(_BY_NAME.get(name, text))
    return model.checked(**fields)


@st.composite
def events(draw: Callable[[st.SearchStrategy[Any]], Any], kind: EventType | None = None) -> TraceEvent:
    """Any valid event, or any of one type."""
    return _event(draw, EVENT_MODELS[kind or draw(st.sampled_from(EventType))])

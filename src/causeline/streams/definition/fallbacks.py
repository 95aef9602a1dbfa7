"""A run's fallbacks: those that the workflow says, and those that follow from what it did, marked as inferred.

A workflow that says its fallbacks is believed: where a run says that it tried again in any way, no such way is
inferred for it, and where it says that it gave less than was asked, neither is that. What is inferred rests on a step
that came again, and says what it rests on.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from causeline.schemas.vocabulary import EventType, FallbackKind, FinalState, StepKind
from causeline.streams.definition.records import Event, FallbackRecord
from causeline.streams.definition.steps import Step

TRIED_AGAIN: Final = frozenset(
    {
        FallbackKind.RETRY, FallbackKind.NARROWER_SCOPE, FallbackKind.SIMPLER_MODEL, FallbackKind.STRONGER_MODEL,
        FallbackKind.OTHER_MODEL,
    }
)  # fmt: skip
GAVE_LESS: Final = frozenset(
    {FallbackKind.PARTIAL_ANSWER, FallbackKind.SAFE_MESSAGE, FallbackKind.STOP, FallbackKind.HUMAN_REVIEW}
)


def fallbacks(
    events: Sequence[Event], steps: Sequence[Step], final_state: str | None, finished_at: int
) -> list[FallbackRecord]:
    """The fallbacks taken: those that are said, then those inferred of steps, then the one of how the run ended."""
    said = [_said(event) for event in events if event.event_type == EventType.FALLBACK_TAKEN]
    kinds = {each["kind"] for each in said}
    found = list(said)
    if not kinds & TRIED_AGAIN:
        found += _tried_again(steps)
    if not kinds & GAVE_LESS and final_state == FinalState.PARTIAL:
        found.append(_inferred(FallbackKind.PARTIAL_ANSWER, "the run's final state is partial", None, finished_at))
    return found


def _said(event: Event) -> FallbackRecord:
    return {
        "event_id": event.event_id,
        "step_id": event.step_id,
        "kind": event.fallback_taken,
        "reason": event.fallback_reason,
        "inferred": False,
        "occurred_at": event.occurred_at,
    }


def _inferred(kind: FallbackKind, reason: str, step_id: str | None, occurred_at: int) -> FallbackRecord:
    return {
        "event_id": None,
        "step_id": step_id,
        "kind": kind.value,
        "reason": reason,
        "inferred": True,
        "occurred_at": occurred_at,
    }


def _tried_again(steps: Sequence[Step]) -> Iterator[FallbackRecord]:
    """Steps that came again: narrower, of another model, or else the same once more."""
    seeing = _seeing_kind(steps)
    same: dict[str, Step] = {}
    seen: dict[str, Step] = {}
    call: Step | None = None
    for step in steps:
        ways = [
            (
                FallbackKind.NARROWER_SCOPE,
                _narrower(step, seen.get(step.label)) if step.said.step_kind == seeing else None,
            ),
            (FallbackKind.OTHER_MODEL, _other_model(step, call)),
        ]
        told = [(kind, reason) for kind, reason in ways if reason is not None]
        if not told and (reason := _retried(step, same.get(step.label))):
            told = [(FallbackKind.RETRY, reason)]
        yield from (_inferred(kind, reason, step.step_id, step.started_at) for kind, reason in told)
        same[step.label] = step
        if step.said.context_refs:
            seen[step.label] = step
        if step.said.step_kind == StepKind.MODEL_CALL:
            call = step


def _seeing_kind(steps: Sequence[Step]) -> StepKind:
    """Which steps say what the model saw: calls, or prompts where no call says it."""
    call = any(step.said.step_kind == StepKind.MODEL_CALL and step.said.context_refs for step in steps)
    return StepKind.MODEL_CALL if call else StepKind.PROMPT


def _narrower(step: Step, before: Step | None) -> str | None:
    """With a true part of the context that it had the time before."""
    if before is None or not step.said.context_refs or not set(step.said.context_refs) < set(before.said.context_refs):
        return None
    return f"{step.label} had more context before"


def _other_model(step: Step, before: Step | None) -> str | None:
    """A model call right after one of another model that ended in error."""
    if before is None or not before.failed or step.said.step_kind != StepKind.MODEL_CALL:
        return None
    names = {before.said.model_name, step.said.model_name}
    return f"another model failed before {step.label}" if len(names) == 2 and None not in names else None


def _retried(step: Step, before: Step | None) -> str | None:
    """A step whose last attempt ended in error, or that counts attempts itself."""
    if before is not None and before.failed:
        return f"{step.label} failed before"
    return f"{step.label} counts attempts before it" if (step.said.retry_count or 0) > 0 else None

"""The steps of a run: what was said of each at its start and its end, joined."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from causeline.schemas.vocabulary import EventType, Status, StepKind
from causeline.streams.definition.ends import is_foreign
from causeline.streams.definition.records import Event, StepRecord

DOUBLED: Final = "otel.doubled"
"""The label of a model call within which another instrumentation tells the same call."""
_TOLD: Final = (EventType.STEP_STARTED, EventType.STEP_FINISHED)
_JOINED: Final = ("started_at", "step_id", "occurred_at", "seq", "event_id", "event_type", "emitter_id")
_SAYS: Final = tuple(
    (place, name)
    for place, name in enumerate(Event._fields)
    if name in StepRecord.__annotations__ and name not in _JOINED
)
"""What an event says of a step, by its place in an event."""


class Step(NamedTuple):
    """One step. `said` is an event that says of each field what was said of the step last."""

    said: Event
    step_id: str
    parent_id: str | None
    """The enclosing step; one that names itself has none."""
    label: str
    """kind:name."""
    started_at: int
    finished_at: int | None
    """None where only its start was seen."""
    ended_at: int
    """When it spoke: at its end, else at its start."""
    seq: int
    is_doubled: bool = False

    @property
    def duration_us(self) -> int | None:
        """Never below zero: clocks may disagree."""
        return None if self.finished_at is None else max(0, self.finished_at - self.started_at)

    @property
    def failed(self) -> bool:
        """Whether it ended in error."""
        return self.said.status == Status.ERROR


def steps_of(events: Iterable[Event]) -> list[Step]:
    """The steps by start, then by the lowest number, then by id; `events` in canonical order."""
    told: dict[str, list[Event]] = {}
    for event in events:
        if event.event_type in _TOLD and event.step_id is not None:
            told.setdefault(event.step_id, []).append(event)
    steps = [_step(step_id, said) for step_id, said in told.items()]
    steps.sort(key=lambda step: (step.started_at, step.seq, step.step_id))
    if any(is_foreign(event) for said in told.values() for event in said):
        doubled = _doubled(steps)
        steps = [step._replace(is_doubled=step.step_id in doubled) for step in steps]
    return steps


def _step(step_id: str, told: Sequence[Event]) -> Step:
    said, started_at, seq = told[0], told[0].started_at or 0, told[0].seq
    if len(told) > 1:
        told = sorted(told, key=_weight)
        said = _said(told)
        started_at, seq = min(event.started_at or 0 for event in told), min(event.seq for event in told)
    finished_at = told[-1].occurred_at if told[-1].event_type == EventType.STEP_FINISHED else None
    return Step(
        said,
        step_id,
        None if said.parent_step_id == step_id else said.parent_step_id,
        f"{said.step_kind}:{said.step_name}",
        started_at,
        finished_at,
        started_at if finished_at is None else finished_at,
        seq,
    )


def _weight(event: Event) -> tuple[bool, int]:
    """An end outweighs a start, whatever the clocks say. Of foreign spans of one id the fuller outweighs, and a span a
    log record, which lasts no time; those that are numbered stand in order.
    """
    fullness = 0
    if is_foreign(event):
        lasts = event.started_at is not None and event.occurred_at > event.started_at
        fullness = sum(event[place] is not None for place, _ in _SAYS) + 1000 * lasts
    return event.event_type == EventType.STEP_FINISHED, fullness


def _said(told: Sequence[Event]) -> Event:
    """Of each field what was said last; an empty list says nothing, and an error of a foreign span is not undone."""
    last: dict[str, object] = {}
    for event in told:
        last |= {name: value for place, name in _SAYS if (value := event[place]) is not None and value != []}
    if any(is_foreign(event) and event.status == Status.ERROR for event in told):
        last["status"] = Status.ERROR.value
    return told[-1]._replace(**last)  # type: ignore[arg-type] # each of its own field


def _doubled(steps: Sequence[Step]) -> set[str]:
    """The model calls that another one of the same tokens lies within: two instrumentations told the same call."""
    calls = {step.step_id: step for step in steps if step.said.step_kind == StepKind.MODEL_CALL}
    pairs = [(calls.get(inner.parent_id or ""), inner) for inner in calls.values()]
    return {outer.step_id for outer, inner in pairs if outer is not None and _cost_the_same(outer.said, inner.said)}


def _cost_the_same(one: Event, other: Event) -> bool:
    return one.input_tokens == other.input_tokens is not None and one.output_tokens == other.output_tokens


def leaves(steps: Sequence[Step]) -> list[Step]:
    """The steps that no other names as its parent."""
    enclosing = {step.parent_id for step in steps}
    return [step for step in steps if step.step_id not in enclosing]


def slowest_step(steps: Sequence[Step]) -> str | None:
    """The longest leaf, the first where two are equal."""
    timed = [step for step in leaves(steps) if step.finished_at is not None]
    return max(timed, key=lambda step: step.duration_us or 0).label if timed else None


def record(step: Step) -> StepRecord:
    """The step as a run's record has it."""
    said = step.said
    return {
        "step_id": step.step_id,
        "parent_step_id": said.parent_step_id,
        "step_kind": said.step_kind,
        "step_name": said.step_name,
        "status": said.status,
        "error_type": said.error_type,
        "retry_count": said.retry_count,
        "started_at": step.started_at,
        "finished_at": step.finished_at,
        "duration_us": step.duration_us,
        "cost_usd": said.cost_usd,
        "input_tokens": said.input_tokens,
        "output_tokens": said.output_tokens,
        "route": said.route,
        "route_reason": said.route_reason,
        "route_confidence": said.route_confidence,
        "route_policy_version": said.route_policy_version,
        "prompt_id": said.prompt_id,
        "prompt_version": said.prompt_version,
        "model_provider": said.model_provider,
        "model_name": said.model_name,
        "model_policy": said.model_policy,
        "temperature": said.temperature,
        "top_p": said.top_p,
        "seed": said.seed,
        "system_fingerprint": said.system_fingerprint,
        "confidence": said.confidence,
        "refusal": said.refusal,
        "parser_version": said.parser_version,
        "schema_version": said.schema_version,
        "input_ref": said.input_ref,
        "parsed_artifact_ref": said.parsed_artifact_ref,
        "context_refs": said.context_refs,
        "raw_output_ref": said.raw_output_ref,
        "evidence_refs": said.evidence_refs,
        "validation_errors": said.validation_errors,
        "labels": [*said.labels, {"key": DOUBLED, "value": "true"}] if step.is_doubled else said.labels,
        "original_kind": said.original_kind,
        "request_model": said.request_model,
        "attributes_ref": said.attributes_ref,
    }

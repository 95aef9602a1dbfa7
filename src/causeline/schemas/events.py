"""The contract of an event: one strict model per event type, and the wide record they become on the wire.

Times are microseconds since the epoch, UTC. Strings that describe are at most 1024 characters, ids and versions 256,
references 2048 (their form: causeline.schemas.references); lists at most 1000 items, a conflict's sides 100; labels at
most 32 pairs, each text at most 256 characters.

Decided in ADRs 1 and 5.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from causeline.schemas.errors import InvalidEvent
from causeline.schemas.ids import is_run_id, is_step_id
from causeline.schemas.references import MAX_REFERENCE, WHAT, WHO, is_persons_id, is_reference
from causeline.schemas.vocabulary import (
    EvalOutcome,
    EventType,
    FallbackKind,
    FinalState,
    NextStep,
    ReviewOutcome,
    Status,
    StepKind,
    WorkflowSource,
)

MAX_NAME = 256
MAX_LABELS = 32
MAX_LABEL_CHARS = 256
MAX_LIST = 1000
MAX_SIDES = 100
UNNUMBERED_EMITTER = "otlp"
"""Emitter of all that comes as spans of foreign traces. Nobody numbers those, so that its events all have number 0 and
no loss is read from them: whether such a run is whole is told by its root and by the parents that its spans name."""
LAST_MICROSECOND = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z


def _run_id(value: str) -> str:
    if not is_run_id(value):
        raise ValueError("a run id is 32 lower-case hex digits, not all zero")
    return value


def _step_id(value: str) -> str:
    if not is_step_id(value):
        raise ValueError("a step id is 16 lower-case hex digits, not all zero")
    return value


def _reference(value: str) -> str:
    if not is_reference(value):
        raise ValueError(f"should be {WHAT}")
    return value


def _persons_id(value: str) -> str:
    if not is_persons_id(value):
        raise ValueError(f"should be {WHO}")
    return value


def _labels(value: dict[str, str]) -> dict[str, str]:
    if len(value) > MAX_LABELS:
        raise ValueError(f"at most {MAX_LABELS} labels")
    if any(len(k) > MAX_LABEL_CHARS or len(v) > MAX_LABEL_CHARS for k, v in value.items()):
        raise ValueError(f"a label's key and value are at most {MAX_LABEL_CHARS} characters")
    return value


RunId: TypeAlias = Annotated[str, AfterValidator(_run_id)]
StepId: TypeAlias = Annotated[str, AfterValidator(_step_id)]
Micros: TypeAlias = Annotated[int, Field(ge=0, le=LAST_MICROSECOND)]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
StepLabel: TypeAlias = Annotated[str, Field(min_length=1, max_length=300)]
"""kind:name of a step."""
Phrase: TypeAlias = Annotated[str, Field(min_length=1, max_length=1024)]
Ref: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_REFERENCE), AfterValidator(_reference)]
PersonRef: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_REFERENCE), AfterValidator(_persons_id)]
Refs: TypeAlias = Annotated[tuple[Ref, ...], Field(max_length=MAX_LIST)]
Score: TypeAlias = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Amount: TypeAlias = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=2**31 - 1)]
BigCount: TypeAlias = Annotated[int, Field(ge=0, le=2**63 - 1)]
Positive: TypeAlias = Annotated[int, Field(ge=1, le=2**31 - 1)]
Whole: TypeAlias = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Phrases: TypeAlias = Annotated[tuple[Phrase, ...], Field(max_length=MAX_LIST)]
StepNames: TypeAlias = Annotated[tuple[StepLabel, ...], Field(max_length=MAX_LIST)]
Labels: TypeAlias = Annotated[dict[str, str], AfterValidator(_labels)]
EventIdText: TypeAlias = Annotated[str, AfterValidator(_run_id)]


@dataclass(frozen=True, slots=True)
class ConflictSide:
    """What one source says of a field about which sources disagree: references, and how well it supports its value.

    Checked with the event that carries it, so that making one never stops a workflow.
    """

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", revalidate_instances="always")

    source_ref: Ref
    value_ref: Ref | None = None
    source_kind: Name | None = None
    """Kind of source, as the policy's authority ranks them."""
    score: Score | None = None


Sides: TypeAlias = Annotated[tuple[ConflictSide, ...], Field(max_length=MAX_SIDES)]


class TraceEvent(BaseModel):
    """What every event says: its identity, and when it came true."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    event_type: ClassVar[EventType]

    event_id: EventIdText
    run_id: RunId
    project: Name
    workflow: Name
    emitter_id: Name
    seq: BigCount
    run_started_at: Micros
    occurred_at: Micros
    labels: Labels = Field(default_factory=dict)
    session_id: Name | None = None
    user_hash: Name | None = None
    workflow_source: WorkflowSource | None = None

    @classmethod
    def checked(cls, **fields: object) -> Self:
        """The event of these fields; raises InvalidEvent naming the first field that is wrong, never its value."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise InvalidEvent(_first_fault(cls.event_type, error)) from None


def _first_fault(event_type: EventType, error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "event"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{event_type}: {where}: {first['msg']}{more}."


class _Step(BaseModel):
    step_id: StepId
    parent_step_id: StepId | None = None
    step_kind: StepKind
    step_name: Name
    original_kind: Name | None = None
    """The word that its own instrumentation has for its kind."""
    attributes_ref: Ref | None = None
    """All else that its span said."""


class RunStarted(TraceEvent):
    """A run began."""

    event_type = EventType.RUN_STARTED
    input_ref: Ref | None = None
    parent_step_id: StepId | None = None


class StepStarted(TraceEvent, _Step):
    """A step began; only said by workflows whose steps are long enough to watch."""

    event_type = EventType.STEP_STARTED
    started_at: Micros


class StepFinished(TraceEvent, _Step):
    """A step ended: what it read, decided and made, under which versions."""

    event_type = EventType.STEP_FINISHED
    started_at: Micros
    status: Status
    error_type: Name | None = None
    retry_count: Count | None = None
    cost_usd: Amount | None = None
    input_tokens: BigCount | None = None
    output_tokens: BigCount | None = None
    route: Name | None = None
    route_reason: Phrase | None = None
    route_confidence: Score | None = None
    route_policy_version: Name | None = None
    prompt_id: Name | None = None
    prompt_version: Name | None = None
    model_provider: Name | None = None
    model_name: Name | None = None
    request_model: Name | None = None
    model_policy: Name | None = None
    temperature: Amount | None = None
    top_p: Score | None = None
    seed: Whole | None = None
    system_fingerprint: Name | None = None
    confidence: Score | None = None
    refusal: bool | None = None
    parser_version: Name | None = None
    schema_version: Name | None = None
    input_ref: Ref | None = None
    parsed_artifact_ref: Ref | None = None
    context_refs: Refs = ()
    raw_output_ref: Ref | None = None
    evidence_refs: Refs = ()
    validation_errors: Phrases = ()


class EvidenceChecked(TraceEvent, _Step):
    """A value was held against its sources."""

    event_type = EventType.EVIDENCE_CHECKED
    field_path: Phrase
    evidence_required: bool
    provenance_score: Score | None = None
    evidence_refs: Refs = ()
    conflicting_refs: Refs = ()
    retry_count: Count | None = None
    """How many next steps for this field came before this check."""
    next_step: NextStep | None = None
    policy_hash: Name | None = None
    conflict_sides: Sides = ()
    """Where sources disagree: every side, the one that was used and those that were not."""


class FallbackTaken(TraceEvent):
    """The workflow did something other than it meant to."""

    event_type = EventType.FALLBACK_TAKEN
    step_id: StepId | None = None
    step_kind: StepKind | None = None
    step_name: Name | None = None
    fallback_taken: FallbackKind
    fallback_reason: Phrase | None = None


class ReviewRecorded(TraceEvent):
    """A reviewer decided, perhaps hours later."""

    event_type = EventType.REVIEW_RECORDED
    step_id: StepId | None = None
    field_path: Phrase | None = None
    review_outcome: ReviewOutcome
    reviewer_ref: PersonRef | None = None
    override_ref: Ref | None = None
    review_note_ref: Ref | None = None


class EvalRecorded(TraceEvent):
    """The run answered an eval case, or became one."""

    event_type = EventType.EVAL_RECORDED
    eval_case_id: Name
    eval_outcome: EvalOutcome | None = None


class EvaluationRecorded(TraceEvent):
    """An evaluator judged the run or a step of it, on a scale of its own."""

    event_type = EventType.EVALUATION_RECORDED
    step_id: StepId | None = None
    evaluation_name: Name
    evaluation_score: Finite | None = None
    evaluation_scale: Name | None = None
    evaluation_label: Name | None = None
    evaluator: Name | None = None
    explanation_ref: Ref | None = None


class RunFinished(TraceEvent):
    """A run ended, and says how many events it sent."""

    event_type = EventType.RUN_FINISHED
    parent_step_id: StepId | None = None
    final_state: FinalState
    status: Status
    error_type: Name | None = None
    raw_output_ref: Ref | None = None
    expected_events: Positive | None = None
    """How many events the run's emitter sent; not said where nobody numbers them, as for spans of a foreign trace."""
    expected_steps: StepNames = ()


AnyEvent: TypeAlias = (
    RunStarted
    | StepStarted
    | StepFinished
    | EvidenceChecked
    | FallbackTaken
    | ReviewRecorded
    | EvalRecorded
    | EvaluationRecorded
    | RunFinished
)

EVENT_MODELS: Mapping[EventType, type[TraceEvent]] = {
    model.event_type: model
    for model in (
        RunStarted,
        StepStarted,
        StepFinished,
        EvidenceChecked,
        FallbackTaken,
        ReviewRecorded,
        EvalRecorded,
        EvaluationRecorded,
        RunFinished,
    )
}

Record: TypeAlias = dict[str, object]
"""An event as the wire has it: every field of the Avro record it says something of."""


def to_record(event: TraceEvent) -> Record:
    """The wide Avro record of an event; what it does not say is left to the schema's defaults."""
    record: Record = {name: value for name, value in event if value is not None}
    record["event_type"] = event.event_type.value
    record["labels"] = [{"key": key, "value": value} for key, value in event.labels.items()]
    if isinstance(event, EvidenceChecked):
        record["conflict_sides"] = [asdict(side) for side in event.conflict_sides]
    return record


def from_record(record: Mapping[str, object]) -> TraceEvent:
    """The event of a decoded record; raises InvalidEvent where it breaks the contract."""
    kind = record.get("event_type")
    model = _MODELS_BY_WORD.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise InvalidEvent("event_type: not one of the known event types.")
    fields = {name: value for name, value in record.items() if value not in (None, [])}
    del fields["event_type"]
    labels = fields.get("labels", [])
    if not isinstance(labels, list):
        raise InvalidEvent(f"{kind}: labels: not a list of pairs.")
    fields["labels"] = {pair["key"]: pair["value"] for pair in labels}
    return model.checked(**{name: _from_wire(model, name, value) for name, value in fields.items()})


_MODELS_BY_WORD: Mapping[str, type[TraceEvent]] = {kind.value: model for kind, model in EVENT_MODELS.items()}
_WORDS: Mapping[str, type[StrEnum]] = {
    "step_kind": StepKind,
    "workflow_source": WorkflowSource,
    "status": Status,
    "next_step": NextStep,
    "fallback_taken": FallbackKind,
    "review_outcome": ReviewOutcome,
    "eval_outcome": EvalOutcome,
    "final_state": FinalState,
}


def _from_wire(model: type[TraceEvent], name: str, value: object) -> object:
    if name == "conflict_sides" and isinstance(value, list):
        return tuple(ConflictSide(**side) for side in value)
    if isinstance(value, list):
        return tuple(value)
    word = _WORDS.get(name)
    if word is None:
        return value
    try:
        return word(str(value))
    except ValueError:
        raise InvalidEvent(f"{model.event_type}: {name}: not one of its known words.") from None

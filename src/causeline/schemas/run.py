"""A stored run, typed: what stands in `causeline.runs` and in the `runs` view, read from either.

Times are aware datetimes in UTC. The fields are those of `Run` in the Avro schema, whose docs say what each means.

Decided in ADR 4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Self, get_args, get_type_hints

from causeline.schemas.vocabulary import SCOPE_LABEL

Labels = Mapping[str, str]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _FromRecord:
    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """The object of a record; what the record does not have keeps its default, what it has besides is ignored."""
        plain, read = _fields_of(cls.__name__, cls)
        values = {name: value for name in plain if (value := record.get(name)) is not None}
        for name, reader in read:
            if (value := record.get(name)) is not None:
                values[name] = reader(value)
        return cls(**values)


_FIELDS: dict[str, tuple[Sequence[str], Sequence[tuple[str, Any]]]] = {}


def _fields_of(name: str, cls: type[Any]) -> tuple[Sequence[str], Sequence[tuple[str, Any]]]:
    """The fields that are as records have them, and the others with what reads them."""
    found = _FIELDS.get(name)
    if found is None:
        hints = get_type_hints(cls)
        readers = {item.name: _reader(hints[item.name]) for item in fields(cls)}
        plain = [each for each, reader in readers.items() if reader is None]
        found = _FIELDS[name] = (plain, [pair for pair in readers.items() if pair[1] is not None])
    return found


def _reader(hint: Any) -> Any:
    """What reads a value of a type; None where it stays what it is."""
    inner = [part for part in get_args(hint) if part not in (type(None), Ellipsis)]
    if hint == Labels:
        return _labels
    if isinstance(hint, type) and issubclass(hint, _FromRecord):
        return hint.from_record
    if getattr(hint, "__origin__", None) is tuple:
        item = _reader(inner[0])
        return tuple if item is None else lambda values: tuple(map(item, values))
    kind = inner[0] if inner else hint
    return _moment if kind is datetime else None


def _moment(value: datetime | int) -> datetime:
    if isinstance(value, int):
        return _EPOCH + timedelta(microseconds=value)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _labels(value: Mapping[str, str] | Sequence[Mapping[str, str]]) -> Labels:
    if isinstance(value, Mapping):
        return dict(value)
    return {pair["key"]: pair["value"] for pair in value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions(_FromRecord):
    """What a step, or a run as a whole, decided and under which versions."""

    route: str | None = None
    route_reason: str | None = None
    route_confidence: float | None = None
    route_policy_version: str | None = None
    prompt_id: str | None = None
    prompt_version: str | None = None
    model_provider: str | None = None
    model_name: str | None = None
    model_policy: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    system_fingerprint: str | None = None
    confidence: float | None = None
    refusal: bool | None = None
    parser_version: str | None = None
    schema_version: str | None = None
    input_ref: str | None = None
    parsed_artifact_ref: str | None = None
    context_refs: tuple[str, ...] = ()
    raw_output_ref: str | None = None
    evidence_refs: tuple[str, ...] = ()
    validation_errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Decisions):
    """One step of a run."""

    step_id: str = ""
    parent_step_id: str | None = None
    step_kind: str = "custom"
    step_name: str = ""
    status: str | None = None
    error_type: str | None = None
    retry_count: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration_us: int | None = None
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    labels: Labels = field(default_factory=dict)
    original_kind: str | None = None
    request_model: str | None = None
    attributes_ref: str | None = None

    @property
    def full_name(self) -> str:
        """kind:name."""
        return f"{self.step_kind}:{self.step_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(_FromRecord):
    """A field that was held against its sources."""

    event_id: str = ""
    step_id: str | None = None
    field_path: str | None = None
    evidence_required: bool | None = None
    provenance_score: float | None = None
    evidence_refs: tuple[str, ...] = ()
    conflicting_refs: tuple[str, ...] = ()
    retry_count: int | None = None
    next_step: str | None = None
    policy_hash: str | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunGap(_FromRecord):
    """A gap in the evidence for a field."""

    event_id: str = ""
    kind: str = ""
    field_path: str | None = None
    provenance_score: float | None = None
    next_step: str | None = None
    threshold: float | None = None
    decided_next_step: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConflictSide(_FromRecord):
    """One side of a conflict between sources, weighed by the policy's authority."""

    event_id: str = ""
    field_path: str | None = None
    source_ref: str = ""
    value_ref: str | None = None
    source_kind: str | None = None
    score: float | None = None
    authority_rank: int | None = None
    won: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback(_FromRecord):
    """Something that the workflow did in place of what it meant to do."""

    event_id: str = ""
    step_id: str | None = None
    kind: str = ""
    reason: str | None = None
    inferred: bool = False
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Review(_FromRecord):
    """A reviewer's decision."""

    event_id: str = ""
    outcome: str = ""
    field_path: str | None = None
    reviewer_ref: str | None = None
    override_ref: str | None = None
    note_ref: str | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Eval(_FromRecord):
    """An eval case that the run answered or became."""

    event_id: str = ""
    case_id: str = ""
    outcome: str | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(_FromRecord):
    """What an evaluator said of the run or of one of its steps; the label goes before the score."""

    event_id: str = ""
    step_id: str | None = None
    name: str = ""
    score: float | None = None
    scale: str | None = None
    label: str | None = None
    evaluator: str | None = None
    explanation_ref: str | None = None
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Decisions):
    """One run, joined."""

    run_id: str = ""
    project: str = ""
    workflow: str = ""
    revision: int = 0
    verdict: str = ""
    close_reason: str | None = None
    missing: tuple[str, ...] = ()
    events: int = 0
    events_lost: int = 0
    amended: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration_us: int | None = None
    closed_at: datetime | None = None
    final_state: str | None = None
    status: str | None = None
    error_type: str | None = None
    error_step: str | None = None
    fallback_taken: str | None = None
    fallback_reason: str | None = None
    review_outcome: str | None = None
    reviewer_ref: str | None = None
    override_ref: str | None = None
    review_note_ref: str | None = None
    eval_case_id: str | None = None
    eval_outcome: str | None = None
    retry_count: int | None = None
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    slowest_step: str | None = None
    costliest_step: str | None = None
    missing_anchors: tuple[str, ...] = ()
    gap_kinds: tuple[str, ...] = ()
    policy_hash: str | None = None
    labels: Labels = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    gaps: tuple[RunGap, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()
    reviews: tuple[Review, ...] = ()
    evals: tuple[Eval, ...] = ()
    conflict_sides: tuple[RunConflictSide, ...] = ()
    source_partition: int | None = None
    first_offset: int | None = None
    last_offset: int | None = None
    assembler_version: str | None = None
    session_id: str | None = None
    user_hash: str | None = None
    evaluations: tuple[Evaluation, ...] = ()

    @property
    def is_foreign(self) -> bool:
        """Whether another's instrumentation told it: it has no word for much of what a workflow of ours records."""
        return SCOPE_LABEL in self.labels

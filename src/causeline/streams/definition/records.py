"""An event that the contract lets through, and a run's record as its topic has it; times are microseconds.

Made from the newest `trace-batch` and `run-batch` by `python -m tests.contract.record_types`: what a field means stands
there. What may be None is what a run may lack.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypedDict


class Label(TypedDict):
    """A label: of an event, a step or a run."""

    key: str
    value: str


class ConflictSide(TypedDict):
    """What one source says of a field."""

    source_ref: str
    value_ref: str | None
    source_kind: str | None
    score: float | None


class Event(NamedTuple):
    """What one event says."""

    event_id: str
    run_id: str
    project: str
    workflow: str
    emitter_id: str
    seq: int
    event_type: str
    run_started_at: int
    occurred_at: int
    started_at: int | None
    step_id: str | None
    parent_step_id: str | None
    step_kind: str | None
    step_name: str | None
    status: str | None
    error_type: str | None
    retry_count: int | None
    cost_usd: float | None
    input_tokens: int | None
    output_tokens: int | None
    route: str | None
    route_reason: str | None
    route_confidence: float | None
    route_policy_version: str | None
    prompt_id: str | None
    prompt_version: str | None
    model_provider: str | None
    model_name: str | None
    model_policy: str | None
    temperature: float | None
    top_p: float | None
    seed: int | None
    system_fingerprint: str | None
    confidence: float | None
    refusal: bool | None
    parser_version: str | None
    schema_version: str | None
    input_ref: str | None
    parsed_artifact_ref: str | None
    context_refs: Sequence[str]
    raw_output_ref: str | None
    evidence_refs: Sequence[str]
    validation_errors: Sequence[str]
    field_path: str | None
    evidence_required: bool | None
    provenance_score: float | None
    conflicting_refs: Sequence[str]
    next_step: str | None
    policy_hash: str | None
    fallback_taken: str | None
    fallback_reason: str | None
    review_outcome: str | None
    reviewer_ref: str | None
    override_ref: str | None
    review_note_ref: str | None
    eval_case_id: str | None
    eval_outcome: str | None
    final_state: str | None
    expected_events: int | None
    expected_steps: Sequence[str]
    labels: Sequence[Label]
    conflict_sides: Sequence[ConflictSide]
    original_kind: str | None
    request_model: str | None
    attributes_ref: str | None
    session_id: str | None
    user_hash: str | None
    workflow_source: str | None
    evaluation_name: str | None
    evaluation_score: float | None
    evaluation_scale: str | None
    evaluation_label: str | None
    evaluator: str | None
    explanation_ref: str | None


class StepRecord(TypedDict):
    """One of a run's `steps`."""

    step_id: str | None
    parent_step_id: str | None
    step_kind: str | None
    step_name: str | None
    status: str | None
    error_type: str | None
    retry_count: int | None
    started_at: int | None
    finished_at: int | None
    duration_us: int | None
    cost_usd: float | None
    input_tokens: int | None
    output_tokens: int | None
    route: str | None
    route_reason: str | None
    route_confidence: float | None
    route_policy_version: str | None
    prompt_id: str | None
    prompt_version: str | None
    model_provider: str | None
    model_name: str | None
    model_policy: str | None
    temperature: float | None
    top_p: float | None
    seed: int | None
    system_fingerprint: str | None
    confidence: float | None
    refusal: bool | None
    parser_version: str | None
    schema_version: str | None
    input_ref: str | None
    parsed_artifact_ref: str | None
    context_refs: Sequence[str]
    raw_output_ref: str | None
    evidence_refs: Sequence[str]
    validation_errors: Sequence[str]
    labels: Sequence[Label]
    original_kind: str | None
    request_model: str | None
    attributes_ref: str | None


class EvidenceRecord(TypedDict):
    """One of a run's `evidence`."""

    event_id: str | None
    step_id: str | None
    field_path: str | None
    evidence_required: bool | None
    provenance_score: float | None
    evidence_refs: Sequence[str]
    conflicting_refs: Sequence[str]
    next_step: str | None
    policy_hash: str | None
    occurred_at: int | None
    retry_count: int | None


class GapRecord(TypedDict):
    """One of a run's `gaps`."""

    event_id: str | None
    kind: str | None
    field_path: str | None
    provenance_score: float | None
    next_step: str | None
    threshold: float | None
    decided_next_step: str | None


class FallbackRecord(TypedDict):
    """One of a run's `fallbacks`."""

    event_id: str | None
    step_id: str | None
    kind: str | None
    reason: str | None
    inferred: bool | None
    occurred_at: int | None


class ReviewRecord(TypedDict):
    """One of a run's `reviews`."""

    event_id: str | None
    outcome: str | None
    field_path: str | None
    reviewer_ref: str | None
    override_ref: str | None
    note_ref: str | None
    occurred_at: int | None


class EvalRecord(TypedDict):
    """One of a run's `evals`."""

    event_id: str | None
    case_id: str | None
    outcome: str | None
    occurred_at: int | None


class ConflictSideRecord(TypedDict):
    """One of a run's `conflict_sides`."""

    event_id: str | None
    field_path: str | None
    source_ref: str | None
    value_ref: str | None
    source_kind: str | None
    score: float | None
    authority_rank: int | None
    won: bool | None
    reason: str | None


class EvaluationRecord(TypedDict):
    """One of a run's `evaluations`."""

    event_id: str | None
    step_id: str | None
    name: str | None
    score: float | None
    scale: str | None
    label: str | None
    evaluator: str | None
    explanation_ref: str | None
    occurred_at: int | None


class RunRecord(TypedDict):
    """One run, joined."""

    run_id: str
    project: str
    workflow: str
    revision: int
    verdict: str
    close_reason: str
    missing: Sequence[str]
    events: int
    events_lost: int
    amended: bool
    started_at: int
    finished_at: int
    duration_us: int
    closed_at: int
    final_state: str | None
    status: str | None
    error_type: str | None
    error_step: str | None
    route: str | None
    route_reason: str | None
    route_confidence: float | None
    route_policy_version: str | None
    prompt_id: str | None
    prompt_version: str | None
    model_provider: str | None
    model_name: str | None
    model_policy: str | None
    temperature: float | None
    top_p: float | None
    seed: int | None
    system_fingerprint: str | None
    confidence: float | None
    refusal: bool | None
    parser_version: str | None
    schema_version: str | None
    input_ref: str | None
    parsed_artifact_ref: str | None
    context_refs: Sequence[str]
    raw_output_ref: str | None
    evidence_refs: Sequence[str]
    validation_errors: Sequence[str]
    fallback_taken: str | None
    fallback_reason: str | None
    review_outcome: str | None
    reviewer_ref: str | None
    override_ref: str | None
    review_note_ref: str | None
    eval_case_id: str | None
    eval_outcome: str | None
    retry_count: int | None
    cost_usd: float | None
    input_tokens: int | None
    output_tokens: int | None
    slowest_step: str | None
    costliest_step: str | None
    missing_anchors: Sequence[str]
    gap_kinds: Sequence[str]
    policy_hash: str | None
    labels: Sequence[Label]
    steps: Sequence[StepRecord]
    evidence: Sequence[EvidenceRecord]
    gaps: Sequence[GapRecord]
    fallbacks: Sequence[FallbackRecord]
    reviews: Sequence[ReviewRecord]
    evals: Sequence[EvalRecord]
    source_partition: int | None
    first_offset: int | None
    last_offset: int | None
    assembler_version: str | None
    conflict_sides: Sequence[ConflictSideRecord]
    session_id: str | None
    user_hash: str | None
    evaluations: Sequence[EvaluationRecord]

"""A run's and a step's facts as span attributes: the first of each field's names, and OpenInference's besides.

No key is the beginning of another followed by a dot: OpenSearch refuses such pairs.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, TypeAlias

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from causeline.otlp.exporter.span_kinds import RUN, STEPS, SpanKind
from causeline.schemas import otel_names as names
from causeline.schemas.run import Decisions, Evaluation, Evidence, Fallback, Review, Run, RunGap, Step
from causeline.schemas.vocabulary import Status

Plain: TypeAlias = str | bool | int | float | Sequence[str]
Said: TypeAlias = dict[str, Plain]
MAX_TEXT: Final = 8192
"""Longer texts are cut; Honeycomb takes fields under 64 KiB, Datadog's tags are shorter still."""


class Style(StrEnum):
    """Whose attribute names are written, beside Causeline's own."""

    BOTH = "both"
    GENAI = "genai"
    OPENINFERENCE = "openinference"


_STANDARD = ("gen_ai.", "openai.", "error.")
OPENINFERENCE: Final[Mapping[str, str]] = {
    "model_provider": "llm.provider",
    "model_name": "llm.model_name",
    "input_tokens": "llm.token_count.prompt",
    "output_tokens": "llm.token_count.completion",
    "cost_usd": "llm.cost.total",
    "prompt_id": "prompt.id",
    "prompt_version": "llm.prompt_template.version",
}
"""OpenInference's names of fields that have others in OpenTelemetry."""


def of_run(run: Run, style: Style) -> Said:
    """The attributes of a run's root span."""
    said: Said = {
        names.RUN_ID: run.run_id,
        names.PROJECT_NAME: run.project,
        names.WORKFLOW_NAME: run.workflow,
        names.RUN_VERDICT: run.verdict,
        names.RUN_REVISION: run.revision,
    }
    _kind(RUN, style, said)
    _one(names.FINAL_STATE, run.final_state, said)
    _one(names.RUN_MISSING, run.missing, said)
    _one(names.RUN_GAP_KINDS, run.gap_kinds, said)
    _one("causeline.policy.hash", run.policy_hash, said)
    _one(names.SESSION, run.session_id, said)
    _one(names.USER_HASH, run.user_hash, said)
    for name in ("input_ref", "raw_output_ref", "error_type"):
        _one(names.STEP[name].keys[0], getattr(run, name), said)
    return said | _labels(run.labels)


def of_step(step: Step, style: Style) -> Said:
    """The attributes of a step's span."""
    kind = STEPS.get(step.step_kind, STEPS["custom"])
    said: Said = {names.STEP_KIND: step.step_kind, names.STEP_NAME: step.step_name}
    if step.status not in (Status.OK, Status.ERROR):
        said[names.STEP_STATUS] = step.status or names.UNFINISHED
    _one(names.ORIGINAL_KIND, step.original_kind, said)
    _one(names.ATTRIBUTES_REF, step.attributes_ref, said)
    _kind(kind, style, said)
    _decisions(step, style, said)
    if style is not Style.GENAI:
        for number, ref in enumerate(step.context_refs if kind.openinference == "RETRIEVER" else ()):
            said[f"retrieval.documents.{number}.document.id"] = ref
    return said | _labels(step.labels)


def of_evidence(evidence: Evidence) -> Said:
    """The attributes of a piece of evidence, on a span or a span event."""
    told = {
        "field_path": evidence.field_path,
        "evidence_required": evidence.evidence_required,
        "provenance_score": evidence.provenance_score,
        "evidence_refs": evidence.evidence_refs,
        "conflicting_refs": evidence.conflicting_refs,
        "retry_count": evidence.retry_count,
        "next_step": evidence.next_step,
        "policy_hash": evidence.policy_hash,
    }
    return _by_table(names.EVIDENCE, told)


def of_gap(gap: RunGap) -> Said:
    """The attributes of a gap's span event."""
    said: Said = {"causeline.gap.kind": gap.kind}
    _one("causeline.gap.field", gap.field_path, said)
    _one("causeline.gap.score", gap.provenance_score, said)
    _one("causeline.gap.next_step", gap.next_step, said)
    return said


def of_fallback(fallback: Fallback) -> Said:
    """The attributes of a fallback's span event."""
    return _by_table(names.FALLBACK, {"fallback_taken": fallback.kind, "fallback_reason": fallback.reason})


def of_review(review: Review) -> Said:
    """The attributes of a review's span."""
    told = {
        "review_outcome": review.outcome,
        "field_path": review.field_path,
        "reviewer_ref": review.reviewer_ref,
        "override_ref": review.override_ref,
        "review_note_ref": review.note_ref,
    }
    return _by_table(names.REVIEW, told)


def of_evaluation(evaluation: Evaluation) -> Said:
    """The attributes of an evaluation's span event."""
    told = {
        "name": evaluation.name,
        "score": evaluation.score,
        "scale": evaluation.scale,
        "label": evaluation.label,
        "evaluator": evaluation.evaluator,
    }
    said = _by_table(names.EVALUATION, told)
    _one(names.EXPLANATION_REF, evaluation.explanation_ref, said)
    return said


def of_eval(case_id: str, outcome: str | None) -> Said:
    """The attributes of an eval's span."""
    return _by_table(names.EVAL, {"eval_case_id": case_id, "eval_outcome": outcome})


def pairs(said: Mapping[str, Plain]) -> Iterable[KeyValue]:
    """Attributes as OTLP has them."""
    return (KeyValue(key=key, value=_value(value)) for key, value in said.items())


def _kind(kind: SpanKind, style: Style, said: Said) -> None:
    if style is not Style.GENAI:
        said["openinference.span.kind"] = kind.openinference
    if style is not Style.OPENINFERENCE and kind.operation is not None:
        said["gen_ai.operation.name"] = kind.operation


def _decisions(step: Decisions, style: Style, said: Said) -> None:
    for name, alias in names.STEP.items():
        key = alias.keys[0]
        if style is not Style.OPENINFERENCE or not key.startswith(_STANDARD):
            _one(key, getattr(step, name, None), said)
        if style is not Style.GENAI and name in OPENINFERENCE:
            _one(OPENINFERENCE[name], getattr(step, name, None), said)
    parameters = {name: getattr(step, name) for name in ("temperature", "top_p", "seed")}
    chosen = {name: value for name, value in parameters.items() if value is not None}
    if style is not Style.GENAI and chosen:
        said["llm.invocation_parameters"] = json.dumps(chosen, separators=(",", ":"))


def _by_table(table: Mapping[str, names.Alias], told: Mapping[str, object]) -> Said:
    said: Said = {}
    for name, value in told.items():
        _one(table[name].keys[0], value, said)
    return said


def _one(key: str, value: object, said: Said) -> None:
    if isinstance(value, str | bool | int | float):
        said[key] = value
    elif isinstance(value, tuple | list) and value:
        said[key] = [str(item) for item in value]


def _labels(labels: Mapping[str, str]) -> Said:
    return {f"{names.LABEL_PREFIX}{key}": text for key, text in labels.items()}


def _value(value: Plain) -> AnyValue:
    return _WAYS[type(value)](value) if type(value) in _WAYS else _array(value)


def _array(value: Plain) -> AnyValue:
    items = value if isinstance(value, Sequence) else ()
    return AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=item[:MAX_TEXT]) for item in items]))


_WAYS: Final[Mapping[type, Callable[..., AnyValue]]] = {
    str: lambda value: AnyValue(string_value=value[:MAX_TEXT]),
    bool: lambda value: AnyValue(bool_value=value),
    int: lambda value: AnyValue(int_value=value),
    float: lambda value: AnyValue(double_value=value),
}

"""The fields of a step, typed for the caller: all of them, and for each boundary of the trace map those that it has.

Words may be given as members of their vocabulary or as plain text, sequences as lists or tuples; labels are a mapping.
"""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from causeline.schemas.vocabulary import Status

Refs = Sequence[str]


class _Outcome(TypedDict, total=False):
    status: Status | str
    error_type: str
    retry_count: int
    labels: Mapping[str, str]


class _Cost(TypedDict, total=False):
    cost_usd: float
    input_tokens: int
    output_tokens: int


class _Io(TypedDict, total=False):
    input_ref: str
    raw_output_ref: str


class ParseFields(_Outcome, _Io, _Cost, total=False):
    """Parsing turns an input into an artifact; measures: `parse.quality`, `parse.pages`, `parse.pages_read`."""

    parser_version: str
    parsed_artifact_ref: str
    confidence: float


class MaskFields(_Outcome, _Io, total=False):
    """Masking takes out what must not be seen; measures: `masked.TYPE`."""

    parser_version: str
    parsed_artifact_ref: str


class RouteFields(_Outcome, _Io, _Cost, total=False):
    """Classifying and routing decide for a branch; measure: `route.taken`."""

    route: str
    route_reason: str
    route_confidence: float
    route_policy_version: str
    prompt_id: str
    prompt_version: str
    model_provider: str
    model_name: str
    model_policy: str


class RetrieveFields(_Outcome, _Io, _Cost, total=False):
    """Retrieval finds context; measures: `retrieve.field`, `.matches`, `.shown`, `.top_score`."""

    context_refs: Refs
    confidence: float


class PromptFields(_Outcome, _Io, total=False):
    """A prompt is rendered; measure: `prompt.asks`."""

    prompt_id: str
    prompt_version: str
    context_refs: Refs


class ModelFields(_Outcome, _Io, _Cost, total=False):
    """A model answers; measure: `model.finish_reason`."""

    prompt_id: str
    prompt_version: str
    model_provider: str
    model_name: str
    model_policy: str
    temperature: float
    top_p: float
    seed: int
    system_fingerprint: str
    confidence: float
    refusal: bool
    context_refs: Refs


class ToolFields(_Outcome, _Io, _Cost, total=False):
    """A tool is called."""

    context_refs: Refs
    confidence: float


class ValidateFields(_Outcome, _Io, total=False):
    """An output is held against its schema; measure: `validate.checked`."""

    schema_version: str
    validation_errors: Refs


class OutputFields(_Outcome, _Io, total=False):
    """The answer leaves the workflow."""

    schema_version: str
    evidence_refs: Refs
    confidence: float


class StepFields(_Outcome, _Io, _Cost, total=False):
    """Every field that a step may have."""

    route: str
    route_reason: str
    route_confidence: float
    route_policy_version: str
    prompt_id: str
    prompt_version: str
    model_provider: str
    model_name: str
    model_policy: str
    temperature: float
    top_p: float
    seed: int
    system_fingerprint: str
    confidence: float
    refusal: bool
    parser_version: str
    schema_version: str
    parsed_artifact_ref: str
    context_refs: Refs
    evidence_refs: Refs
    validation_errors: Refs

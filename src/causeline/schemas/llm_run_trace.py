"""The minimum trace record: twenty fields that any stored run either has, or names as never recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import BaseModel, ConfigDict


class LlmRunTrace(BaseModel):
    """What an LLM run must leave behind to be explained. Exactly these fields; no invented values."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    run_id: str
    input_ref: str
    parsed_artifact_ref: str | None = None
    route: str
    route_reason: str | None = None
    prompt_id: str
    prompt_version: str
    model_provider: str
    model_name: str
    model_policy: str
    temperature: float | None = None
    top_p: float | None = None
    system_fingerprint: str | None = None
    context_refs: list[str] = []
    raw_output_ref: str
    validation_errors: list[str] = []
    evidence_refs: list[str] = []
    fallback_taken: str | None = None
    review_outcome: str | None = None
    eval_case_id: str | None = None


REQUIRED = tuple(name for name, field in LlmRunTrace.model_fields.items() if field.is_required())


@dataclass(frozen=True, slots=True)
class NeverRecorded:
    """Why a run is not an LlmRunTrace: the required fields that none of its events said."""

    run_id: str
    fields: tuple[str, ...]


def llm_run_trace(run: Mapping[str, object]) -> LlmRunTrace | NeverRecorded:
    """A stored run (a `Run` record or a row of the `runs` view) as an LlmRunTrace, or what it lacks for that.

    Raises pydantic's ValidationError when a recorded value is of the wrong type, which a stored run never is.
    """
    missing = tuple(name for name in REQUIRED if run.get(name) in (None, ""))
    if missing:
        return NeverRecorded(run_id=str(run.get("run_id") or ""), fields=missing)
    values = {name: run.get(name) for name in LlmRunTrace.model_fields}
    for name in ("context_refs", "validation_errors", "evidence_refs"):
        values[name] = list(cast("Sequence[str]", values[name] or ()))
    return LlmRunTrace.model_validate(values)


def with_nulls(run: Mapping[str, object]) -> dict[str, object]:
    """The same fields in the same order, null where a required one was never recorded: no LlmRunTrace, and said so."""
    fields = LlmRunTrace.model_fields
    lists = {"context_refs", "validation_errors", "evidence_refs"}
    return {
        name: list(cast("Sequence[str]", run.get(name) or ())) if name in lists else run.get(name) for name in fields
    }

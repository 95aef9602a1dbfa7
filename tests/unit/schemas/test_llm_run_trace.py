"""Any stored run is an LlmRunTrace, or names what it never recorded."""

from causeline.schemas.llm_run_trace import REQUIRED, LlmRunTrace, NeverRecorded, llm_run_trace

FULL = dict.fromkeys(REQUIRED, "x") | {"run_id": "a" * 32, "temperature": 0.0, "context_refs": ["r"], "workflow": "w"}


def test_the_record_has_exactly_its_twenty_fields() -> None:
    assert tuple(LlmRunTrace.model_fields) == (
        "run_id", "input_ref", "parsed_artifact_ref", "route", "route_reason", "prompt_id", "prompt_version",
        "model_provider", "model_name", "model_policy", "temperature", "top_p", "system_fingerprint", "context_refs",
        "raw_output_ref", "validation_errors", "evidence_refs", "fallback_taken", "review_outcome", "eval_case_id",
    )  # fmt: skip
    assert REQUIRED == (
        "run_id", "input_ref", "route", "prompt_id", "prompt_version", "model_provider", "model_name", "model_policy",
        "raw_output_ref",
    )  # fmt: skip


def test_a_run_with_all_that_is_required_is_one() -> None:
    trace = llm_run_trace(FULL)

    assert isinstance(trace, LlmRunTrace)
    assert (trace.temperature, trace.top_p, trace.context_refs, trace.evidence_refs) == (0.0, None, ["r"], [])


def test_what_was_never_recorded_is_named_and_not_invented() -> None:
    without = {name: value for name, value in FULL.items() if name not in {"prompt_version", "route"}}

    assert llm_run_trace(without) == NeverRecorded("a" * 32, ("route", "prompt_version"))
    assert llm_run_trace(FULL | {"model_name": "", "input_ref": None}) == NeverRecorded(
        "a" * 32, ("input_ref", "model_name")
    )

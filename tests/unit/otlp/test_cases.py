"""Requests that were once read wrongly, one file each (a request a line): what is to come of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from causeline.diagnosis.diagnose import diagnose
from causeline.schemas.run import Run
from tests.unit.otlp.endpoint import Door

_CASES: Final = Path(__file__).parent / "cases"
_SECRET: Final = b"SECRET"


def _eval_scores_lost(run: Run, door: Door) -> None:
    said = [(each.name, each.score, each.scale, each.label) for each in run.evaluations]
    assert sorted(said, key=lambda each: each[0]) == [
        ("Groundedness", 1.0, None, "ungrounded"),
        ("Groundedness 1-5", 2.0, "1..5", None),
        ("Relevance", 0.2, None, None),
    ]
    assert run.evals == (), "an evaluation is no eval case"
    [explained] = [each.explanation_ref for each in run.evaluations if each.explanation_ref]
    assert door.store.get(explained) == b"off topic"
    assert sorted(each.provenance_score or 0.0 for each in run.evidence) == [0.0, 0.25], "the label before the score"


def _hostile_ids(run: Run, door: Door) -> None:
    names = {step.step_name for step in run.steps}
    assert names == {"ok root", "upper", "nonhex parent", "zero parent", "unnamed"}, "a name that is a number is none"
    assert door.intake.counts.rejected == 5, "four ids that are none, and a span without a time"
    by_name = {step.step_name: step for step in run.steps}
    assert by_name["nonhex parent"].parent_step_id is not None, "a parent that is no id makes no root"
    assert run.verdict == "partial"


def _hostile_same_span_twice(run: Run, door: Door) -> None:
    child = next(step for step in run.steps if step.step_id == f"{2:016x}")
    assert (len(run.steps), child.status, child.model_name, child.input_tokens) == (2, "error", "zzz", 5)


def _hostile_two_roots(run: Run, door: Door) -> None:
    assert (run.labels["otel.roots"], run.status, len(run.steps)) == ("2", "error", 3)


def _langsmith_kinds(run: Run, door: Door) -> None:
    kinds = [step.step_kind for step in run.steps]
    assert kinds == ["chain", "retrieve", "model_call", "tool", "embedding"]
    assert [step.context_refs for step in run.steps if step.step_kind == "retrieve"] == [("document:d1",)]
    assert (run.model_name, run.input_tokens, run.output_tokens) == ("gpt-4o", 3, 1)


def _leak_labels(run: Run, door: Door) -> None:
    assert [step.step_name for step in run.steps] == ["agent", "SELECT"]
    first = run.steps[0]
    assert (first.input_ref is None, first.raw_output_ref is None, first.attributes_ref is None) == (False,) * 3
    assert run.user_hash is not None


def _openllmetry_vectordb(run: Run, door: Door) -> None:
    search = next(step for step in run.steps if step.step_kind == "retrieve")
    assert search.context_refs == ("document:doc-1", "document:doc-2")
    assert search.raw_output_ref is not None
    assert b"DOC TEXT" in door.store.get(search.raw_output_ref)
    assert (search.labels["retrieve.matches"], search.labels["retrieve.top_score"]) == ("2", "0.9")
    assert (run.workflow, run.session_id, run.input_tokens, run.output_tokens) == ("rag", "s1", 5, 2)


def _pydantic_ai_cost(run: Run, door: Door) -> None:
    assert (run.cost_usd, run.input_tokens, run.output_tokens, run.workflow) == (5.6e-6, 11, 7, "a")


def _remote_parent(run: Run, door: Door) -> None:
    assert (run.verdict, run.final_state, run.missing, len(run.steps)) == ("complete", "answered", (), 2)


def _run_model_overwritten(run: Run, door: Door) -> None:
    assert (run.model_name, run.model_provider, run.temperature) == ("claude-sonnet-4-5", "anthropic", 0.3)


def _secret_headers(run: Run, door: Door) -> None:
    [call] = run.steps
    assert call.attributes_ref is not None
    kept = door.store.get(call.attributes_ref)
    assert all(each in kept for each in (b"SECRETHEADER", b"SECRETBEARER", b"SECRETPW", b"SECRETCMD", b"SECRETCMDARGS"))


def _session_lost_http_root(run: Run, door: Door) -> None:
    assert (run.session_id, run.workflow, run.user_hash is not None) == ("CONV-123", "helm_agent", True)
    assert b"USER-123" not in _wire(door)


def _why_length(run: Run, door: Door) -> None:
    first = diagnose(run).first_cause
    assert first is not None
    assert (first.finding.rule, first.finding.step) == ("cut_off", "model_call:chat gpt-5")


def _why_llm_error(run: Run, door: Door) -> None:
    first = diagnose(run).first_cause
    assert first is not None
    assert (first.finding.rule, first.finding.step, first.certainty) == (
        "step_error",
        "model_call:chat gpt-5",
        "certain",
    )
    assert "429" in first.finding.headline


EXPECTED: Final[dict[str, Callable[[Run, Door], None]]] = {
    "eval-scores-lost": _eval_scores_lost,
    "hostile-ids": _hostile_ids,
    "hostile-same-span-twice": _hostile_same_span_twice,
    "hostile-two-roots": _hostile_two_roots,
    "langsmith-kinds": _langsmith_kinds,
    "leak-labels": _leak_labels,
    "openllmetry-vectordb": _openllmetry_vectordb,
    "pydantic-ai-cost": _pydantic_ai_cost,
    "remote-parent": _remote_parent,
    "run-model-overwritten": _run_model_overwritten,
    "secret-headers": _secret_headers,
    "session-lost-http-root": _session_lost_http_root,
    "why-length": _why_length,
    "why-llm-error": _why_llm_error,
}


def _wire(door: Door) -> bytes:
    return b"".join(value for _, value in door.transport.sent)


def test_every_case_is_held_to_something() -> None:
    assert sorted(EXPECTED) == sorted(file.stem for file in _CASES.glob("*.json"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_request_that_was_read_wrongly(tmp_path: Path, name: str) -> None:
    door = Door(tmp_path)
    try:
        for line in (_CASES / f"{name}.json").read_bytes().splitlines():
            assert door.post(line, json=True).status_code == 200
        [run] = door.runs.values()
        EXPECTED[name](run, door)
        assert _SECRET not in _wire(door)
    finally:
        door.close()

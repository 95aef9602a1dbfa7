"""Neither diagnosis nor stream knows the demo: a workflow's own words may be others, with the same answer."""

from dataclasses import fields, replace
from typing import Any

import pytest

from benchmarks.why import joined_runs
from causeline.console.diagnosis import Diagnosis, diagnose
from causeline.producers.demo.publish import demo_policy
from causeline.schemas import measures

POLICY = demo_policy()
RUNS = [run for run, _ in joined_runs(61, 150, faulty_share=0.7, pairs=False, policy=POLICY)]
MEASURES = {value for name, value in vars(measures).items() if name.isupper() and isinstance(value, str)}
OWN_WORDS = (
    "step_name", "error_type", "route_reason", "route_policy_version", "prompt_id", "prompt_version", "model_provider",
    "model_name", "model_policy", "system_fingerprint", "parser_version", "schema_version", "fallback_reason",
    "project", "reason", "reviewer_ref", "note_ref", "review_note_ref", "eval_case_id", "case_id",
)  # fmt: skip
"""What a workflow may call as it likes; routes, field paths and its own name are words of its policy as well."""


def is_measure(label: str) -> bool:
    return label in MEASURES or label.startswith(measures.MASKED)


def renamed(record: Any, *, keep_labels: bool) -> Any:
    """The same record in another's words, with none of the labels but measures."""
    said: dict[str, Any] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if field.name in OWN_WORDS and value is not None:
            said[field.name] = f"x{value[::-1]}"
        elif field.name in {"error_step", "slowest_step", "costliest_step"} and value is not None:
            kind, _, name = value.partition(":")
            said[field.name] = f"{kind}:x{name[::-1]}"
        elif field.name == "labels":
            said[field.name] = {key: text for key, text in value.items() if keep_labels or is_measure(key)}
        elif field.name in {"steps", "fallbacks", "reviews", "evals"}:
            said[field.name] = tuple(renamed(each, keep_labels=keep_labels) for each in value)
    return replace(record, **said)


def answers(found: Diagnosis) -> list[object]:
    """What a diagnosis blames, without its words."""
    return [
        [(cause.finding.rule, cause.finding.boundary, cause.finding.health) for cause in found.causes],
        [(answer.question, answer.health, [each.rule for each in answer.findings]) for answer in found.answers],
    ]


@pytest.mark.parametrize("keep_labels", [True, False])
def test_other_words_and_no_labels_but_measures_give_the_same_answer(*, keep_labels: bool) -> None:
    blamed = 0
    for run in RUNS:
        told = diagnose(run, POLICY)
        assert answers(diagnose(renamed(run, keep_labels=keep_labels), POLICY)) == answers(told), run.run_id
        blamed += told.first_cause is not None
    assert blamed > len(RUNS) // 2


def test_the_renaming_leaves_no_word_of_a_workflow() -> None:
    words = {step.step_name for run in RUNS for step in run.steps} | {run.prompt_id for run in RUNS}
    other = [renamed(run, keep_labels=False) for run in RUNS]
    assert not words & {step.step_name for run in other for step in run.steps}
    assert not words & {run.prompt_id for run in other if run.prompt_id}
    assert {label for run in RUNS for step in run.steps for label in step.labels} & MEASURES


def test_every_measure_is_documented_for_any_producer(pytestconfig: pytest.Config) -> None:
    page = (pytestconfig.rootpath / "docs" / "trace-contract.md").read_text("utf-8")
    assert [name for name in sorted(MEASURES) if name not in page] == []

"""The demo's own gate: the right release passes its cases, and each planted regression is named by its layer."""

import os
import sys
from pathlib import Path

import pytest

from causeline.cli.evals import assemble
from causeline.console.eval.attempt import Target
from causeline.console.eval.folder import CaseFile, case_files
from causeline.console.eval.gate import Gate, Result, Status
from causeline.producers.demo.publish import demo_policy

CASES = Path(__file__).parents[3] / "examples" / "cases"
POLICY = demo_policy()
WORKFLOWS = ("contract", "invoice", "policy")


def answered(target: str, files: list[CaseFile]) -> list[Result]:
    gate = Gate(
        target=Target(function=f"causeline.producers.demo.evals:{target}"),
        assemble=lambda batches: assemble(batches, POLICY),
        policy=POLICY,
        environment={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return gate.run(files)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_each_workflow_has_ten_cases_and_the_right_release_passes_them(workflow: str) -> None:
    files = case_files(CASES / workflow)
    assert len(files) == 10
    results = answered("answer", files)
    assert [(result.case_id, result.says) for result in results if result.status is not Status.PASSED] == []


@pytest.mark.parametrize(
    ("broken", "boundary", "part"),
    [
        ("wrong_route_rule", "route", "-route-route-"),
        ("old_prompt", "prompt", "-prompt-"),
        ("masks_too_much", "mask", "-mask-"),
        ("lax_schema", "validate", "-validate-"),
    ],
)
def test_a_planted_regression_is_caught_and_named_by_its_layer(broken: str, boundary: str, part: str) -> None:
    files = [
        next(each for each in case_files(CASES / workflow) if part in each.file.name and "-" in each.file.stem)
        for workflow in WORKFLOWS
    ]
    results = answered(broken, files)
    assert [(result.status, result.boundary) for result in results] == [(Status.FAILED, boundary)] * 3

"""The demo's own gate: the right release passes its cases, and each planted regression is named by its layer."""

import os
import sys
from pathlib import Path

import pytest

from causeline.cli.evals import assemble
from causeline.console.diagnosis import diagnose
from causeline.console.eval.attempt import Target
from causeline.console.eval.checks import checks
from causeline.console.eval.folder import CaseFile, case_files
from causeline.console.eval.gate import Gate, Result, Status
from causeline.producers.demo.evals import answer
from causeline.producers.demo.publish import demo_policy
from causeline.producers.emitter import Emitter
from causeline.producers.file_transport import FileTransport
from causeline.producers.tracer import Tracer
from causeline.schemas.batch_file import read_batches

CASES = Path(__file__).parents[3] / "examples" / "cases"
POLICY = demo_policy()
WORKFLOWS = ("contract", "invoice", "policy")


def answered(target: str, files: list[CaseFile]) -> list[Result]:
    """By the gate, as people run it: a process a case."""
    gate = Gate(
        target=Target(function=f"causeline.producers.demo.evals:{target}"),
        assemble=lambda batches: assemble(batches, POLICY),
        policy=POLICY,
        environment={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return gate.run(files)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_each_workflow_has_ten_cases_and_the_right_release_passes_them(workflow: str, tmp_path: Path) -> None:
    found = [each.case for each in case_files(CASES / workflow)]
    cases = [case for case in found if case is not None]
    assert (len(found), len(cases)) == (10, 10)
    trace = tmp_path / "trace"
    # In this process: thirty interpreters would say the same, and take half a minute.
    with Tracer(emitter=Emitter(transport=lambda: FileTransport(trace)), policy=POLICY) as tracer:
        given = [answer(case, tracer) for case in cases]
    runs = assemble(list(read_batches(trace)), POLICY)
    by_input = {run.input_ref: run for run in runs}
    assert len(runs) == 10
    for case, values in zip(cases, given, strict=True):
        run = by_input[case.input_ref]
        failed = [check for check in checks(case, run, values, diagnose(run, POLICY), None) if not check.passed]
        assert failed == [], case.id


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

"""The demo's own gate: the right release passes its cases, and each planted regression is named by its layer."""

import os
import sys
from pathlib import Path

import pytest

from causeline.demo.evals import answer
from causeline.demo.publish import demo_policy
from causeline.diagnosis import diagnose
from causeline.eval.assembling import assembled
from causeline.eval.attempt import Target
from causeline.eval.checks import checks
from causeline.eval.folder import CaseFile, case_files
from causeline.eval.gate import Gate, Result, Status, staleness
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.file_transport import FileTransport
from causeline.producers.tracer import Tracer
from causeline.schemas.wire.batch_file import read_batches

CASES = Path(__file__).parents[3] / "examples" / "cases"
POLICY = demo_policy()
WORKFLOWS = ("contract", "invoice", "policy")


def answered(target: str, files: list[CaseFile]) -> list[Result]:
    """By the gate, as people run it: a process a case."""
    gate = Gate(
        target=Target(function=f"causeline.demo.evals:{target}"),
        assemble=lambda batches: assembled(batches, POLICY),
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
    runs = assembled(list(read_batches(trace)), POLICY)
    by_input = {run.input_ref: run for run in runs}
    assert len(runs) == 10
    for case, values in zip(cases, given, strict=True):
        run = by_input[case.input_ref]
        failed = [check for check in checks(case, run, values, diagnose(run, POLICY), None) if not check.passed]
        assert failed == [], case.id


def test_the_inputs_of_the_cases_come_with_them() -> None:
    """As a fresh clone has them, whatever store a stack around it has."""
    shipped = ArtifactStore.open(CASES.parent / "artifacts")
    cases = [each.case for each in case_files(CASES) if each.case is not None]
    assert [each.id for each in cases if staleness(each, CASES, shipped.exists) is not None] == []
    assert all(shipped.get(each.input_ref) for each in cases)  # which is held against its hash
    kept = [path for path in (CASES.parent / "artifacts").rglob("*") if path.is_file()]
    assert len(kept) == len({each.input_ref for each in cases}) == 30


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

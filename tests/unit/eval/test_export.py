"""A case is made of a run's first cause: what must hold follows from the record, and no content leaves the run."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.why import joined_runs
from causeline.demo.plan import plan
from causeline.demo.publish import demo_policy
from causeline.diagnosis import Diagnosis, diagnose
from causeline.eval.case import MAX_RUNS, EvalCase, as_yaml, read_case
from causeline.eval.export import case_of, merged
from causeline.schemas.run import Run
from causeline.schemas.vocabulary import StepKind

SEED, COUNT = 5, 60
POLICY = demo_policy()


@pytest.fixture(scope="module")
def runs() -> list[tuple[Run, Diagnosis]]:
    """Runs of the demo with their diagnoses: half of them with something planted."""
    made = joined_runs(SEED, COUNT, faulty_share=0.5, pairs=False, policy=POLICY)
    return [(run, diagnose(run, POLICY)) for run, _ in made]


@pytest.fixture(scope="module")
def cases(runs: list[tuple[Run, Diagnosis]]) -> list[tuple[Run, Diagnosis, EvalCase]]:
    """Those of them that give a case."""
    return [(run, found, case) for run, found in runs if (case := case_of(run, found)) is not None]


def test_a_run_gives_a_case_exactly_when_something_but_the_review_is_wrong(runs: list[tuple[Run, Diagnosis]]) -> None:
    for run, found in runs:
        assert (case_of(run, found) is not None) == (found.first_cause is not None), found.causes
    assert {case_of(run, found) is None for run, found in runs} == {True, False}
    run, found = next((run, found) for run, found in runs if case_of(run, found))
    assert case_of(replace(run, input_ref=None), found) is None


def test_a_case_names_the_first_cause(cases: list[tuple[Run, Diagnosis, EvalCase]]) -> None:
    for run, found, case in cases:
        assert found.first_cause is not None
        first = found.first_cause.finding
        assert (case.first_cause.boundary, case.first_cause.rule) == (first.boundary, first.rule)
        assert (case.workflow, case.input_ref, case.runs) == (run.workflow, run.input_ref, (run.run_id,))


def test_one_cause_is_one_case(cases: list[tuple[Run, Diagnosis, EvalCase]]) -> None:
    by_id: dict[str, set[tuple[object, ...]]] = defaultdict(set)
    for _, _, case in cases:
        by_id[case.id].add((case.workflow, case.first_cause.boundary, case.first_cause.field))
    assert {len(causes) for causes in by_id.values()} == {1}
    assert len(by_id) < len(cases), "some cause comes up twice"


def test_of_a_wrong_route_only_another_route_is_asked(cases: list[tuple[Run, Diagnosis, EvalCase]]) -> None:
    routed = [(run, case) for run, _, case in cases if case.first_cause.boundary in (StepKind.ROUTE, StepKind.CLASSIFY)]
    assert routed
    for run, case in routed:
        assert (case.expect.route, case.expect.not_route, case.expect.supported) == (None, run.route, ())
    others = [(run, case) for run, _, case in cases if case.expect.not_route is None]
    assert others
    assert [run.route for run, _ in others] == [case.expect.route for _, case in others]


def test_what_a_reviewer_gave_must_come_out(cases: list[tuple[Run, Diagnosis, EvalCase]]) -> None:
    corrected = [(run, case) for run, _, case in cases if any(each.override_ref for each in run.reviews)]
    assert corrected
    for run, case in corrected:
        given = {each.field_path: each.override_ref for each in run.reviews if each.outcome == "overridden"}
        assert case.expect.corrected == {path: ref for path, ref in given.items() if path and ref}


def test_no_content_of_a_document_is_in_a_file_and_it_reads_back(
    cases: list[tuple[Run, Diagnosis, EvalCase]], tmp_path: Path
) -> None:
    values = {
        str(value)
        for planned in plan(SEED, COUNT, faulty_share=0.5)
        for value in planned.case.truth.values()
        if len(str(value)) > 5 and not set(str(value)) <= set("0123456789abcdef")
    }
    assert len(values) > COUNT
    file = tmp_path / "case.yaml"
    for _, _, case in cases:
        text = as_yaml(case)
        file.write_text(text, "utf-8")
        assert read_case(file) == case
        assert [value for value in values if value in text] == []


def test_a_case_keeps_its_first_runs_and_no_more_than_it_may(cases: list[tuple[Run, Diagnosis, EvalCase]]) -> None:
    case = cases[0][2]
    for number in range(MAX_RUNS + 5):
        case = merged(case, case.model_copy(update={"runs": (f"{number:032x}",)}))
    assert (len(case.runs), case.runs[0]) == (MAX_RUNS, cases[0][2].runs[0])
    assert merged(case, case) == case

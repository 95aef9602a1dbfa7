"""The demo's workflows do their work for real: one story a seed, faults only in what a step does, no content out."""

import random
from collections import Counter
from pathlib import Path

import pytest

from causeline.demo.faults import ALL, FAULTS, Fault
from causeline.demo.plan import plan, planned
from causeline.demo.publish import demo_policy, publish, publish_planned
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.tracer import Tracer
from causeline.schemas.policy import Policy, WorkflowPolicy
from causeline.schemas.vocabulary import StepKind
from tests.unit.demo.sessions import audited, clean_twin, hold, said, with_fault
from tests.unit.producers.recording import RecordingTransport, emitter_over


def test_one_seed_gives_one_story(tmp_path: Path) -> None:
    first, again, other = (hold(plan(seed, 40), tmp_path / name) for seed, name in ((5, "a"), (5, "b"), (6, "c")))

    assert [said(run) for run in first.runs] == [said(run) for run in again.runs]
    assert [said(run) for run in first.runs] != [said(run) for run in other.runs]
    without_ids = [[{**line, "run_id": ""} for line in session.truth] for session in (first, again)]
    assert without_ids[0] == without_ids[1]


def test_every_run_is_whole_and_numbered_and_every_event_valid(tmp_path: Path) -> None:
    session = hold(plan(1, 120), tmp_path)

    assert (session.stats.invalid, session.stats.dropped, session.stats.lost) == (0, 0, 0)
    assert len(session.runs) == 120
    for run in session.runs:
        assert [event["seq"] for event in run] == list(range(len(run)))
        assert run[0]["event_type"] == "run_started"
        assert run[-1]["event_type"] == "run_finished"
        assert run[-1]["expected_events"] == len(run)


def test_no_line_of_a_document_ever_travels(tmp_path: Path) -> None:
    runs = list(plan(2, 60, faulty_share=0.5))
    wire = b"".join(value for _, value in hold(runs, tmp_path).transport.sent)

    for one in runs:
        for source in one.case.sources:
            for line in source.text.replace("\f", "\n").split("\n"):
                assert len(line) < 20 or line.encode() not in wire
        for value in one.case.truth.values():
            assert value is None or len(value) < 9 or value.encode() not in wire


def test_there_are_faults_enough_at_every_layer() -> None:
    layers = Counter(fault.layer for fault in FAULTS.values())

    assert len(FAULTS) >= 24
    assert set(layers) >= {
        StepKind.PARSE, StepKind.MASK, StepKind.ROUTE, StepKind.RETRIEVE, StepKind.PROMPT, StepKind.MODEL_CALL,
        StepKind.TOOL, StepKind.VALIDATE, StepKind.EVIDENCE, StepKind.FALLBACK, StepKind.REVIEW,
    }  # fmt: skip
    assert min(layers.values()) >= 2


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_a_fault_changes_what_a_run_does(fault: Fault, tmp_path: Path) -> None:
    """Against its twin: the same documents, the same chance, only the step's doing differs."""
    for workflow in fault.workflows:
        faulty = with_fault(fault, workflow, 4)
        pair = [faulty, clean_twin(faulty)]
        if fault.name == "correction_lost":
            pair = [audited(one) for one in pair]
        changed, sound = (said(run) for run in hold(pair, tmp_path / workflow).runs)
        assert changed != sound


def test_rates_are_about_what_they_are_meant_to_be() -> None:
    runs = list(plan(3, 3000))

    assert sum(bool(one.faults) for one in runs) / len(runs) == pytest.approx(0.18, abs=0.03)
    assert sum(one.behaviour.legacy for one in runs) / len(runs) == pytest.approx(0.02, abs=0.01)
    assert sum(one.behaviour.stumbles for one in runs) / len(runs) == pytest.approx(0.03, abs=0.01)
    assert sum(one.behaviour.audited for one in runs) / len(runs) == pytest.approx(0.16, abs=0.03)
    workflows = Counter(one.case.workflow for one in runs)
    assert set(workflows) == set(ALL)
    assert min(workflows.values()) > 900
    lacking = sum(None in one.case.truth.values() for one in runs)
    assert lacking / len(runs) == pytest.approx(0.04, abs=0.015)


def test_documents_of_faulty_runs_are_no_better_than_those_of_others() -> None:
    """Else a fault would be easy to find by what is odd, because nothing else is."""

    def odd(faults: tuple[Fault, ...], index: int) -> bool:
        one = planned(4, index, "contract", faults, random.Random(f"odd{index}"))
        return None in one.case.truth.values()

    planted = FAULTS["omits_field"]
    assert [odd((planted,), index) for index in range(400)] == [odd((), index) for index in range(400)]
    assert any(odd((planted,), index) for index in range(400))


@pytest.mark.parametrize("own", [False, True], ids=["no-policy", "a-policy"])
def test_only_a_tracer_without_a_policy_of_its_own_gets_the_demos(own: bool, tmp_path: Path) -> None:
    theirs = Policy(version=1, workflow={"policy": WorkflowPolicy(routes=("motor",))})
    with Tracer("demo", emitter=emitter_over(RecordingTransport()), policy=theirs if own else None) as tracer:
        publish_planned(
            [],
            count=0,
            tracer=tracer,
            artifacts=ArtifactStore.open(tmp_path / "a"),
            truth_file=tmp_path / "truth.jsonl",
            session_label="s",
        )
        assert tracer.policy == (theirs if own else demo_policy())


def test_progress_rises_to_one_and_every_run_is_accounted_for(tmp_path: Path) -> None:
    told: list[float] = []
    with Tracer("demo", emitter=emitter_over(RecordingTransport())) as tracer:
        done = publish(
            tracer=tracer,
            artifacts=ArtifactStore.open(tmp_path / "a"),
            seed=1,
            runs=200,
            truth_file=tmp_path / "truth.jsonl",
            session_label="s",
            progress=told.append,
        )

    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(set(done.run_ids)) == 200
    assert len((tmp_path / "truth.jsonl").read_text().splitlines()) == 200

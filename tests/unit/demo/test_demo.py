"""The demo's workflows do their work for real: one story a seed, faults only in what a step does, no content out."""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from causeline.producers.artifacts import ArtifactStore
from causeline.producers.demo.faults import ALL, FAULTS, Fault
from causeline.producers.demo.plan import PlannedRun, plan, planned
from causeline.producers.demo.publish import demo_policy, publish, publish_planned
from causeline.producers.tracer import Tracer
from causeline.schemas.events import RunFinished, TraceEvent
from causeline.schemas.vocabulary import StepKind
from tests.unit.producers.recording import RecordingTransport, emitter_over, events_of

_IDENTITY = {
    "event_id",
    "run_id",
    "step_id",
    "parent_step_id",
    "emitter_id",
    "occurred_at",
    "started_at",
    "run_started_at",
}


def _record(runs: list[PlannedRun], folder: Path) -> tuple[list[TraceEvent], list[dict[str, Any]], RecordingTransport]:
    """The events of these runs in order, their truth, and what went over the wire."""
    transport = RecordingTransport()
    folder.mkdir(exist_ok=True)
    with Tracer("demo", emitter=emitter_over(transport)) as tracer:
        publish_planned(
            runs,
            count=len(runs),
            tracer=tracer,
            artifacts=ArtifactStore.open(folder / "artifacts"),
            truth_file=folder / "truth.jsonl",
            session_label="test",
        )
        assert not tracer.flush(20)
        assert tracer.stats().invalid == 0
    truth = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    return events_of(transport), truth, transport


def _said(event: TraceEvent) -> Mapping[str, Any]:
    return {name: value for name, value in event if name not in _IDENTITY} | {"type": event.event_type}


def test_one_seed_gives_one_story(tmp_path: Path) -> None:
    first, truth, _ = _record(list(plan(5, 40)), tmp_path / "a")
    second, truth_again, _ = _record(list(plan(5, 40)), tmp_path / "b")

    def story(events: list[TraceEvent], order: list[dict[str, Any]]) -> list[list[Mapping[str, Any]]]:
        return [[_said(event) for event in events if event.run_id == line["run_id"]] for line in order]

    assert story(first, truth) == story(second, truth_again)
    assert [line["faults"] for line in truth] == [line["faults"] for line in truth_again]
    assert story(first, truth) != story(_record(list(plan(6, 40)), tmp_path / "c")[0], truth)


def test_every_run_is_whole_and_numbered(tmp_path: Path) -> None:
    events, truth, _ = _record(list(plan(1, 120)), tmp_path)
    by_run: dict[str, list[TraceEvent]] = {}
    for event in events:
        by_run.setdefault(event.run_id, []).append(event)

    assert set(by_run) == {line["run_id"] for line in truth}
    for told in by_run.values():
        assert [event.seq for event in told] == list(range(len(told)))
        assert isinstance(told[-1], RunFinished)
        assert told[-1].expected_events == len(told)
        times = [event.occurred_at for event in told]
        assert times == sorted(times)


def test_no_line_of_a_document_ever_travels(tmp_path: Path) -> None:
    runs = list(plan(2, 60, faulty_share=0.5))
    _, _, transport = _record(runs, tmp_path)
    wire = b"".join(value for _, value in transport.sent)

    for one in runs:
        for source in one.case.sources:
            for line in source.text.replace("\f", "\n").split("\n"):
                assert len(line) < 20 or line.encode() not in wire
        for value in one.case.truth.values():
            assert value is None or len(value) < 9 or value.encode() not in wire


def test_there_are_faults_enough_at_every_layer() -> None:
    layers = {fault.layer for fault in FAULTS.values()}

    assert len(FAULTS) >= 24
    assert layers >= {
        StepKind.PARSE, StepKind.MASK, StepKind.ROUTE, StepKind.RETRIEVE, StepKind.PROMPT, StepKind.MODEL_CALL,
        StepKind.TOOL, StepKind.VALIDATE, StepKind.EVIDENCE, StepKind.FALLBACK, StepKind.REVIEW,
    }  # fmt: skip
    assert all(sum(fault.layer is layer for fault in FAULTS.values()) >= 2 for layer in layers)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_a_fault_changes_what_a_run_does(fault: Fault, tmp_path: Path) -> None:
    """Against its clean twin: the same documents, the same chance, only the step's doing differs."""

    def twins(faults: tuple[Fault, ...], workflow: str) -> PlannedRun:
        made = planned(9, 4, workflow, (fault,), random.Random(11))
        clean = frozenset(other.name for other in faults)
        return PlannedRun(4, made.case, _with_twist(made, clean), faults)

    for workflow in fault.workflows:
        faulty, _, _ = _record([twins((fault,), workflow)], tmp_path / f"{workflow}-faulty")
        clean, _, _ = _record([twins((), workflow)], tmp_path / f"{workflow}-clean")
        assert [_said(event) for event in faulty] != [_said(event) for event in clean]


def _with_twist(made: PlannedRun, twist: frozenset[str]) -> Any:
    from dataclasses import replace  # noqa: PLC0415 - only here

    return replace(made.behaviour, twist=twist, rng=random.Random(3))


def test_rates_are_about_what_they_are_meant_to_be() -> None:
    runs = list(plan(3, 3000))
    faulty = sum(bool(one.faults) for one in runs) / len(runs)

    assert 0.15 < faulty < 0.21
    assert {one.case.workflow for one in runs} == set(ALL)
    assert 0.01 < sum(one.behaviour.legacy for one in runs) / len(runs) < 0.035


def test_drift_changes_one_providers_backend_and_nothing_that_a_schema_sees() -> None:
    before, after = list(plan(3, 100)), list(plan(3, 100, drift_at=0.5))

    assert [one.behaviour.persona for one in after[:50]] == [one.behaviour.persona for one in before[:50]]
    moved = {one.behaviour.persona.provider: one.behaviour.persona.fingerprint for one in after[50:]}
    assert moved["acme"].endswith("_r2")
    assert not moved["borealis"].endswith("_r2")
    assert [one.case for one in after] == [one.case for one in before]


def test_the_policy_serves_the_three_workflows() -> None:
    policy = demo_policy()

    assert set(policy.workflow) == set(ALL)
    assert all(policy.rules(name).evidence for name in ALL)


def test_a_progress_is_told_and_the_truth_is_a_file_of_its_own(tmp_path: Path) -> None:
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
    assert done.faulty == sum(
        bool(json.loads(line)["faults"]) for line in (tmp_path / "truth.jsonl").read_text().splitlines()
    )

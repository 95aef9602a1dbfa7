"""A fault changes what a step does, and what the record then shows follows from that work."""

import json
from itertools import groupby
from pathlib import Path
from typing import cast

import pytest

from causeline.demo.faults import FAULTS, Fault
from causeline.demo.plan import PlannedRun
from causeline.schemas.events import Record
from tests.unit.demo.sessions import (
    clean_twin,
    events_of_type,
    hold,
    measures,
    said,
    steps,
    with_fault,
)

EACH = 3
TARGETS = {"policy": "$.premium", "contract": "$.liability_cap", "invoice": "$.total"}
LABELS = {"policy": "Annual premium", "contract": "Liability cap", "invoice": "Total amount"}
PLACED = [(fault, workflow) for fault in FAULTS.values() for workflow in fault.workflows]


def named(*names: str) -> list[tuple[Fault, str]]:
    return [(FAULTS[name], workflow) for name in names for workflow in FAULTS[name].workflows]


def ids(values: list[tuple[Fault, str]]) -> list[str]:
    return [f"{fault.name}-{workflow}" for fault, workflow in values]


def several(fault: Fault, workflow: str) -> list[PlannedRun]:
    return [with_fault(fault, workflow, index) for index in range(EACH)]


def last_check(run: list[Record], path: str) -> Record:
    return [event for event in events_of_type(run, "evidence_checked") if event["field_path"] == path][-1]


STAGES = ("parse", "mask", "route", "retrieve", "prompt", "model_call", "validate", "evidence")
STAGED = [(fault, workflow) for fault, workflow in PLACED if fault.layer in STAGES[1:]]


@pytest.mark.parametrize(("fault", "workflow"), STAGED, ids=ids(STAGED))
def test_what_comes_before_the_faulty_step_is_as_in_the_sound_twin(fault: Fault, workflow: str, tmp_path: Path) -> None:
    runs = several(fault, workflow)
    faulty, sound = hold(runs, tmp_path / "faulty"), hold(map(clean_twin, runs), tmp_path / "sound")
    for planted, twin in zip(faulty.runs, sound.runs, strict=True):
        first = next(number for number, event in enumerate(said(planted)) if event.get("step_kind") == fault.layer)
        assert first > 1
        assert said(planted)[:first] == said(twin)[:first]


DROPPED = named("drop_page")


@pytest.mark.parametrize(("fault", "workflow"), DROPPED, ids=ids(DROPPED))
def test_lost_pages_are_counted_from_what_was_read(fault: Fault, workflow: str, tmp_path: Path) -> None:
    session = hold(several(fault, workflow), tmp_path)
    for run in session.runs:
        lost = []
        for step in steps(run, "parse"):
            pages, read = (session.text(step[ref]).split("\f") for ref in ("input_ref", "parsed_artifact_ref"))
            assert measures(step)["parse.pages"] == str(len(pages))
            assert measures(step)["parse.pages_read"] == str(len(read) if read != [""] else 0)
            lost += [page for page in pages if page not in read]
        assert any(f"{LABELS[workflow]}: " in page for page in lost)
        if steps(run, "model_call"):
            assert session.answer(run).get(TARGETS[workflow]) is None
            assert not last_check(run, TARGETS[workflow]).get("evidence_refs")


GARBLED = named("garbled_ocr")


@pytest.mark.parametrize(("fault", "workflow"), GARBLED, ids=ids(GARBLED))
def test_quality_is_measured_on_the_text(fault: Fault, workflow: str, tmp_path: Path) -> None:
    runs = several(fault, workflow)
    faulty, sound = hold(runs, tmp_path / "faulty"), hold(map(clean_twin, runs), tmp_path / "sound")
    for garbled, clear in zip(faulty.runs, sound.runs, strict=True):
        for bad, good in zip(steps(garbled, "parse"), steps(clear, "parse"), strict=True):
            assert faulty.text(bad["parsed_artifact_ref"]) != sound.text(good["parsed_artifact_ref"])
            assert float(measures(bad)["parse.quality"]) < 0.8 < float(measures(good)["parse.quality"])


MASKED = named("mask_money")


@pytest.mark.parametrize(("fault", "workflow"), MASKED, ids=ids(MASKED))
def test_a_masked_fact_is_gone_from_the_text_the_answer_and_the_evidence(
    fault: Fault, workflow: str, tmp_path: Path
) -> None:
    runs = several(fault, workflow)
    session = hold(runs, tmp_path)
    for one, run in zip(runs, session.runs, strict=True):
        amount = one.case.truth[TARGETS[workflow]]
        assert amount is not None
        assert any(amount in session.text(step["parsed_artifact_ref"]) for step in steps(run, "parse"))
        for step in steps(run, "mask"):
            masked = session.text(step["parsed_artifact_ref"])
            assert amount not in masked
            assert int(measures(step).get("masked.MONEY", "0")) == masked.count("[MONEY]")
            assert amount not in session.text(step["raw_output_ref"]), "the log never says what stood there"
        assert session.answer(run).get(TARGETS[workflow]) is None
        assert not last_check(run, TARGETS[workflow]).get("evidence_refs")


OMITTED = named("omits_field")


@pytest.mark.parametrize(("fault", "workflow"), OMITTED, ids=ids(OMITTED))
def test_a_prompt_that_does_not_ask_gets_no_answer(fault: Fault, workflow: str, tmp_path: Path) -> None:
    session = hold(several(fault, workflow), tmp_path)
    for run in session.runs:
        prompt = steps(run, "prompt")[0]
        question = session.text(prompt["raw_output_ref"]).split("\n")[0]
        assert LABELS[workflow] not in question
        assert TARGETS[workflow] not in measures(prompt)["prompt.asks"]
        assert TARGETS[workflow] not in session.answer(run)


WRONG = named("wrong_type")


@pytest.mark.parametrize(("fault", "workflow"), WRONG, ids=ids(WRONG))
def test_validation_errors_are_found_in_the_output(fault: Fault, workflow: str, tmp_path: Path) -> None:
    session = hold(several(fault, workflow), tmp_path)
    for run in session.runs:
        for step in steps(run, "validate"):
            values = json.loads(session.text(step["input_ref"]))["values"]
            odd = [path for path, value in values.items() if not isinstance(value, str)]
            assert odd == [TARGETS[workflow]]
            assert step["validation_errors"] == [f"type:{TARGETS[workflow]}"]


INVENTED = named("hallucinates")


@pytest.mark.parametrize(("fault", "workflow"), INVENTED, ids=ids(INVENTED))
def test_an_invented_value_is_in_no_document_and_scores_low(fault: Fault, workflow: str, tmp_path: Path) -> None:
    runs = several(fault, workflow)
    session = hold(runs, tmp_path)
    for one, run in zip(runs, session.runs, strict=True):
        value = str(session.answer(run)[TARGETS[workflow]])
        assert not any(value in source.text for source in one.case.sources)
        assert cast("float", last_check(run, TARGETS[workflow])["provenance_score"]) < 0.9


UNSEEN = named("cites_unseen")


@pytest.mark.parametrize(("fault", "workflow"), UNSEEN, ids=ids(UNSEEN))
def test_an_invented_citation_was_never_in_the_context(fault: Fault, workflow: str, tmp_path: Path) -> None:
    session = hold(several(fault, workflow), tmp_path)
    for run in session.runs:
        shown = {ref for call in steps(run, "model_call") for ref in cast("list[str]", call.get("context_refs") or [])}
        by_path = {str(e["field_path"]): e for e in reversed(events_of_type(run, "evidence_checked"))}
        cited = cast("list[str]", by_path[TARGETS[workflow]].get("evidence_refs") or [])
        assert cited
        assert not set(cited) & shown


CUT = named("cut_context")


@pytest.mark.parametrize(("fault", "workflow"), CUT, ids=ids(CUT))
def test_what_retrieval_says_is_what_it_gave(fault: Fault, workflow: str, tmp_path: Path) -> None:
    session = hold(several(fault, workflow), tmp_path)
    for run in session.runs:
        for step in steps(run, "retrieve"):
            said_of_it = measures(step)
            assert said_of_it["retrieve.shown"] == str(len(cast("list[str]", step.get("context_refs") or [])))
            assert int(said_of_it["retrieve.shown"]) <= int(said_of_it["retrieve.matches"])
        target = [step for step in steps(run, "retrieve") if measures(step)["retrieve.field"] == TARGETS[workflow]]
        assert any(int(measures(s)["retrieve.shown"]) < int(measures(s)["retrieve.matches"]) for s in target)


def test_every_fault_is_told_apart_by_what_it_does(tmp_path: Path) -> None:
    """Faults of one workflow leave different records, so that none is another by a second name."""
    for workflow, placed in groupby(sorted(PLACED, key=lambda pair: pair[1]), key=lambda pair: pair[1]):
        runs = [with_fault(fault, workflow, 3) for fault, _ in placed if not fault.needs]
        records = [json.dumps(said(run), sort_keys=True) for run in hold(runs, tmp_path / workflow).runs]
        assert len(set(records)) == len(records)

"""Bad habits of tracing are found where they show, and the code that is offered ends them."""

from collections.abc import Mapping
from typing import Any

import pytest

from causeline.diagnosis.habits import HABITS, Habit, lint
from causeline.producers.tracer import Tracer
from causeline.schemas.run import Run
from tests.unit.producers.recording import RecordingTransport, emitter_over
from tests.unit.streams.both import assemble
from tests.unit.streams.build import in_partition

REFS = {name: f"ref:{name}" for name in ("document", "text", "answer", "corrected", "prompt")}


def run_of(code: str) -> Run:
    """The run that a workflow of this code leaves."""
    transport = RecordingTransport(partitions=1)
    tracer = Tracer("tests", emitter=emitter_over(transport))
    scope: dict[str, Any] = {"tracer": tracer, **REFS}
    exec(compile(code, "workflow", "exec"), scope)  # noqa: S102 - the code that users are told to add
    assert not tracer.flush(60)
    assert (tracer.stats().invalid, tracer.stats().dropped) == (0, 0)
    tracer.close()
    (record,) = assemble(in_partition(value for _, value in transport.sent)).runs
    return Run.from_record(record)


BAD: Mapping[str, str] = {
    "only_the_answer": """
with tracer.run("claims") as run:
    with run.model_call("extract", model_name="m", input_ref=prompt) as step:
        step.set(raw_output_ref=answer)
""",
    "version_dropped": """
with tracer.run("claims", input_ref=document) as run:
    with run.parse("text") as step:
        step.set(parsed_artifact_ref=text)
""",
    "input_unknown": """
with tracer.run("claims", input_ref=document) as run:
    with run.model_call("extract", model_name="m") as step:
        step.set(raw_output_ref=answer)
""",
    "errors_without_consequence": """
with tracer.run("claims", input_ref=document) as run:
    with run.validate("shape", schema_version="3") as step:
        step.set(validation_errors=["type:$.amount"])
""",
    "corrections_lost": """
with tracer.run("claims", input_ref=document) as run:
    run.finish("handed_over")
""",
    "closed_without_case": """
with tracer.run("claims", input_ref=document) as run:
    run.finish("answered")
tracer.record_review(run.run_id, "claims", "rejected", run_started_at=run.started_at)
""",
}


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.name)
def test_it_shows_where_it_is_and_the_code_to_add_ends_it(habit: Habit) -> None:
    bad, good = run_of(BAD[habit.name]), run_of(habit.add)
    assert habit.applies(bad)
    assert habit.shows(bad)
    assert habit.applies(good)
    assert not habit.shows(good)
    assert max(map(len, habit.add.splitlines())) <= 110


def test_they_are_counted_per_workflow_with_examples() -> None:
    runs = [run_of(BAD["closed_without_case"]) for _ in range(5)] + [run_of(HABITS[5].add)]
    found = lint(runs)
    assert found.runs == {"claims": 6}
    (lost,) = [each for each in found.found if each.habit.name == "closed_without_case"]
    assert (lost.runs, lost.of_runs, lost.examples) == (5, 6, tuple(run.run_id for run in runs[:3]))


def test_runs_that_wait_for_a_review_are_a_habit_only_where_no_review_ever_came() -> None:
    waiting = [run_of(BAD["corrections_lost"]) for _ in range(3)]
    (lost,) = [each for each in lint(waiting).found if each.habit.name == "corrections_lost"]
    assert (lost.runs, lost.of_runs) == (3, 3)
    found = lint([*waiting, run_of(HABITS[4].add)])
    assert [each for each in found.found if each.habit.name == "corrections_lost"] == []


def test_missing_anchors_are_counted() -> None:
    found = lint([run_of(BAD["version_dropped"]), run_of(BAD["input_unknown"])])
    assert found.missing_anchors["claims"]["parse.parser_version"] == 1
    assert found.missing_anchors["claims"]["model_call.model_provider"] == 1


def test_a_workflow_without_runs_has_no_habit() -> None:
    assert lint([]).found == ()


def test_the_measures_whose_absence_cost_an_answer_are_named_with_the_code_to_record_them() -> None:
    bad = """
with tracer.run("claims", input_ref=document) as run:
    with run.tool("register", raw_output_ref=text):
        pass
    with run.model_call("extract", model_name="m", input_ref=prompt) as step:
        step.set(raw_output_ref=answer)
    run.review("overridden", field="$.total")
"""
    well = "\n".join(bad.splitlines()[:-1])

    found = lint([run_of(bad), run_of(bad), run_of(well)])

    said = dict(found.cost_answers["claims"])
    assert (
        said["input_ref of tool:register was never recorded: run.tool('register', input_ref=…, raw_output_ref=…)."] == 2
    )
    assert not lint([run_of(well)]).cost_answers

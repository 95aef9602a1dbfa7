"""Runs with one cause are one line, and a new cause stands first."""

from dataclasses import replace

from causeline.diagnosis import diagnose
from causeline.diagnosis.grouping import Answered, groups
from tests.unit.diagnosis.test_neighbours import a_run


def failed(number: int, error: str) -> Answered:
    run = a_run(number)
    search, call = run.steps
    steps = (search, replace(call, status="error", error_type=error))
    run = replace(run, steps=steps, final_state="failed", error_type=error, cost_usd=0.5)
    return Answered(run, diagnose(run))


def well(number: int) -> Answered:
    return Answered(a_run(number), diagnose(a_run(number)))


def test_causes_are_counted_with_share_cost_trend_and_examples_and_a_new_one_stands_first() -> None:
    answers = [well(n) for n in range(1, 101)] + [failed(n, "Old") for n in range(1, 100, 10)]
    newer = replace(failed(98, "X").run, steps=(replace(a_run(98).steps[0], status="error", error_type="New"),))
    answers += [Answered(replace(newer, run_id=f"{n:032x}"), diagnose(newer)) for n in range(3)]
    found = groups(answers, {"desk": len(answers)})

    assert [(group.step, group.runs, group.is_new) for group in found] == [
        ("retrieve:kb", 3, True),
        ("model_call:answer", 10, False),
    ]
    assert found[1].share == 10 / len(answers)
    assert found[1].cost_usd == 5.0
    assert sum(found[1].trend) == 10
    assert len(found[1].examples) == 3

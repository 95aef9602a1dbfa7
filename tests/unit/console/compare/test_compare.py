"""Two runs, or two versions, side by side: only what differs, and of shares only what is certain is called so."""

from dataclasses import replace

import pytest
from scipy.stats import ttest_ind

from causeline.console.compare.runs import Part, compare_runs
from causeline.console.compare.versions import Mean, Versions, measured, newcombe, share
from causeline.schemas.run import Evidence, RunGap, Step
from tests.unit.console.samples import clean_run, failed_run


def test_a_run_and_itself_say_the_same() -> None:
    assert compare_runs(failed_run(2), failed_run(2)) == []


def test_only_what_differs_is_told_in_order_of_its_part() -> None:
    left = clean_run(1)
    right = replace(left, prompt_version="8", route="other", final_state="partial", cost_usd=9.0)
    found = compare_runs(left, right)
    assert [(each.part, each.what, each.right) for each in found] == [
        (Part.ANCHORS, "prompt_version", "8"),
        (Part.PATH, "route", "other"),
        (Part.OUTCOME, "final_state", "partial"),
        (Part.COST, "cost_usd", 9.0),
    ]


def test_steps_are_matched_by_name_and_number() -> None:
    one = Step(step_id="a", step_kind="tool", step_name="look", status="error", error_type="Timeout")
    left = replace(clean_run(1), steps=(one,))
    right = replace(left, steps=(one, replace(one, step_id="b", status="ok", error_type=None)))
    assert [(each.what, each.left, each.right) for each in compare_runs(left, right)] == [("tool:look #2", None, "ok")]


def test_a_step_that_ran_very_often_is_matched_as_quickly_as_many_steps() -> None:
    """Whoever counts again from one for each would be busy for an hour."""
    again = tuple(Step(step_id=f"{n}", step_kind="tool", step_name="look", status="ok") for n in range(50_000))
    named_so = Step(step_id="x", step_kind="tool", step_name="look #7", status="ok")
    left = replace(clean_run(1), steps=(*again[:5], named_so, *again[5:]))
    right = replace(left, steps=(*left.steps[:-1], replace(again[-1], status="error")))
    assert [(each.what, each.right) for each in compare_runs(left, right)] == [("tool:look #50001 status", "error")]


def test_a_version_that_differs_in_one_step_is_named_with_it() -> None:
    call = Step(step_id="a", step_kind="model_call", step_name="first", model_name="small")
    left = replace(clean_run(1), steps=(call,))
    right = replace(left, steps=(replace(call, model_name="large"),))
    assert [(each.part, each.what) for each in compare_runs(left, right)] == [
        (Part.ANCHORS, "model_call:first model_name")
    ]


def test_evidence_is_compared_by_field_and_how_it_stood() -> None:
    checked = Evidence(event_id="e", field_path="$.total", evidence_refs=("x",), provenance_score=0.9)
    left = replace(clean_run(1), evidence=(checked,), gaps=())
    weak = replace(checked, provenance_score=0.5)
    gap = RunGap(event_id="e", kind="weak_provenance", field_path="$.total", next_step="review")
    right = replace(left, evidence=(weak,), gaps=(gap,))
    (difference,) = compare_runs(left, right)
    assert (difference.part, difference.what) == (Part.EVIDENCE, "$.total")
    assert difference.left == "supported, score 0.90, 1 references"
    assert difference.right == "weak_provenance: review, score 0.50, 1 references"


@pytest.mark.parametrize(
    ("left", "right", "interval"),
    [  # Newcombe 1998, table II, method 10, for the difference turned round
        ((48, 80), (56, 70), (-0.3339, -0.0524)),
        ((3, 10), (9, 10), (-0.8090, -0.1705)),
        ((0, 20), (0, 10), (-0.2775, 0.1611)),
    ],
)
def test_the_interval_is_newcombes(
    left: tuple[int, int], right: tuple[int, int], interval: tuple[float, float]
) -> None:
    low, high = interval
    assert newcombe(*left, *right) == pytest.approx((-high, -low), abs=5e-5)


def test_the_interval_of_means_agrees_with_welchs_test() -> None:
    one, other = [1.0, 2.0, 2.5, 4.0, 3.0], [3.0, 5.5, 6.0, 4.5]

    def mean(values: list[float]) -> Mean:
        middle = sum(values) / len(values)
        return Mean(middle, sum((x - middle) ** 2 for x in values) / (len(values) - 1), len(values))

    found = measured("cost", mean(one), mean(other))
    expected = ttest_ind(other, one, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert measured("cost", mean(one), None).low is None
    assert measured("cost", Mean(1, 0, 1), Mean(2, 0, 1)).low is None


def versions(*, right: int = 300, of: int = 1000) -> Versions:
    shares = (share("with a gap", 100, 1000, right, of, bad=True),) if of else ()
    return Versions("invoice", "prompt_version", "7", "8", 1000, of, shares, ())


def test_the_verdict_says_only_what_is_certain() -> None:
    assert versions().verdict == "Compared with 7, prompt_version 8 is worse in with a gap (+20.0%)."
    assert versions(right=20).verdict == "Compared with 7, prompt_version 8 is better in with a gap (-8.0%)."
    assert versions(right=105).verdict == "No certain difference in 1,000 and 1,000 runs."
    assert versions(right=60, of=60).shares[0].is_certain
    assert versions(of=0).verdict == "No run of invoice has prompt_version 8: there is nothing to compare."


def test_another_route_is_neither_worse_nor_better() -> None:
    shares = (
        share("route lookup", 100, 1000, 300, 1000, bad=None),
        share("with a gap", 100, 1000, 300, 1000, bad=True),
    )
    said = "takes other routes: route lookup (+20.0%)."
    assert (
        Versions("invoice", "release", "7", "8", 1000, 1000, shares[:1], ()).verdict
        == f"Compared with 7, release 8 {said}"
    )
    assert Versions("invoice", "release", "7", "8", 1000, 1000, shares, ()).verdict == (
        f"Compared with 7, release 8 is worse in with a gap (+20.0%); {said}"
    )


def test_one_run_tells_nothing() -> None:
    one = versions(right=1, of=1)
    assert one.shares[0].low > 0  # Newcombe's interval alone would call it certain
    assert not one.shares[0].is_certain
    assert one.verdict == (
        "Too few runs to tell: 1,000 with prompt_version 7 and 1 with 8; 55 of each show a difference of 25 points."
    )

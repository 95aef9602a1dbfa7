"""The statistics of drift: what is pooled, what is sure, how much it takes to tell, and which anchor it came with."""

import numpy as np
import pytest

from causeline.drift.counts import ANCHORS, NONE, RARE, Counts, pooling
from causeline.drift.gtest import adjusted, effective_runs, g_test, runs_needed, total_variation
from causeline.drift.judging import Baseline, Outcome, Question, Rule, judge
from causeline.drift.shift import attributions


def combination(**said: str) -> tuple[str, ...]:
    return tuple(said.get(anchor, NONE) for anchor in ANCHORS)


def counts(values: dict[str, int], **anchors: str) -> Counts:
    return Counts({(combination(**anchors), value): runs for value, runs in values.items()})


def question(before: Counts, after: Counts, dimension: str = "route") -> Question:
    return Question("invoice", dimension, Baseline.PREVIOUS, before, after)


def test_g_is_twice_the_observed_times_the_log_of_observed_over_expected() -> None:
    # By hand: 2 · (30 ln(30/25) + 20 ln(20/25) + 20 ln(20/25) + 30 ln(30/25)) = 4.0270…
    found = g_test(np.array([30.0, 20.0]), np.array([20.0, 30.0]))
    assert found.g == pytest.approx(4.02710, abs=1e-4)
    assert found.degrees == 1
    assert found.p == pytest.approx(0.04478, abs=1e-4)


def test_one_value_alone_cannot_move() -> None:
    assert g_test(np.array([30.0]), np.array([2000.0])).p == 1.0


def test_total_variation_is_the_share_of_runs_that_changed_sides() -> None:
    assert total_variation(np.array([70.0, 30.0]), np.array([640.0, 360.0])) == pytest.approx(0.06)


def test_everything_tested_in_a_window_is_corrected_together() -> None:
    assert adjusted([0.001, 0.02, 0.03, 0.5]) == pytest.approx((0.004, 0.04, 0.04, 0.5))
    assert adjusted([]) == ()


def test_rare_values_are_judged_together_and_counted() -> None:
    before = counts({"a": 500, "b": 480, **{f"r{n}": 1 for n in range(40)}})
    pooled = pooling(before, before)
    assert pooled.values == ("a", "b", RARE)
    assert pooled.pooled == 40
    assert list(pooled.vector(before)) == [500, 480, 40]


def test_ten_thousand_routes_are_one_rare_column() -> None:
    before = counts({f"route-{n}": 1 + (n == 0) * 5000 for n in range(10_000)})
    pooled = pooling(before, before)
    assert pooled.values == ("route-0", RARE)
    assert pooled.pooled == 9_999


def test_what_a_rollup_folded_stays_folded() -> None:
    pooled = pooling(counts({"a": 900, RARE: 100}), counts({"a": 900, "b": 100}))
    assert pooled.values == ("a", "b", RARE)
    assert pooled.pooled == 1


def test_too_few_even_together_take_the_least_of_the_others_along() -> None:
    pooled = pooling(counts({"a": 500, "b": 90, "c": 1}), counts({"a": 500, "b": 90}))
    assert pooled.values == ("a", RARE)


def test_the_runs_needed_are_those_that_give_the_power() -> None:
    rule = {"effect": 0.06, "alpha": 0.01, "power": 0.8}
    before, after = np.array([700.0, 300.0]), np.array([700.0, 300.0])
    needed = runs_needed(before, after, **rule)
    rng = np.random.default_rng(7)
    left, right = rng.binomial(needed, 0.27, 2000), rng.binomial(needed, 0.33, 2000)
    found = [
        g_test(np.array([n, needed - n], float), np.array([m, needed - m], float)).p < 0.01
        for n, m in zip(left, right, strict=True)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)


def test_a_long_baseline_counts_for_at_most_twice_the_window() -> None:
    assert effective_runs(1000, 1000) == 1000
    assert effective_runs(1e12, 1000) == pytest.approx(2000)


def test_the_parts_of_a_shift_add_up_to_it() -> None:
    before = counts({"a": 300, "b": 700}, model_name="m1") + counts({"a": 200, "b": 300}, model_name="m2")
    after = counts({"a": 450, "b": 550}, model_name="m1") + counts({"a": 100, "b": 900}, model_name="m2")
    found = next(each for each in attributions(before, after, pooling(before, after)) if each.anchor == "model_name")
    # By hand, of value a: Δs·p̄ = (0.5 - 2/3)·0.375 + (0.5 - 1/3)·0.25 = -1/48; the whole shift is -7/120.
    assert found.between == pytest.approx((-1 / 48) / (-7 / 120))
    assert found.between + found.within == 1


def test_a_changed_mix_of_models_is_between() -> None:
    steady = {"m1": {"a": 90, "b": 10}, "m2": {"a": 50, "b": 50}}
    before = counts({v: n * 8 for v, n in steady["m1"].items()}, model_name="m1") + counts(
        {v: n * 2 for v, n in steady["m2"].items()}, model_name="m2"
    )
    after = counts({v: n * 2 for v, n in steady["m1"].items()}, model_name="m1") + counts(
        {v: n * 8 for v, n in steady["m2"].items()}, model_name="m2"
    )
    first = attributions(before, after, pooling(before, after))[0]
    assert (first.anchor, round(first.between, 6), first.moves[0].value) == ("model_name", 1.0, "m1")


def test_the_same_model_behaving_otherwise_is_within() -> None:
    before, after = counts({"a": 700, "b": 300}, model_name="m1"), counts({"a": 600, "b": 400}, model_name="m1")
    assert all(each.between == 0 for each in attributions(before, after, pooling(before, after)))


def test_of_two_anchors_that_explain_all_the_one_that_left_runs_alone_comes_first() -> None:
    # A new parser reads everything; a new fingerprint serves one provider, and only its runs moved.
    before = counts({"a": 500, "b": 500}, parser_version="1", system_fingerprint="x1") + counts(
        {"a": 500, "b": 500}, parser_version="1", system_fingerprint="y"
    )
    after = counts({"a": 300, "b": 700}, parser_version="2", system_fingerprint="x2") + counts(
        {"a": 500, "b": 500}, parser_version="2", system_fingerprint="y"
    )
    first, second, *_ = attributions(before, after, pooling(before, after))
    assert (first.anchor, second.anchor) == ("system_fingerprint", "parser_version")
    assert first.between == pytest.approx(1.0)


def test_a_window_without_runs_is_too_few_not_steady() -> None:
    (found,) = judge([question(counts({"a": 1000}), Counts())])
    assert found.outcome is Outcome.TOO_FEW


def test_a_small_window_says_how_many_runs_it_takes() -> None:
    (found,) = judge([question(counts({"a": 50, "b": 50}), counts({"a": 53, "b": 47}))])
    assert found.outcome is Outcome.TOO_FEW
    assert 1000 < found.needed < 5000
    assert not found.enough


def test_a_small_window_that_moved_far_is_told_all_the_same() -> None:
    (found,) = judge([question(counts({"a": 90, "b": 10}), counts({"a": 10, "b": 90}))])
    assert found.outcome is Outcome.DRIFTING


def test_a_sure_move_under_the_floor_is_none() -> None:
    before, after = counts({"a": 500_000, "b": 500_000}), counts({"a": 510_000, "b": 490_000})
    (found,) = judge([question(before, after)])
    assert found.p_adjusted < 1e-9
    assert found.outcome is Outcome.STEADY
    (strict,) = judge([question(before, after)], Rule(floor=0.005))
    assert strict.outcome is Outcome.DRIFTING


def test_the_shares_name_what_moved_most_first() -> None:
    (found,) = judge([question(counts({"a": 700, "b": 200, "c": 100}), counts({"a": 600, "b": 300, "c": 100}))])
    assert {row[0] for row in found.shares()[:2]} == {"a", "b"}
    assert found.shares()[2] == ("c", 100, 100, 0.0)

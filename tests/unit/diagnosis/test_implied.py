"""What goes with what is learnt from runs, and a run that breaks it is told; chance makes no rule."""

from random import Random

from causeline.diagnosis import Cohort
from causeline.diagnosis.implied import learn
from causeline.diagnosis.traits import Row, Value


def rows(count: int, *, review_over: float | None = 5000.0) -> list[Row]:
    dice = Random(3)
    found = []
    for number in range(count):
        amount = dice.uniform(500, 8000)
        traits: dict[str, Value] = {"custom:payout|times": 1.0, "custom:payout|label amount": amount}
        if amount > review_over if review_over is not None else dice.random() < 0.4:
            traits["custom:adjuster|times"] = 1.0
        found.append(Row(f"{number:032x}", float(number), traits))
    return found


def test_a_step_that_all_runs_past_an_amount_take_is_missed_in_one_that_does_not() -> None:
    cohort = Cohort(rows(100))
    large: dict[str, Value] = {"custom:payout|times": 1.0, "custom:payout|label amount": 7000.0}

    odd = next(odd for odd in cohort.oddities(large, own=False) if odd.given)
    assert (odd.trait, odd.value) == ("custom:adjuster|times", None)
    assert odd.given.startswith("amount of custom:payout over ")
    assert not [odd for odd in cohort.oddities({**large, "custom:payout|label amount": 900.0}, own=False) if odd.given]


def test_what_comes_by_chance_is_no_rule() -> None:
    assert learn(rows(100, review_over=None)) == ()


def test_one_run_that_breaks_a_rule_does_not_unmake_it_and_is_told_itself() -> None:
    known = rows(100)
    skipped = Row("f" * 32, 200.0, {"custom:payout|times": 1.0, "custom:payout|label amount": 7900.0})
    cohort = Cohort([*known, skipped])

    assert [odd.trait for odd in cohort.oddities(skipped.traits, own=True) if odd.given] == ["custom:adjuster|times"]

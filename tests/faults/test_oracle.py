"""The oracle can fail: each broken promise, planted into a faultless outcome, shows under its own letter."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.faults.compact import CompactLedger, CompactSeen, judge_compact
from tests.faults.oracle import Ledger, Measured, RunSeen, Seen, Violation, judge, judge_measures, judge_stored, report

EMITTED = {f"e{run}{number}": f"run{run}" for run in range(3) for number in range(4)}
LEDGER = Ledger(emitted=EMITTED, acknowledged=frozenset(EMITTED), runs=frozenset(EMITTED.values()))
FAULTLESS = Seen(
    event_ids=tuple(EMITTED), runs=tuple(RunSeen(run_id, "complete", 4, 0) for run_id in sorted(LEDGER.runs))
)
RSS_CAP = 600 << 20


def letters(violations: list[Violation]) -> set[str]:
    return {each.letter for each in violations}


def subjects(violations: list[Violation]) -> set[str]:
    return {each.subject for each in violations}


def without_an_event(seen: Seen) -> Seen:
    return replace(seen, event_ids=seen.event_ids[1:])


def with_a_stranger(seen: Seen) -> Seen:
    return replace(seen, event_ids=(*seen.event_ids, "stranger"))


def with_an_event_twice(seen: Seen) -> Seen:
    return replace(seen, event_ids=(*seen.event_ids, seen.event_ids[0]))


def with_a_run_twice(seen: Seen) -> Seen:
    return replace(seen, runs=(*seen.runs, seen.runs[0]))


def with_a_strange_run(seen: Seen) -> Seen:
    return replace(seen, runs=(*seen.runs, RunSeen("stranger", "complete", 4, 0)))


def without_a_run(seen: Seen) -> Seen:
    return replace(seen, runs=seen.runs[1:])


def with_a_partial_run(seen: Seen) -> Seen:
    return replace(seen, runs=(replace(seen.runs[0], verdict="partial"), *seen.runs[1:]))


def with_a_miscounted_run(seen: Seen) -> Seen:
    return replace(seen, runs=(replace(seen.runs[0], events=3), *seen.runs[1:]))


def with_a_hole_in_a_run(seen: Seen) -> Seen:
    return replace(seen, runs=(replace(seen.runs[0], events_lost=1), *seen.runs[1:]))


def test_a_faultless_outcome_breaks_no_promise() -> None:
    assert judge(LEDGER, FAULTLESS) == []


@pytest.mark.parametrize(
    ("plant", "letter", "subject"),
    [
        (without_an_event, "C", "e00"),
        (with_a_stranger, "I", "stranger"),
        (with_an_event_twice, "D", "e00"),
        (with_a_run_twice, "D", "run0"),
        (with_a_strange_run, "I", "stranger"),
        (without_a_run, "E", "run0"),
        (with_a_partial_run, "E", "run0"),
        (with_a_miscounted_run, "E", "run0"),
        (with_a_hole_in_a_run, "E", "run0"),
    ],
)
def test_each_planted_fault_shows_under_its_own_letter(
    plant: Callable[[Seen], Seen], letter: str, subject: str
) -> None:
    found = judge(LEDGER, plant(FAULTLESS))

    assert letters(found) == {letter}
    assert subjects(found) == {subject}


def test_a_dead_letter_accounts_for_an_event() -> None:
    seen = replace(without_an_event(FAULTLESS), dead=frozenset({"e00"}))

    assert "C" not in letters(judge(LEDGER, seen))


def test_what_was_not_acknowledged_may_be_missing_and_leave_its_run_partial() -> None:
    ledger = replace(LEDGER, acknowledged=LEDGER.acknowledged - {"e00"})
    seen = with_a_partial_run(without_an_event(FAULTLESS))

    assert judge(ledger, seen) == []


def test_what_was_not_acknowledged_may_be_visible_all_the_same() -> None:
    ledger = replace(LEDGER, acknowledged=LEDGER.acknowledged - {"e00"})

    assert judge(ledger, FAULTLESS) == []


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (Measured(fresh_run_s=29.9, peak_rss={"worker": RSS_CAP}), set()),
        (Measured(fresh_run_s=30.1), {"L"}),
        (Measured(fresh_run_s=None), {"L"}),
        (Measured(fresh_run_s=1.0, peak_rss={"worker": RSS_CAP + 1}), {"M"}),
    ],
)
def test_time_and_memory_have_their_letters(measured: Measured, expected: set[str]) -> None:
    assert letters(judge_measures(measured, fresh_within_s=30, rss_cap=RSS_CAP)) == expected


def test_a_table_with_a_row_too_many_is_told_and_one_without_is_not() -> None:
    found = judge_stored({"narrow_event_rows": (13, 12), "narrow_run_rows": (3, 3)})

    assert [(each.letter, each.subject, each.what) for each in found] == [
        ("D", "narrow_event_rows", "holds 13 rows of 12 keys")
    ]


def test_the_report_says_which_and_where_it_was_last_seen() -> None:
    said = report(judge(LEDGER, without_an_event(FAULTLESS)), {"e00": "causeline.events/2@17"})

    assert said.splitlines()[0].startswith("C: 1 times")
    assert "e00" in said
    assert "run0" in said
    assert "causeline.events/2@17" in said


def compact(ledger: Ledger, seen: Seen) -> list[Violation]:
    """The same outcome put to the oracle of numbers."""
    names = {name: place for place, name in enumerate([*EMITTED, *sorted(LEDGER.runs), "stranger"])}

    def numbers(ids: object) -> np.typing.NDArray[np.uint64]:
        assert isinstance(ids, list)
        return np.array([names[each] for each in ids], np.uint64)

    return judge_compact(
        CompactLedger(
            numbers(list(ledger.emitted)), numbers(list(ledger.emitted.values())), numbers(sorted(ledger.acknowledged))
        ),
        CompactSeen(
            numbers(list(seen.event_ids)),
            numbers([run.run_id for run in seen.runs]),
            np.array([run.events for run in seen.runs], np.uint64),
            np.array([run.verdict == "complete" and not run.events_lost for run in seen.runs], np.bool_),
        ),
    )


@pytest.mark.parametrize(
    "plant",
    [
        lambda seen: seen,
        without_an_event,
        with_a_stranger,
        with_an_event_twice,
        with_a_run_twice,
        with_a_strange_run,
        without_a_run,
        with_a_partial_run,
        with_a_miscounted_run,
        with_a_hole_in_a_run,
    ],
)
@pytest.mark.parametrize("unacknowledged", [set(), {"e00"}])
def test_the_oracle_of_numbers_says_the_same(plant: Callable[[Seen], Seen], unacknowledged: set[str]) -> None:
    ledger = replace(LEDGER, acknowledged=LEDGER.acknowledged - unacknowledged)
    seen = plant(FAULTLESS)
    assert letters(compact(ledger, seen)) == letters(judge(ledger, seen))

"""Any record has a picture: whatever its parents and its times say."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from causeline.console.views.waterfall import NOTED, Hidden, Odd, Placed, bar, bounded, placed_steps, span_us
from causeline.schemas.run import Evidence, Fallback, Run, Step
from tests.unit.console.samples import START, clean_run, step


def named(number: int, parent: int | None = None, **fields: object) -> Step:
    enclosing = None if parent is None else f"{parent + 1:016x}"
    return replace(step("tool", number), parent_step_id=enclosing, **fields)  # type: ignore[arg-type]


def places(*steps: Step) -> list[Placed]:
    return placed_steps(clean_run(steps=steps))


def test_a_step_stands_below_the_one_that_encloses_it_and_siblings_by_start() -> None:
    found = places(named(3, parent=0), named(0), named(1, parent=0), named(2, parent=1), named(4))
    assert [(place.step.step_name, place.depth) for place in found] == [
        ("tool_0", 0),
        ("tool_1", 1),
        ("tool_2", 2),
        ("tool_3", 1),
        ("tool_4", 0),
    ]
    assert [place.offset_us for place in found] == [0, 100_000, 200_000, 300_000, 400_000]


def test_a_parent_that_is_not_there_is_told() -> None:
    [place] = places(named(0, parent=77))
    assert (place.depth, place.odd) == (0, (Odd.PARENT_MISSING,))


def test_a_step_may_name_itself_as_its_parent() -> None:
    [place] = places(named(0, parent=0))
    assert (place.depth, place.odd) == (0, (Odd.OWN_PARENT,))


def test_parents_in_a_circle_are_each_shown_once() -> None:
    found = places(named(0, parent=2), named(1, parent=0), named(2, parent=1), named(3))
    assert sorted(place.step.step_name for place in found) == ["tool_0", "tool_1", "tool_2", "tool_3"]
    assert [place.step.step_name for place in found if Odd.CIRCLE in place.odd] == ["tool_0"]


def test_a_step_that_ends_before_it_starts_or_never_ends_is_told() -> None:
    early = named(0, finished_at=START - timedelta(seconds=1), duration_us=-1_000_000)
    endless = named(1, status=None, finished_at=None, duration_us=None)
    assert [place.odd for place in places(early, endless)] == [(Odd.ENDS_BEFORE_START,), (Odd.NEVER_ENDED,)]


def test_ten_thousand_steps_inside_one_another_are_placed() -> None:
    found = places(*(named(number, parent=number - 1 if number else None) for number in range(10_000)))
    assert [place.depth for place in found] == list(range(10_000))


def test_steps_with_the_same_id_are_all_shown() -> None:
    twin = replace(named(1), step_id=named(0).step_id, step_name="twin")
    assert {place.step.step_name for place in places(named(0), twin)} == {"tool_0", "twin"}


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(-1, 14)), max_size=14))
def test_every_step_is_placed_once_whatever_the_parents_say(shape: list[tuple[int, int]]) -> None:
    steps = [named(number, parent=None if parent < 0 else parent) for number, parent in shape]
    found = places(*steps)
    assert sorted(map(id, (place.step for place in found))) == sorted(map(id, steps))


def test_what_is_left_out_is_counted_where_it_stood_and_the_notable_stays() -> None:
    found = places(*(named(number, status="error" if number == 70 else "ok") for number in range(100)))
    shown = bounded(found, 10, rank=lambda place: int(place.step.status != "error"))
    names = [each.steps if isinstance(each, Hidden) else each.step.step_name for each in shown]
    assert names == [*(f"tool_{number}" for number in range(9)), 61, "tool_70", 29]
    assert bounded(found, 100, rank=lambda _: 0) == found


@given(
    st.none() | st.integers(-(10**12), 10**15),
    st.none() | st.integers(-(10**12), 10**15),
    st.integers(1, 10**15),
)
def test_a_bar_always_has_its_width(offset: int | None, duration: int | None, whole: int) -> None:
    assert len(bar(offset, duration, whole, 24)) == 24


def test_a_bar_stands_where_the_step_ran() -> None:
    assert bar(0, 1_000, 1_000, 8) == "━━━━━━━━"
    assert bar(500, 250, 1_000, 8) == "    ━━  "
    assert bar(999, 1, 1_000, 8) == "       ━"
    assert bar(500, 0, 1_000, 8) == "    ╸   "
    assert bar(None, 5, 1_000, 8) == "        "


def test_a_span_is_never_empty() -> None:
    assert span_us(Run(), []) == 1


def test_a_review_hours_later_does_not_flatten_the_steps() -> None:
    run = clean_run(steps=(named(0), named(1)), duration_us=7_200_000_000)
    assert span_us(run, placed_steps(run)) == 200_000
    assert span_us(replace(run, steps=()), []) == 7_200_000_000


def test_evidence_and_fallbacks_outside_of_any_step_stand_at_their_moment() -> None:
    run = clean_run(
        steps=(named(0), named(9)),
        evidence=(
            Evidence(event_id="e" * 32, step_id="f" * 16, field_path="$.a", occurred_at=START + timedelta(seconds=0.5)),
            Evidence(event_id="d" * 32, step_id=named(0).step_id, field_path="$.b", occurred_at=START),
        ),
        fallbacks=(Fallback(event_id="c" * 32, kind="retry", occurred_at=START + timedelta(seconds=0.6)),),
    )
    assert [(place.step.full_name, place.step.status) for place in placed_steps(run)] == [
        ("tool:tool_0", "ok"),
        ("evidence:$.a", NOTED),
        ("fallback:retry", NOTED),
        ("tool:tool_9", "ok"),
    ]

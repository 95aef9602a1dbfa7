"""The steps of a run as a tree in time: who encloses whom, and where each stands between the run's start and its end.

Records come from anywhere: parents may be missing, may enclose themselves, or stand in a circle; a step may end before
it starts; there may be a hundred thousand, or one inside the other ten thousand deep. All of it has a picture.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby

from causeline.schemas.run import Run, Step

_FAR_FUTURE = datetime.max.replace(tzinfo=UTC)

NOTED = "noted"
"""The status of what is no step of its own, only a moment in the run."""


class Odd(StrEnum):
    """What is strange about a step's place."""

    PARENT_MISSING = "its parent is not in the record"
    OWN_PARENT = "it names itself as its parent"
    CIRCLE = "its parents form a circle"
    ENDS_BEFORE_START = "it ends before it starts"
    NEVER_ENDED = "only its start was seen"


@dataclass(frozen=True, slots=True)
class Placed:
    """A step in its place: `depth` steps enclose it; it starts `offset_us` after the run does, where that is known."""

    step: Step
    depth: int
    offset_us: int | None
    odd: tuple[Odd, ...] = ()


@dataclass(frozen=True, slots=True)
class Hidden:
    """How many steps are left out at this place."""

    steps: int


def moments(run: Run) -> tuple[Step, ...]:
    """What was checked, or done instead, outside of any recorded step: each as a step of no length, at its moment.

    Its step id is the event's; its status is `NOTED`, because nobody said how it ended.
    """
    known = {step.step_id for step in run.steps}
    evidence = (
        _moment(each.event_id, "evidence", each.field_path, each.occurred_at)
        for each in run.evidence
        if each.step_id not in known
    )
    fallbacks = (
        _moment(each.event_id, "fallback", each.kind, each.occurred_at)
        for each in run.fallbacks
        if each.step_id not in known
    )
    return (*evidence, *fallbacks)


def _moment(event_id: str, kind: str, name: str | None, at: datetime | None) -> Step:
    return Step(
        step_id=event_id,
        step_kind=kind,
        step_name=name or "",
        status=NOTED,
        started_at=at,
        finished_at=at,
        duration_us=0,
    )


def placed_steps(run: Run) -> list[Placed]:
    """Every step and moment once, each after the step that encloses it, siblings by start."""
    steps = sorted((*run.steps, *moments(run)), key=lambda step: step.started_at or _FAR_FUTURE)
    known = {step.step_id for step in steps}
    children: dict[str, list[int]] = {}
    roots: list[int] = []
    for index, step in enumerate(steps):
        parent = step.parent_step_id
        if parent is None or parent == step.step_id or parent not in known:
            roots.append(index)
        else:
            children.setdefault(parent, []).append(index)
    start = run.started_at or next((step.started_at for step in steps if step.started_at), None)
    placed: dict[int, Placed] = {}
    for root in roots:
        _descend(root, steps, children, start, placed)
    for index in range(len(steps)):  # what no root leads to stands in a circle
        if index not in placed:
            _descend(index, steps, children, start, placed)
            placed[index] = replace(placed[index], odd=(Odd.CIRCLE, *placed[index].odd))
    elsewhere = _parents_elsewhere(run)
    known_places = (_with_parent_checked(place, known, elsewhere) for place in placed.values())
    return list(known_places)


def _descend(
    top: int,
    steps: Sequence[Step],
    children: Mapping[str, Sequence[int]],
    start: datetime | None,
    placed: dict[int, Placed],
) -> None:
    waiting = [(top, 0)]
    while waiting:
        index, depth = waiting.pop()
        if index in placed:
            continue
        step = steps[index]
        placed[index] = Placed(step, depth, _micros(start, step.started_at), tuple(_odd_times(step)))
        waiting.extend((child, depth + 1) for child in reversed(children.get(step.step_id, ())))


def _parents_elsewhere(run: Run) -> set[str]:
    """Of a foreign trace, the parents that its record does not lack: of spans that entered from another's trace."""
    if not run.is_foreign:
        return set()
    return {step.parent_step_id or "" for step in run.steps} - {each.removeprefix("parent:") for each in run.missing}


def _with_parent_checked(place: Placed, known: set[str], elsewhere: set[str]) -> Placed:
    parent = place.step.parent_step_id
    if parent is None or Odd.CIRCLE in place.odd:
        return place
    if parent == place.step.step_id:
        return replace(place, odd=(Odd.OWN_PARENT, *place.odd))
    return place if parent in known or parent in elsewhere else replace(place, odd=(Odd.PARENT_MISSING, *place.odd))


def _odd_times(step: Step) -> Iterable[Odd]:
    if step.status is None and step.finished_at is None:
        yield Odd.NEVER_ENDED
    ends_early = step.started_at is not None and step.finished_at is not None and step.finished_at < step.started_at
    if ends_early or (step.duration_us is not None and step.duration_us < 0):
        yield Odd.ENDS_BEFORE_START


def _micros(start: datetime | None, moment: datetime | None) -> int | None:
    return None if start is None or moment is None else (moment - start) // timedelta(microseconds=1)


def bounded(places: Sequence[Placed], limit: int, *, rank: Callable[[Placed], int]) -> list[Placed | Hidden]:
    """At most `limit` steps, those of the lowest rank first, in their order; what is left out is counted there."""
    if len(places) <= limit:
        return list(places)
    ranked = sorted(range(len(places)), key=lambda index: (rank(places[index]), index))
    kept = set(ranked[:limit])
    shown: list[Placed | Hidden] = []
    for is_kept, group in groupby(range(len(places)), key=lambda index: index in kept):
        indexes = list(group)
        if is_kept:
            shown.extend(places[index] for index in indexes)
        else:
            shown.append(Hidden(len(indexes)))
    return shown


def span_us(run: Run, places: Sequence[Placed]) -> int:
    """How long the picture is, at least one microsecond: from the run's start to the end of its last step.

    A run itself may last for hours more, until its review; without steps the picture is as long as the run.
    """
    ends = [(place.offset_us or 0) + max(place.step.duration_us or 0, 0) for place in places]
    return max([1, *(ends or [run.duration_us or 0])])


def bar(offset_us: int | None, duration_us: int | None, whole_us: int, width: int) -> str:
    """`width` characters of which the filled ones are when the step ran; a step too short to see has one."""
    if offset_us is None:
        return " " * width
    start = min(max(offset_us * width // whole_us, 0), width - 1)
    length = max(round(max(duration_us or 0, 0) * width / whole_us), 1)
    length = min(length, width - start)
    mark = "━" if duration_us else "╸"
    return " " * start + mark * length + " " * (width - start - length)

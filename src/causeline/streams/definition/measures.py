"""Cost, tokens and retries of a run: sums over the steps that count."""

import sys
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from causeline.streams.definition.records import Event
from causeline.streams.definition.steps import Step

N = TypeVar("N", int, float)
Id = TypeVar("Id", bound=Hashable)
LARGEST_LONG: Final = 2**63 - 1
LARGEST_DOUBLE: Final = sys.float_info.max


def counted(steps: Sequence[Step], says: Callable[[Event], N | None]) -> list[tuple[Step, N]]:
    """The steps that say a measure and count, with what they say.

    A step counts unless one beneath it says the same measure: a parent that sums up its children is not counted twice,
    and one whose children are silent is not lost.
    """
    saying = [(step, value) for step in steps if (value := says(step.said)) is not None]
    if all(step.parent_id is None for step, _ in saying):  # as mostly
        return saying
    above = enclosing((step.parent_id for step, _ in saying), {step.step_id: step.parent_id for step in steps})
    return [(step, value) for step, value in saying if step.step_id not in above]


def enclosing(parents: Iterable[Id | None], parent_of: Mapping[Id, Id | None]) -> set[Id]:
    """`parents`, and the steps that enclose them, at any depth; parents that go in a circle all enclose each other."""
    above: set[Id] = set()
    for parent in parents:
        step = parent
        while step is not None and step not in above:
            above.add(step)
            step = parent_of.get(step)
    return above


def usd(costs: Iterable[tuple[Step, float]]) -> float | None:
    """Their sum, added in the order of the steps; at most the largest finite number. None where none is said."""
    total = None
    for _, cost in costs:
        total = cost if total is None else total + cost
    return None if total is None else min(total, LARGEST_DOUBLE)


def total(counts: Sequence[tuple[Step, int]]) -> int | None:
    """Their sum, at most the largest long. None where none is said."""
    return min(sum(count for _, count in counts), LARGEST_LONG) if counts else None


def costliest_step(costs: Sequence[tuple[Step, float]]) -> str | None:
    """kind:name of the most expensive of those that count, the first where two are equal."""
    return max(costs, key=lambda each: each[1])[0].label if costs else None

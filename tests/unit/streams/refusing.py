"""A compiled core that takes no message and writes no run: what is then left to Python is the same."""

from collections.abc import Sequence
from typing import Any

from causeline.streams.definition.events import differ
from causeline.streams.definition.records import Event
from causeline.streams.runs.records import event_in

Items = Sequence[tuple[bytes, tuple[int, int, int] | None]]


class RefusingPart:
    """Events with their places."""

    def __init__(self, items: Items) -> None:
        self._items = list(items)

    def __len__(self) -> int:
        return len(self._items)

    def items(self) -> list[tuple[bytes, tuple[int, int, int] | None]]:
        """All of them."""
        return self._items


class RefusingKnown:
    """The events of a run by their ids; this cannot be refused."""

    def __init__(self) -> None:
        self._known: dict[str, Event] = {}

    def take(self, part: RefusingPart) -> tuple[RefusingPart | None, int, int, int]:
        """The new ones, steps among them, those that came again, those that say something else."""
        new, steps, again, conflicting = [], 0, 0, 0
        for item, place in part.items():
            event = event_in(item)
            first = self._known.setdefault(event.event_id, event)
            if first is event:
                new.append((item, place))
                steps += event.event_type == "step_finished"
            else:
                again += 1
                conflicting += differ(first, event)
        return (RefusingPart(new) if new else None), steps, again, conflicting


class Refusing:
    """The module `causeline_core`, as far as joining asks it."""

    Known = RefusingKnown

    def take(self, *_: Any) -> None:
        """Nothing is taken."""

    def join(self, *_: Any) -> None:
        """Nothing is joined."""

    def part_of(self, items: Items) -> RefusingPart:
        """The events, as they are."""
        return RefusingPart(items)

    def together(self, parts: Sequence[RefusingPart]) -> RefusingPart:
        """The same."""
        return RefusingPart([item for part in parts for item in part.items()])

"""What can follow from what: steps and artifacts as a graph, walked from what went wrong to where it began.

Edges run from a step to those that read what it made (fragments aside), from a child to its parent, from a decision to
all that came after it, and, where a step says nothing of what it read, from whatever came before it in time. Building
and walking are linear in steps and references.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from causeline.diagnosis.record import Record, makes, reads
from causeline.schemas.vocabulary import StepKind

_DECIDES = (StepKind.ROUTE, StepKind.CLASSIFY)


@dataclass(slots=True)
class Lineage:
    """The graph of a run's steps, by their places."""

    record: Record
    before: list[list[tuple[int, str]]] = field(default_factory=list)
    """For each step the steps it can follow from, with the kind of tie."""
    after: list[list[tuple[int, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        steps = self.record.steps
        self.before = [[] for _ in steps]
        self.after = [[] for _ in steps]
        makers: dict[str, list[int]] = {}
        decided: int | None = None
        for place, step in enumerate(steps):
            tied = {maker for ref in reads(step) for maker in makers.get(ref, ())}
            for maker in tied:
                self._tie(maker, place, "reference")
            for ref in makes(step):
                known = makers.setdefault(ref, [])
                known.append(place)
                if len(known) > _MAKERS:
                    del known[0]  # an artifact that step after step makes anew is known by its last makers
            parent = self.record.place.get(step.parent_step_id or "")
            if parent is not None and parent != place:
                self._tie(place, parent, "parent")
            if decided is not None:
                self._tie(decided, place, "decision")
            if step.step_kind in _DECIDES or step.route is not None:
                decided = place

    def _tie(self, earlier: int, later: int, kind: str) -> None:
        self.before[later].append((earlier, kind))
        self.after[earlier].append((later, kind))

    def upstream(self, places: Iterable[int]) -> Mapping[int, str]:
        """All steps that lead to these, with the kind of tie of the last edge; the places themselves are `step`."""
        return _walk(self.before, places)

    def downstream(self, place: int) -> Mapping[int, str]:
        """All steps that follow from one."""
        return _walk(self.after, (place,))


_MAKERS = 4


def _walk(edges: list[list[tuple[int, str]]], places: Iterable[int]) -> Mapping[int, str]:
    found = dict.fromkeys(places, "step")
    waiting = list(found)
    while waiting:
        for place, kind in edges[waiting.pop()]:
            if place not in found:
                found[place] = kind
                waiting.append(place)
    return found

"""From findings to causes: which of them stands first, how sure that is, and what follows from it.

The strongest proof is taken among what leads to a symptom; from it the walk goes upstream to the farthest finding that
is nearly as strong, by what the record ties together rather than by time alone.
"""

from collections.abc import Mapping, Sequence

from causeline.diagnosis.lineage import Lineage
from causeline.diagnosis.model import (
    BOUNDARIES,
    ROUTE_FIELDS,
    Cause,
    Certainty,
    Consequence,
    Finding,
    Link,
    Proof,
    Role,
)  # fmt: skip
from causeline.diagnosis.record import Record, base, makes

_WEIGHT = {"step": 1.0, "reference": 1.0, "parent": 1.0, "decision": 1.0, "field": 1.0, "run": 0.97, "time": 0.92}
_AFTERWARDS = 0.6
_WORTH = 0.55
_UPSTREAM = 0.55
_UP_BY_TIE = 0.17
_UP_BY_TIME = 0.06
_CAUSES = 12
_ORDER = {kind.value: place for place, kind in enumerate(BOUNDARIES)}


class Tracing:
    """The findings of a run, walked from its symptoms."""

    def __init__(self, record: Record, symptoms: Sequence[Finding]) -> None:
        self.record = record
        self.lineage = Lineage(record)
        self.symptoms = symptoms
        self.fields = frozenset[str]().union(*(symptom.fields for symptom in symptoms))
        places = self._places(symptoms)
        self.path = self.lineage.upstream(places)
        self.of_the_run = any(symptom.step_id is None or symptom.step_id not in record.place for symptom in symptoms)
        self.latest = max(places, default=len(record.steps))

    def _places(self, symptoms: Sequence[Finding]) -> set[int]:
        known = (self.record.place.get(each.step_id or "") for each in symptoms)
        found = {place for place in known if place is not None}
        cited: set[str] = set()
        for path in self.fields:
            state = self.record.fields.get(path)
            if state is not None:
                cited |= {base(ref) for ref in (*state.last.evidence_refs, *state.last.conflicting_refs)}
        if cited:
            found |= {place for place, step in enumerate(self.record.steps) if cited & makes(step)}
        return found

    def tie(self, finding: Finding) -> str | None:
        """By what a finding leads to a symptom: the kind of tie; None where it came after all of them."""
        place = self.record.place.get(finding.step_id or "")
        if finding.fields and self.fields and finding.fields != ROUTE_FIELDS:
            return "field" if finding.fields & self.fields else None
        if place is None:
            return "run"
        if place in self.path:
            return self.path[place]
        if self.of_the_run:
            return "run"
        return "time" if place <= self.latest else None

    def weight(self, finding: Finding) -> float:
        """How much a finding explains, by its strength and by what ties it."""
        tie = self.tie(finding)
        return finding.strength * (_AFTERWARDS if tie is None else _WEIGHT[tie])

    def causes(self, findings: Sequence[Finding]) -> tuple[Cause, ...]:
        """All findings as causes, the first cause first, each with what follows from it."""
        weights = {id(finding): self.weight(finding) for finding in findings}
        left = sorted(findings, key=lambda finding: (-weights[id(finding)], self._place(finding)))
        found: list[Cause] = []
        while left and len(found) < _CAUSES:
            first = self._upstream_of(left[0], left, weights) if not found else left[0]
            left = [each for each in left if each is not first]
            below, left = self._follows(first, left)
            found.append(Cause(first, self._certainty(first), tuple(below)))
        return tuple(found)

    def _place(self, finding: Finding) -> float:
        place = self.record.place.get(finding.step_id or "")
        if place is not None:
            return place
        order = _ORDER.get(finding.boundary)
        return float(len(self.record.steps)) if order is None else order * len(self.record.steps) / len(_ORDER)

    def _upstream_of(self, best: Finding, findings: Sequence[Finding], weights: Mapping[int, float]) -> Finding:
        place = self.record.place.get(best.step_id or "")
        if place is None:
            return best
        above = self.lineage.upstream((place,))
        floor = weights[id(best)]
        around = self._ancestors(place)
        reached = [best]
        for each in findings:
            at = self.record.place.get(each.step_id or "")
            if each is best or at is None or at == place or (each.role is Role.HINT and each.strength < _WORTH):
                continue
            if each.fields and best.fields and each.fields != ROUTE_FIELDS and not each.fields & best.fields:
                continue
            weight = weights[id(each)]
            tied = at in above
            if weight >= _UPSTREAM and (
                (tied and weight >= floor - _UP_BY_TIE)
                or (not tied and at < place and at not in around and weight >= floor - _UP_BY_TIME)
            ):
                reached.append(each)
        return min(reached, key=self._place) if best.strength < 0.94 else best

    def _ancestors(self, place: int) -> set[int]:
        found: set[int] = set()
        parent = self.record.place.get(self.record.steps[place].parent_step_id or "")
        while parent is not None and parent not in found:
            found.add(parent)
            parent = self.record.place.get(self.record.steps[parent].parent_step_id or "")
        return found

    def _follows(self, first: Finding, left: list[Finding]) -> tuple[list[Consequence], list[Finding]]:
        place = self.record.place.get(first.step_id or "")
        below = self.lineage.downstream(place) if place is not None else {}
        taken: list[Consequence] = []
        rest: list[Finding] = []
        for each in left:
            link = self._link(first, place, below, each)
            if link is None:
                rest.append(each)
            else:
                taken.append(Consequence(each, link))
        return sorted(taken, key=lambda item: self._place(item.finding)), rest

    def _link(self, first: Finding, place: int | None, below: Mapping[int, str], each: Finding) -> Link | None:
        if first.fields and each.fields and (first.fields != ROUTE_FIELDS or first.fields & each.fields):
            shared = first.fields & each.fields
            return Link("field", min(shared)) if shared else None
        at = self.record.place.get(each.step_id or "")
        if at is not None and at == place:
            return Link("step", first.step)
        if at is not None and at in below:
            return Link(below[at], first.step)
        if at is None and each.role is not Role.HINT:
            return Link("run", self.record.run.run_id)
        if at is not None and place is not None and at > place and first.proof is Proof.ERROR:
            return Link("time", first.step)
        return None

    def _certainty(self, finding: Finding) -> Certainty:
        if finding.strength < _WORTH:
            return Certainty.POSSIBLE
        tie = self.tie(finding)
        if finding.proof in (Proof.ERROR, Proof.CONTRADICTION):
            return Certainty.LIKELY if tie in ("time", None) or finding.strength < 0.7 else Certainty.CERTAIN
        return Certainty.POSSIBLE if tie is None else Certainty.LIKELY

"""What a diagnosis is made of: findings with their proof, the causes they add up to, what is left to do or untold."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from causeline.schemas.vocabulary import StepKind

_INDEX = re.compile(r"\[\d+\]")


class Proof(StrEnum):
    """What a finding rests on, the strongest first."""

    ERROR = "error"  # a step or the run failed, swallowed or not
    CONTRADICTION = "contradiction"  # two things on record cannot both be as they should
    MEASURE = "measure"  # a recorded quality, score, count or amount is off, by the policy or by the neighbours
    CONTRAST = "contrast"  # runs that share a version, a route or a label with this one go wrong, others do not


class Certainty(StrEnum):
    """How sure a cause is."""

    CERTAIN = "certain"  # an error or a contradiction, tied by the record to what went wrong
    LIKELY = "likely"  # a measure or a contrast that is tied, or an error that only time ties
    POSSIBLE = "possible"  # nothing better is on record


class Role(StrEnum):
    """What a finding says of the run as a whole."""

    FAILURE = "failure"  # it makes the run bad by itself
    TROUBLE = "trouble"  # it does, unless that is usual in this workflow
    SIGN = "sign"  # nobody complained, but it cannot be as it should, unless it is usual
    HINT = "hint"  # it counts only where something else shows that the run went wrong


ROUTE_FIELDS = frozenset({"$.route", "route"})
"""Field paths by which a reviewer says that the route itself was wrong."""

BOUNDARIES: tuple[StepKind, ...] = (
    StepKind.INPUT,
    StepKind.PARSE,
    StepKind.MASK,
    StepKind.CLASSIFY,
    StepKind.ROUTE,
    StepKind.RETRIEVE,
    StepKind.PROMPT,
    StepKind.MODEL_CALL,
    StepKind.TOOL,
    StepKind.VALIDATE,
    StepKind.EVIDENCE,
    StepKind.FALLBACK,
    StepKind.REVIEW,
    StepKind.OUTPUT,
)
"""The order in which causes flow, where neither references nor times tell."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One recorded value that a finding rests on: where it stands, and what it says. Never content."""

    where: str
    """kind:name of the step, `run`, or `neighbours`."""
    name: str
    """Field of the event, e.g. `route_confidence`."""
    value: str
    event_or_step_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it should be, at one boundary."""

    rule: str
    """Stable name of the rule that found it."""
    proof: Proof
    role: Role
    boundary: str
    """Kind of the step it stands at, else the boundary's own word."""
    headline: str
    """One sentence that somebody who does not know the code understands."""
    fix: str
    """What to touch, down to the rule, prompt version or field."""
    thing: str
    """The same as a name, by which causes are grouped: `prompt triage:13`, `tool:search`."""
    strength: float
    """0 to 1: how much it explains by itself."""
    facts: tuple[Fact, ...] = ()
    step_id: str | None = None
    step: str = ""
    """kind:name of the step, empty for the run as a whole."""
    fields: frozenset[str] = frozenset()
    """Field paths it is about; empty means all of the run's."""
    mark: str = ""
    """What runs with the same finding have in common; neighbours are counted by it."""
    by_policy: bool = False
    """Whether only a policy of one's own objects to it: a symptom of this run, and nothing that tells runs apart."""

    @property
    def key(self) -> str:
        """Which runs of a workflow have the same: rule, place, and what it says there, of whatever member of a list."""
        mark = ",".join(dict.fromkeys(_INDEX.sub("[]", part) for part in self.mark.split(",")))
        return f"{self.place}|{mark}"

    @property
    def place(self) -> str:
        """Which runs of a workflow have the like: rule and step, whatever it says there."""
        return f"{self.rule}|{self.step}"


@dataclass(frozen=True, slots=True)
class Link:
    """Why one finding can follow from another: `field`, `reference`, `step`, `parent`, `decision`, `run` or `time`."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Consequence:
    """A finding that follows from a cause, and the tie between them."""

    finding: Finding
    link: Link


@dataclass(frozen=True, slots=True)
class Cause:
    """A finding that follows from no other, how sure it is, and what follows from it."""

    finding: Finding
    certainty: Certainty
    consequences: tuple[Consequence, ...] = ()


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that is left to do about the run: no cause of anything."""

    rule: str
    says: str
    fix: str
    fields: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The nearest run that went well, and what differs from it, the most telling first."""

    run_id: str
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DriftAlert:
    """An open drift alert, as far as a run needs it."""

    alert_id: str
    dimension: str
    slice: Mapping[str, str] = field(default_factory=dict)
    open: bool = True
    headline: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What went wrong in a run, as far as its record tells."""

    run_id: str
    workflow: str
    outcome: str
    """What the run did and how it ended, in one sentence."""
    symptoms: tuple[Finding, ...] = ()
    """What made the run bad, the gravest first; none for a run that went well."""
    causes: tuple[Cause, ...] = ()
    """The first cause first; empty where nothing went wrong."""
    left_to_do: tuple[Duty, ...] = ()
    unknown: tuple[str, ...] = ()
    """What could not be told, each with the way to record it."""
    nearest: Neighbour | None = None
    alerts: tuple[DriftAlert, ...] = ()
    """Open drift alerts whose slice the run lies in."""

    @property
    def first_cause(self) -> Cause | None:
        """What to touch first; None when nothing went wrong as far as the record goes."""
        return self.causes[0] if self.causes else None

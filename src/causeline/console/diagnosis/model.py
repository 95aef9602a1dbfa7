"""What a diagnosis is made of: six questions, findings with their evidence, and the causes they add up to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from causeline.schemas.vocabulary import StepKind


class Health(StrEnum):
    """The answer to a question; absence is never read as health."""

    OK = "ok"  # the facts are there and speak for it
    SUSPECT = "suspect"  # something short of a failure speaks against it
    FAILED = "failed"  # a fact speaks against it
    UNKNOWN = "unknown"  # the facts that would tell were never recorded


class Question(StrEnum):
    """The six questions, in the order in which they are asked."""

    SOURCE = "source"
    ROUTE = "route"
    SHAPE = "shape"
    SUPPORT = "support"
    REVIEW = "review"
    DRIFT = "drift"


ASKED: Mapping[Question, str] = MappingProxyType(
    {
        Question.SOURCE: "Did the model see the right source?",
        Question.ROUTE: "Did the workflow choose the right route?",
        Question.SHAPE: "Did the model produce the wrong shape?",
        Question.SUPPORT: "Was the answer unsupported?",
        Question.REVIEW: "Did review correct the system?",
        Question.DRIFT: "Is behaviour drifting?",
    }
)

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
"""The order in which causes flow: what happens at one boundary can follow from an earlier one only."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One recorded value that a finding rests on: where it stands, and what it says. Never content."""

    where: str
    """kind:name of the step, or `run`."""
    name: str
    """Field of the event, e.g. `route_confidence`."""
    value: str
    event_or_step_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that failed or is suspect, at one boundary."""

    rule: str
    """Stable name of the rule that found it."""
    question: Question
    health: Health
    boundary: StepKind
    headline: str
    """One sentence that somebody who does not know the code understands."""
    fix: str
    """What to touch, down to the rule, prompt version or field."""
    facts: tuple[Fact, ...] = ()
    step_id: str | None = None
    fields: frozenset[str] = frozenset()
    """Field paths it is about; empty means all of the run's."""
    reads: frozenset[str] = frozenset()
    """References that the boundary read."""
    makes: frozenset[str] = frozenset()
    """References that the boundary made."""


@dataclass(frozen=True, slots=True)
class Link:
    """Why one finding can follow from another."""

    kind: str
    """field, reference or step."""
    value: str


@dataclass(frozen=True, slots=True)
class Consequence:
    """A finding that follows from a cause, and the tie between them."""

    finding: Finding
    link: Link


@dataclass(frozen=True, slots=True)
class Cause:
    """A finding that follows from no other, with what follows from it."""

    finding: Finding
    consequences: tuple[Consequence, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known about one question."""

    question: Question
    health: Health
    findings: tuple[Finding, ...] = ()
    unknown: tuple[str, ...] = ()
    """For what could not be told: the anchor that was never recorded, and how to record it."""
    because: tuple[Fact, ...] = ()
    """For `ok`: the facts that speak for it."""


@dataclass(frozen=True, slots=True)
class DriftAlert:
    """An open drift alert, or a dimension near its threshold, as far as a run needs it."""

    alert_id: str
    dimension: str
    slice: Mapping[str, str] = field(default_factory=dict)
    open: bool = True
    headline: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The six answers and the causes, the first of them first."""

    run_id: str
    workflow: str
    answers: tuple[Answer, ...]
    causes: tuple[Cause, ...]

    @property
    def first_cause(self) -> Cause | None:
        """The earliest cause, failed before suspect; None when nothing is wrong as far as the record goes."""
        return self.causes[0] if self.causes else None

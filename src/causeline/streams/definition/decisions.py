"""What a run decided, taken from its steps: route, prompt, model, what the model saw, and which validations stand.

Each is said by steps of its kind. Of them the last to end speaks, and gives all that belongs together, so that no run
shows one model's name beside another's temperature. Where no step of the kind says anything, any step may, and where no
step does, any event.

Decided in ADR 34.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from causeline.schemas.vocabulary import EventType, Status, StepKind
from causeline.streams.definition.records import Event
from causeline.streams.definition.steps import Step

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Decision:
    """`says`: who says any of these speaks. `taken`: what is taken of it. `ranks`: who is heard before whom."""

    says: tuple[str, ...]
    taken: tuple[str, ...]
    ranks: Mapping[str, int]
    well: bool = False
    """Of the kinds with a rank, those that ended well are heard before the others."""

    def is_said(self, event: Event) -> bool:
        """Whether it speaks: an empty list says nothing."""
        for name in self.says:
            value = getattr(event, name)
            if value is not None and value != []:
                return True
        return False

    def rank(self, said: Event) -> tuple[int, bool]:
        """How far before others it is heard."""
        rank = self.ranks.get(said.step_kind or "", 0)
        return rank, self.well and rank > 0 and said.status == Status.OK


ROUTE: Final = Decision(
    ("route",),
    ("route", "route_reason", "route_confidence", "route_policy_version"),
    {StepKind.ROUTE.value: 2, StepKind.CLASSIFY.value: 1},
)
PROMPT: Final = Decision(
    ("prompt_id", "prompt_version"),
    ("prompt_id", "prompt_version"),
    {StepKind.PROMPT.value: 1, StepKind.MODEL_CALL.value: 1},
)
MODEL: Final = Decision(
    ("model_provider", "model_name"),
    ("model_provider", "model_name", "temperature", "top_p", "seed", "system_fingerprint"),
    {StepKind.MODEL_CALL.value: 1},
    well=True,
)
CONTEXT: Final = Decision(
    ("context_refs",), ("context_refs",), {StepKind.MODEL_CALL.value: 2, StepKind.PROMPT.value: 1}
)
DECISIONS: Final = (ROUTE, PROMPT, MODEL, CONTEXT)

NOBODY: Final = Event._make(None for _ in Event._fields)._replace(context_refs=[])
"""Who speaks where nobody does."""


def speaker(decision: Decision, steps: Sequence[Step], events: Sequence[Event]) -> Event:
    """Whose word stands: it has all that is taken of a decision."""
    speaking = [step for step in steps if decision.is_said(step.said)]
    if speaking:
        # Of equals the last in order: reversed, since the first of equals is the greatest.
        return max(reversed(speaking), key=lambda step: (decision.rank(step.said), step.ended_at)).said
    return next((event for event in reversed(events) if decision.is_said(event)), NOBODY)


def last_of(events: Sequence[Event], kind: EventType) -> Event:
    """The last event of a type: of the run's fallbacks, reviews and eval cases its word stands."""
    return next((event for event in reversed(events) if event.event_type == kind), NOBODY)


def first(says: Callable[[Event], T | None], events: Iterable[Event]) -> T | None:
    """The first that any of `events` says."""
    return next((value for event in events if (value := says(event)) is not None), None)


def last(says: Callable[[Event], T | None], events: Sequence[Event]) -> T | None:
    """The last that any of `events` says."""
    return first(says, reversed(events))


# --- what came out

ON_THE_WAY: Final = frozenset(
    {
        StepKind.INPUT, StepKind.PARSE, StepKind.MASK, StepKind.CLASSIFY, StepKind.ROUTE, StepKind.RETRIEVE,
        StepKind.PROMPT, StepKind.VALIDATE, StepKind.EMBEDDING, StepKind.RERANKER, StepKind.GUARDRAIL,
    }
)  # fmt: skip
"""Kinds of step whose output is no answer: a mask's log or a rendered prompt is not the run's raw output."""


def raw_output_ref(events: Sequence[Event]) -> str | None:
    """What came out: the last that is said of an output, by no step on the way to it."""
    return last(lambda event: None if event.step_kind in ON_THE_WAY else event.raw_output_ref, events)


def evidence_refs(events: Iterable[Event]) -> list[str]:
    """Supporting references: every one that any event names, each once, in the order of their naming."""
    return list(dict.fromkeys(ref for event in events for ref in event.evidence_refs))


def validation_errors(steps: Iterable[Step]) -> list[str]:
    """Codes and JSON paths that stand: of each validating step, by kind:name, what it said when it last ended, each
    once. A validation that was made again and passed clears what it had found, and nothing that another found.
    """
    stand: dict[str, Sequence[str]] = {}
    for step in sorted(steps, key=lambda step: step.ended_at):
        if step.said.step_kind == StepKind.VALIDATE or step.said.validation_errors:
            stand[step.label] = step.said.validation_errors
    return list(dict.fromkeys(error for errors in stand.values() for error in errors))

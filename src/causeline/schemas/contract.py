"""The contract of stored events, as data: what would mislead the join, the tables or a reader is refused.

The models of `causeline.schemas.events` are the whole contract, checked where events are made. Here stand the rules
whose breach would do harm once an event is joined and stored: ids, times, numbers, sizes, and what each type must say.
The worker asks them of each event that it reads (`broken_by`), the loader in SQL and of single records
(`sinks.loader.rows`): what one refuses the other does, so that an event is either visible or a dead letter.

Words are kept as words: a producer may know more of them than its readers do. Where a reference belongs there is a
reference: content in its place is refused with its event. That is asked where events come in (`Rule.at_the_door`); what
a table holds from before the rule stays part of its run.

Decided in ADR 33.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

from causeline.schemas.events import MAX_LABELS, MAX_LIST, MAX_SIDES
from causeline.schemas.references import MAX_REFERENCE, WHAT, is_reference
from causeline.schemas.vocabulary import EventType

LAST_MICROSECOND: Final = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z


class Form(StrEnum):
    """What a rule looks at."""

    HEX = "hex"  # so many lower-case hex digits, not all zero
    CHARS = "chars"  # how many characters a text has
    MOMENT = "moment"  # microseconds
    NUMBER = "number"  # a finite number within bounds
    ITEMS = "items"  # how many items a list has
    REFERENCE = "reference"  # a text of so many characters that is a reference
    REFERENCES = "references"  # a list of such


@dataclass(frozen=True, slots=True)
class Rule:
    """What every value of `columns` keeps; null passes."""

    form: Form
    columns: tuple[str, ...]
    sentence: str
    high: float | None = None
    low: float = 0

    @property
    def at_the_door(self) -> bool:
        """Whether it is asked only where events come in."""
        return self.form in (Form.REFERENCE, Form.REFERENCES)

    def check(self) -> Callable[[object], bool]:
        """What says whether one value, not null, keeps the rule."""
        low, high = self.low, sys.float_info.max if self.high is None else self.high
        match self.form:
            case Form.HEX:
                return _is_hex(int(high))
            case Form.CHARS | Form.ITEMS:
                return lambda value: isinstance(value, (str, list)) and low <= len(value) <= high
            case Form.MOMENT | Form.NUMBER:  # what is not finite is not within
                return lambda value: isinstance(value, (int, float)) and low <= value <= high
            case Form.REFERENCE:
                return lambda value: isinstance(value, str) and len(value) <= high and is_reference(value)
            case Form.REFERENCES:
                return lambda value: (
                    isinstance(value, list) and all(len(each) <= high and is_reference(each) for each in value)
                )


def _is_hex(digits: int) -> Callable[[object], bool]:
    form, zero = re.compile(f"[0-9a-f]{{{digits}}}", re.ASCII), "0" * digits
    return lambda value: isinstance(value, str) and value != zero and form.fullmatch(value) is not None


def _hex(digits: int, *columns: str) -> Rule:
    return Rule(Form.HEX, columns, f"is not {digits} lower-case hex digits, or is zero", high=digits)


RULES: Final = (
    _hex(32, "event_id", "run_id"),
    _hex(16, "step_id", "parent_step_id"),
    Rule(
        Form.CHARS,
        (
            "project", "workflow", "emitter_id", "step_name", "event_type", "step_kind", "status", "next_step",
            "fallback_taken", "review_outcome", "eval_outcome", "final_state",
        ),
        "is empty or longer than 256 characters",
        low=1,
        high=256,
    ),
    Rule(
        Form.MOMENT,
        ("run_started_at", "occurred_at", "started_at"),
        "is not a moment of the years 1970 to 9999",
        high=LAST_MICROSECOND,
    ),
    Rule(
        Form.NUMBER,
        ("route_confidence", "confidence", "provenance_score", "top_p"),
        "is not a number from 0 to 1",
        high=1,
    ),
    Rule(Form.NUMBER, ("cost_usd", "temperature"), "is not a finite number from 0"),
    Rule(Form.NUMBER, ("seq", "retry_count", "input_tokens", "output_tokens"), "is less than 0"),
    Rule(Form.NUMBER, ("expected_events",), "is less than 1", low=1),
    Rule(
        Form.ITEMS,
        ("context_refs", "evidence_refs", "conflicting_refs", "validation_errors", "expected_steps"),
        f"has more than {MAX_LIST} items",
        high=MAX_LIST,
    ),
    Rule(Form.ITEMS, ("conflict_sides",), f"has more than {MAX_SIDES} sides", high=MAX_SIDES),
    Rule(Form.ITEMS, ("labels",), f"has more than {MAX_LABELS} pairs", high=MAX_LABELS),
    Rule(
        Form.REFERENCE,
        (
            "input_ref", "parsed_artifact_ref", "raw_output_ref", "attributes_ref", "reviewer_ref", "override_ref",
            "review_note_ref", "explanation_ref",
        ),
        f"is not {WHAT}",
        high=MAX_REFERENCE,
    ),
    Rule(
        Form.REFERENCES,
        ("context_refs", "evidence_refs", "conflicting_refs"),
        f"has an item that is not {WHAT}",
        high=MAX_REFERENCE,
    ),
)  # fmt: skip

SIDES: Final = "conflict_sides"
SIDES_SENTENCE: Final = "has a side without a source, or whose score is not from 0 to 1"
SIDES_REFS_SENTENCE: Final = f"has a side whose source or value is not {WHAT}"
NOT_SAID: Final = "is not said by an event that must say it"

_STEP = ("step_id", "step_kind", "step_name")
MUST_SAY: Final[Mapping[EventType, tuple[str, ...]]] = {
    EventType.STEP_STARTED: (*_STEP, "started_at"),
    EventType.STEP_FINISHED: (*_STEP, "started_at", "status"),
    EventType.EVIDENCE_CHECKED: (*_STEP, "field_path", "evidence_required"),
    EventType.FALLBACK_TAKEN: ("fallback_taken",),
    EventType.REVIEW_RECORDED: ("review_outcome",),
    EventType.EVAL_RECORDED: ("eval_case_id",),
    EventType.EVALUATION_RECORDED: ("evaluation_name",),
    EventType.RUN_FINISHED: ("final_state", "status"),
}


@cache
def must_say() -> Mapping[str, tuple[str, ...]]:
    """By column the event types that must say it."""
    types: dict[str, list[str]] = {}
    for kind, names in MUST_SAY.items():
        for name in names:
            types.setdefault(name, []).append(kind.value)
    return {name: tuple(kinds) for name, kinds in types.items()}


def sides_hold(sides: object) -> bool:
    """Whether each side of a conflict names its source, with a score from 0 to 1 if any."""
    return isinstance(sides, list) and all(
        side["source_ref"] is not None and 0 <= (0 if side["score"] is None else side["score"]) <= 1 for side in sides
    )


def sides_refer(sides: object) -> bool:
    """Whether each side of a conflict names its source and its value by a reference; asked at the door."""
    return isinstance(sides, list) and all(
        is_reference(ref) for side in sides for ref in (side["source_ref"], side["value_ref"]) if ref is not None
    )


def broken_by(record: Mapping[str, object], *, stored: bool = False) -> str | None:
    """The first rule that a decoded event breaks, as a sentence that names the field and never its value; else None.

    `stored`: it has been let in already, and what is asked at the door is not asked again.
    """
    said = record.get
    for name, holds, sentence in _INSIDE if stored else _CHECKS:
        value = said(name)
        if value is not None and not holds(value):
            return sentence
    if sides := said(SIDES):
        if not sides_hold(sides):
            return f"{SIDES} {SIDES_SENTENCE}."
        if not stored and not sides_refer(sides):
            return f"{SIDES} {SIDES_REFS_SENTENCE}."
    for name in _must_say_of().get(record["event_type"], ()):
        if said(name) is None:
            return f"{name} {NOT_SAID}."
    return None


def _checks(rules: Iterable[Rule]) -> tuple[tuple[str, Callable[[object], bool], str], ...]:
    """Each column that a rule is about, what says whether its value keeps the rule, and the sentence if not."""
    return tuple((name, rule.check(), f"{name} {rule.sentence}.") for rule in rules for name in rule.columns)


_CHECKS: Final = _checks(RULES)
_INSIDE: Final = _checks(rule for rule in RULES if not rule.at_the_door)


@cache
def _must_say_of() -> Mapping[object, tuple[str, ...]]:
    """By event type what it must say, in the order of `must_say`."""
    return {kind.value: tuple(name for name, kinds in must_say().items() if kind.value in kinds) for kind in MUST_SAY}

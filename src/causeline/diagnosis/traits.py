"""A run as one row of comparable traits: what its neighbours are held against. Pure, and linear in steps.

A trait is `place|name`: the place is kind:name of a step (numbers within names left out), `run`, `field:PATH` or
`eval:NAME`. Its value is a number or a short word; what was not recorded is not there.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

from causeline.diagnosis.wiring import handed_on
from causeline.schemas.run import Run, Step
from causeline.schemas.vocabulary import RELEASE_LABEL, SKEW_LABEL, Status

Value = str | float
MAX_TRAITS = 600
_WORD = 80
_ANCHORS = (
    "prompt_id", "prompt_version", "model_provider", "model_name", "model_policy", "system_fingerprint",
    "parser_version", "schema_version", "route_policy_version", "temperature", "top_p",
)  # fmt: skip
"""Fields that name under what a step ran."""
_WORDS = ("route", "route_reason", "refusal", "error_type")
_LEAST = ("route_confidence", "confidence")
_SUMS = ("cost_usd", "input_tokens", "output_tokens", "retry_count")
_EACH = ("cost_usd", "input_tokens", "output_tokens")
_LISTS = ("context_refs", "evidence_refs", "validation_errors")
_REFS = ("input_ref", "parsed_artifact_ref", "raw_output_ref")
_DIGEST = 10
"""Characters of a reference's end that tell it from others: what was read or made is known by its address alone."""
_NUMBER = re.compile(r"\d+")
_NOT_OF_THE_RUN = frozenset({SKEW_LABEL, "sample.share"})


_ASKED = (*_ANCHORS, *_WORDS)
_ask_words = attrgetter(*_ASKED)
_ask_numbers = attrgetter(*_LEAST, *_SUMS)
_ask_lists = attrgetter(*_LISTS)
_ask_refs = attrgetter(*_REFS)


@dataclass(frozen=True, slots=True)
class Row:
    """One run of a cohort."""

    run_id: str
    started_at: float
    """Seconds since the epoch."""
    traits: Mapping[str, Value]
    marks: frozenset[str] = field(default_factory=frozenset)
    """Keys of the findings that rules alone make of it and that are more than hints."""
    hints: frozenset[str] = field(default_factory=frozenset)
    """Keys of its hints."""
    well: bool = True
    """Whether nothing on record says by itself that it went wrong."""
    answers: Mapping[str, str] = field(default_factory=dict)
    """What each step gave for what it read, both by address: `place|input` to output."""

    def to_text(self) -> str:
        """As it is stored."""
        return json.dumps(
            {"t": self.traits, "m": sorted(self.marks), "h": sorted(self.hints), "a": self.answers},
            separators=(",", ":"),
            ensure_ascii=False,
        )

    @classmethod
    def from_text(cls, run_id: str, started_at: float, text: str, *, well: bool) -> "Row":
        """As it was stored."""
        read = json.loads(text)
        return cls(run_id, started_at, read["t"], frozenset(read["m"]), frozenset(read["h"]), well, read.get("a", {}))


@lru_cache(maxsize=4_096)
def is_feedback(key: str) -> bool:
    """Whether a label of a run says what people made of its answer: an outcome, and nothing that it could come of."""
    return any(word in key.lower() for word in _FEEDBACK)


_FEEDBACK = (
    "feedback", "rating", "thumb", "satisf", "csat", "vote", "complain", "nps", "accepted", "resolved", "reopen",
    "outcome", "dispute",
)  # fmt: skip


@lru_cache(maxsize=16_384)
def plain(name: str) -> str:
    """A name without the numbers in it, so that `search #3` and `search #4` are one step."""
    return _NUMBER.sub("#", name)


def moment(at: datetime | None) -> float:
    """Seconds since the epoch; 0 where nobody knows."""
    return 0.0 if at is None else at.timestamp()


def traits_of(run: Run) -> dict[str, Value]:
    """The traits of a run, at most MAX_TRAITS of them."""
    found: dict[str, Value] = {}
    by_name: dict[str, list[Step]] = {}
    for step in run.steps:
        by_name.setdefault(plain(step.full_name), []).append(step)
    for trait, value in _all(run, by_name):
        if len(found) >= MAX_TRAITS:
            break
        found[trait] = value[:_WORD] if isinstance(value, str) else value
    return found


def _all(run: Run, by_name: Mapping[str, list[Step]]) -> Iterator[tuple[str, Value]]:
    yield from _of_the_run(run)
    yield from _in_order(run, by_name)
    for place, name, value in handed_on(run.steps):
        yield f"{plain(place)}|{name}", value
    yield from _of_fields(run)
    yield from _decided(run, by_name)


def _in_order(run: Run, by_name: Mapping[str, list[Step]]) -> Iterator[tuple[str, Value]]:
    """The traits of the steps as they come about: of each what went in, then what came out; what came out of a step
    with steps within it after those of them."""
    place_of = {step.step_id: place for place, steps in by_name.items() for step in steps}
    parents = {place_of[step.parent_step_id] for step in run.steps if step.parent_step_id in place_of}
    open_places: list[tuple[str, list[tuple[str, Value]]]] = []
    within: set[str] = set()
    for place, steps in by_name.items():
        parent = place_of.get(steps[0].parent_step_id or "")
        while open_places and (open_places[-1][0] != parent or parent not in within):
            closed, made = open_places.pop()
            within.discard(closed)
            yield from made
        made = []
        for name, value in of_steps(steps):
            if is_output(name):
                made.append((f"{place}|{name}", value))
            else:
                yield f"{place}|{name}", value
        if place in parents:
            open_places.append((place, made))
            within.add(place)
        else:
            yield from made
    for _, made in reversed(open_places):
        yield from made


def is_output(name: str) -> bool:
    """Whether a trait, by its name, is of what a step gave rather than of what it was given."""
    return "output" in name


def _of_the_run(run: Run) -> Iterator[tuple[str, Value]]:
    yield "run|steps", float(len(run.steps))
    if run.final_state:
        yield "run|final_state", run.final_state
    for name in ("cost_usd", "input_tokens", "output_tokens", "retry_count"):
        value = getattr(run, name)
        if value is not None:
            yield f"run|{name}", float(value)
    if run.duration_us is not None:
        yield "run|seconds", run.duration_us / 1e6
    for key, text in run.labels.items():
        if key not in _NOT_OF_THE_RUN and not is_feedback(key):
            yield f"run|{'release' if key == RELEASE_LABEL else f'label {key}'}", _number_or_word(text)
    for fallback in run.fallbacks:
        yield f"run|fallback {fallback.kind}", fallback.reason or "yes"
    outcomes: dict[str, str] = {}
    for each in run.evals:
        outcomes[each.case_id] = each.outcome or "none"
    for name, outcome in outcomes.items():
        yield f"eval:{plain(name)}|outcome", outcome


def of_steps(steps: Sequence[Step]) -> Iterator[tuple[str, Value]]:
    """The traits of the attempts at one step, by name."""
    yield "times", float(len(steps))
    errors = sum(step.status == Status.ERROR for step in steps)
    if errors:
        yield "errors", float(errors)
    for name, values in zip(_ASKED, _each(_ask_words, steps), strict=True):
        if words := _distinct(values):
            yield name, words
    yield from _numbers_of(steps)
    for name, refs in zip(_REFS, _each(_ask_refs, steps), strict=True):
        if refs:
            yield name, "there"
            yield f"{name} is", refs[-1][-_DIGEST:]
    yield from _labels_of(steps)


def _each(ask: Callable[[Step], tuple[Any, ...]], steps: Sequence[Step]) -> list[list[Any]]:
    """What is asked of steps, by what is asked: the values of the steps that have it."""
    if len(steps) == 1:
        return [[] if value is None else [value] for value in ask(steps[0])]
    return [[value for value in values if value is not None] for values in zip(*map(ask, steps), strict=True)]


def _numbers_of(steps: Sequence[Step]) -> Iterator[tuple[str, Value]]:
    for name, values in zip((*_LEAST, *_SUMS), _each(_ask_numbers, steps), strict=True):
        if not values:
            continue
        numbers = [float(value) for value in values]
        if name in _EACH:  # how often a step runs is a trait of its own
            yield name, numbers[0]
            yield f"{name} at most", max(numbers)
            yield f"{name} at least", min(numbers)
        else:
            yield name, min(numbers) if name in _LEAST else sum(numbers)
    if durations := [step.duration_us for step in steps if step.duration_us is not None]:
        yield "seconds", sum(durations) / 1e6
    for name, lists in zip(_LISTS, _each(_ask_lists, steps), strict=True):
        if most := max(map(len, lists)):
            yield name, float(most)


def _labels_of(steps: Sequence[Step]) -> Iterator[tuple[str, Value]]:
    labels: dict[str, list[str]] = {}
    for step in steps:
        for key, text in step.labels.items():
            if is_feedback(key):
                continue
            for name, value in _flat(key, text):
                labels.setdefault(name, []).append(value)
    for key, texts in labels.items():
        numbers = [number for text in texts if isinstance(number := _number_or_word(text), float)]
        yield f"label {key}", min(numbers) if len(numbers) == len(texts) else _distinct(texts) or ""


def _flat(key: str, text: str) -> Iterator[tuple[str, str]]:
    """A label, or the members of one that is a small JSON object: clients say their own facts so."""
    if text.startswith("{"):
        try:
            members = json.loads(text)
        except ValueError:
            members = None
        if isinstance(members, dict):
            yield from ((f"{key}.{name}", f"{value}") for name, value in members.items() if not isinstance(value, dict))
            return
    yield key, text


def _of_fields(run: Run) -> Iterator[tuple[str, Value]]:
    last = {plain(each.field_path or ""): each for each in run.evidence}
    for path, each in last.items():
        yield f"field:{path}|checked", "yes"
        yield f"field:{path}|sources", float(len(each.evidence_refs))
        if each.provenance_score is not None:
            yield f"field:{path}|score", each.provenance_score
        if each.conflicting_refs:
            yield f"field:{path}|conflicts", float(len(each.conflicting_refs))


def _decided(run: Run, by_name: Mapping[str, list[Step]]) -> Iterator[tuple[str, Value]]:
    """What was decided beside what was then done: a pair that never goes together is a decision not followed."""
    for place, step in enumerate(run.steps):
        if step.route is None:
            continue
        name = plain(step.full_name)
        following = [later for later in run.steps[place + 1 : place + 40] if later.step_id != step.parent_step_id]
        if following:
            yield f"{name}|route, then", f"{step.route} → {plain(following[0].full_name)}"
        for what in ("prompt_id", "model_name", "schema_version"):
            for later in following:
                if (value := getattr(later, what)) is not None:
                    yield f"{name}|route, then {what}", f"{step.route} → {value}"
                    break
        return


def _distinct(values: Sequence[object]) -> str | None:
    """Different values as words: four of them at most; None where there are none."""
    if len(values) == 1:
        return _as_word(values[0])
    words = sorted(set(map(_as_word, values)))
    return None if not words else words[0] if len(words) == 1 else ", ".join(words[:4])


def _as_word(value: object) -> str:
    return value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def _number_or_word(text: str) -> Value:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if abs(number) < 1e15 else text

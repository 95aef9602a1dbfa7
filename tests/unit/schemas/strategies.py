"""Hypothesis strategies for the contract: any valid event, of any type, with any of its fields."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, get_args, get_type_hints

from hypothesis import strategies as st

from causeline.schemas import events
from causeline.schemas.events import EVENT_MODELS, TraceEvent
from causeline.schemas.vocabulary import EventType

text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
run_ids = st.integers(1, 2**128 - 1).map(lambda n: f"{n:032x}")
step_ids = st.integers(1, 2**64 - 1).map(lambda n: f"{n:016x}")
micros = st.integers(0, 253_402_300_799_999_999)
scores = st.floats(0, 1)
amounts = st.floats(0, 1e12, allow_nan=False)
ref = st.from_regex(r"[A-Za-z][A-Za-z0-9+.\-]{0,9}:[^\s\ud800-\udfff]{1,30}", fullmatch=True)
persons_ids = st.from_regex(r"reviewer:[A-Za-z0-9_.:\-]{1,30}", fullmatch=True)
refs = st.lists(ref, max_size=3).map(tuple)
phrases = st.lists(text, max_size=3).map(tuple)
labels = st.dictionaries(text, st.text(st.characters(codec="utf-8"), max_size=40), max_size=4)

sides = st.lists(
    st.builds(
        events.ConflictSide,
        source_ref=ref,
        value_ref=st.none() | ref,
        source_kind=st.none() | st.sampled_from(["schedule", "booklet", "note"]),
        score=st.none() | scores,
    ),
    max_size=3,
).map(tuple)

_BY_KIND: tuple[tuple[object, st.SearchStrategy[Any]], ...] = (
    (events.RunId, run_ids),
    (events.StepId, step_ids),
    (events.Micros, micros),
    (events.Score, scores),
    (events.Amount, amounts),
    (events.Finite, st.floats(-1e12, 1e12, allow_nan=False)),
    (events.Count, st.integers(0, 2**31 - 1)),
    (events.Positive, st.integers(1, 2**31 - 1)),
    (events.BigCount, st.integers(0, 2**63 - 1)),
    (events.Whole, st.integers(-(2**63), 2**63 - 1)),
    (events.Ref, ref),
    (events.PersonRef, persons_ids),
    (events.Refs, refs),
    (events.Phrases, phrases),
    (events.StepNames, phrases),
    (events.Labels, labels),
    (events.Sides, sides),
    (bool, st.booleans()),
)
"""What a field may be, by the kind of value that its model gives it; all other fields are text."""


def _of(hint: object) -> st.SearchStrategy[Any]:
    parts = [part for part in get_args(hint) if part is not type(None)] if type(None) in get_args(hint) else [hint]
    kind = parts[0]
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(kind)
    return next((strategy for known, strategy in _BY_KIND if known == kind), text)


def _event(draw: Callable[[st.SearchStrategy[Any]], Any], model: type[TraceEvent]) -> TraceEvent:
    hints = get_type_hints(model, include_extras=True)
    return model.checked(
        **{
            name: draw(_of(hints[name]))
            for name, field in model.model_fields.items()
            if field.is_required() or draw(st.booleans())
        }
    )


@st.composite
def any_event(draw: Callable[[st.SearchStrategy[Any]], Any], kind: EventType | None = None) -> TraceEvent:
    """Any valid event, or any of one type."""
    return _event(draw, EVENT_MODELS[kind or draw(st.sampled_from(EventType))])

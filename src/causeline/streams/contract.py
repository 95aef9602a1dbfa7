"""The contract of events, checked by column: what would mislead the join, the tables or a reader is refused.

The models of `causeline.schemas.events` are the whole contract, checked where events are made. Here stand the rules
whose breach would do harm once an event is joined and stored: ids, words, times, numbers, and what each type must say.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import polars as pl

from causeline.schemas.events import MAX_LABELS, MAX_LIST, MAX_SIDES
from causeline.schemas.vocabulary import (
    EvalOutcome,
    EventType,
    FallbackKind,
    FinalState,
    NextStep,
    ReviewOutcome,
    Status,
    StepKind,
)
from causeline.streams.shapes import event_columns

_LAST_MICROSECOND = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z
_MAX_NAME_CHARS = 256

Rule = Callable[[pl.Expr], pl.Expr]


@dataclass(frozen=True, slots=True)
class _ColumnRule:
    """What every value of `columns` keeps; null passes, and a column of nulls is not looked at."""

    columns: tuple[str, ...]
    holds: Rule
    sentence: str


def _hex(digits: int) -> Rule:
    pattern, zero = f"^[0-9a-f]{{{digits}}}$", "0" * digits
    return lambda column: column.str.contains(pattern) & (column != zero) & (column.str.len_bytes() == digits)


def _one_of(words: Iterable[StrEnum]) -> Rule:
    known = [word.value for word in words]
    return lambda column: column.is_in(known)


def _at_most(items: int) -> Rule:
    return lambda column: column.list.len() <= items


_COLUMN_RULES = (
    _ColumnRule(("event_id", "run_id"), _hex(32), "is not 32 lower-case hex digits, or is zero"),
    _ColumnRule(("step_id", "parent_step_id"), _hex(16), "is not 16 lower-case hex digits, or is zero"),
    _ColumnRule(
        ("project", "workflow", "emitter_id", "step_name"),
        lambda column: column.str.len_chars().is_between(1, _MAX_NAME_CHARS),
        f"is empty or longer than {_MAX_NAME_CHARS} characters",
    ),
    _ColumnRule(("event_type",), _one_of(EventType), "is not one of the known event types"),
    _ColumnRule(("step_kind",), _one_of(StepKind), "is not one of its known words"),
    _ColumnRule(("status",), _one_of(Status), "is not one of its known words"),
    _ColumnRule(("next_step",), _one_of(NextStep), "is not one of its known words"),
    _ColumnRule(("fallback_taken",), _one_of(FallbackKind), "is not one of its known words"),
    _ColumnRule(("review_outcome",), _one_of(ReviewOutcome), "is not one of its known words"),
    _ColumnRule(("eval_outcome",), _one_of(EvalOutcome), "is not one of its known words"),
    _ColumnRule(("final_state",), _one_of(FinalState), "is not one of its known words"),
    _ColumnRule(
        ("run_started_at", "occurred_at", "started_at"),
        lambda column: column.to_physical().is_between(0, _LAST_MICROSECOND),
        "is not a moment of the years 1970 to 9999",
    ),
    _ColumnRule(
        ("route_confidence", "confidence", "provenance_score", "top_p"),
        lambda column: column.is_between(0.0, 1.0),
        "is not a number from 0 to 1",
    ),
    _ColumnRule(
        ("cost_usd", "temperature"),
        lambda column: column.is_finite() & (column >= 0),
        "is not a finite number from 0",
    ),
    _ColumnRule(("seq", "retry_count", "input_tokens", "output_tokens"), lambda column: column >= 0, "is less than 0"),
    _ColumnRule(("expected_events",), lambda column: column >= 1, "is less than 1"),
    _ColumnRule(
        ("context_refs", "evidence_refs", "conflicting_refs", "validation_errors", "expected_steps"),
        _at_most(MAX_LIST),
        f"has more than {MAX_LIST} items",
    ),
    _ColumnRule(("conflict_sides",), _at_most(MAX_SIDES), f"has more than {MAX_SIDES} sides"),
    _ColumnRule(
        ("conflict_sides",),
        lambda column: column.list.eval(
            pl.element().struct.field("score").fill_null(0.0).is_between(0.0, 1.0)
            & pl.element().struct.field("source_ref").is_not_null()
        ).list.all(),
        "has a side without a source, or whose score is not from 0 to 1",
    ),
    _ColumnRule(("labels",), _at_most(MAX_LABELS), f"has more than {MAX_LABELS} pairs"),
)

_RULED = frozenset(name for rule in _COLUMN_RULES for name in rule.columns)

_STEP = ("step_id", "step_kind", "step_name")
_SAID_BY_TYPE = {
    EventType.STEP_STARTED: (*_STEP, "started_at"),
    EventType.STEP_FINISHED: (*_STEP, "started_at", "status"),
    EventType.EVIDENCE_CHECKED: (*_STEP, "field_path", "evidence_required"),
    EventType.FALLBACK_TAKEN: ("fallback_taken",),
    EventType.REVIEW_RECORDED: ("review_outcome",),
    EventType.EVAL_RECORDED: ("eval_case_id",),
    EventType.RUN_FINISHED: ("final_state", "status"),
}


def valid(events: pl.DataFrame) -> pl.Series:
    """For each row whether it keeps the contract: a boolean series without nulls, as long as `events`."""
    return events.select(_all_hold(_told(events)).alias("valid"))["valid"]


@lru_cache(maxsize=64)
def _all_hold(told: frozenset[str]) -> pl.Expr:
    """Whether a row keeps all rules about the columns that say anything; made once for each set of them.

    A rule answers null to null, and a row is refused where a rule says false: null is true in the end.
    """
    return pl.all_horizontal(holds for _, holds in _checks(told)).fill_null(value=True)


def faults(events: pl.DataFrame) -> list[str]:
    """For each row the first rule that it breaks, as a sentence that names the field and never its value."""
    checks = list(_checks(_told(events)))
    held = events.select(holds.fill_null(value=True).alias(str(number)) for number, (_, holds) in enumerate(checks))
    sentences = [sentence for sentence, _ in checks]
    return [
        next((sentence for sentence, ok in zip(sentences, row, strict=True) if not ok), "The event is sound.")
        for row in held.iter_rows()
    ]


def _checks(told: Collection[str]) -> Iterator[tuple[str, pl.Expr]]:
    for rule in _COLUMN_RULES:
        for name in rule.columns:
            if name in told:
                yield f"{name} {rule.sentence}.", rule.holds(pl.col(name))
    yield from _missing_by_type()


def _told(events: pl.DataFrame) -> frozenset[str]:
    """The columns of `_COLUMN_RULES` that say anything: a column of nulls, or of empty lists, is not looked at."""
    lists = {name for name in _RULED if isinstance(event_columns()[name], pl.List)}
    items = events.select(pl.col(sorted(lists)).list.len().sum()).row(0, named=True)
    told = {name for name in _RULED - lists if events[name].null_count() < events.height}
    return frozenset(told | {name for name, count in items.items() if count})


def _missing_by_type() -> Iterator[tuple[str, pl.Expr]]:
    types_by_column: dict[str, list[str]] = {}
    for kind, names in _SAID_BY_TYPE.items():
        for name in names:
            types_by_column.setdefault(name, []).append(kind.value)
    for name, kinds in types_by_column.items():
        said = pl.col(name).is_not_null() | ~pl.col("event_type").is_in(kinds)
        yield f"{name} is not said by an event that must say it.", said

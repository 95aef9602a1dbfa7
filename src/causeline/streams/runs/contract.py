"""The contract of stored events (`schemas.contract`), asked by column: of many events at once, and seldom twice."""

from collections.abc import Collection, Iterator
from functools import lru_cache

import polars as pl

from causeline.schemas.contract import (
    NOT_SAID,
    RULES,
    SIDES,
    SIDES_REFS_SENTENCE,
    SIDES_SENTENCE,
    Form,
    Rule,
    must_say,
)
from causeline.schemas.references import FORM
from causeline.streams.runs.shapes import event_columns

_RULED = frozenset(name for rule in RULES for name in rule.columns) | {SIDES}


_IS_REFERENCE = f"^(?:{FORM})$"


def valid(events: pl.DataFrame, *, stored: bool = False) -> pl.Series:
    """For each row whether it keeps the contract: a boolean series without nulls, as long as `events`.

    `stored`: they have been let in already, and what is asked at the door is not asked again.
    """
    return events.select(_all_hold(_told(events), stored=stored).alias("valid"))["valid"]


@lru_cache(maxsize=64)
def _all_hold(told: frozenset[str], *, stored: bool) -> pl.Expr:
    """Whether a row keeps all rules about the columns that say anything; made once for each set of them.

    A rule answers null to null, and a row is refused where a rule says false: null is true in the end.
    """
    return pl.all_horizontal(holds for _, holds in _checks(told, stored=stored)).fill_null(value=True)


def faults(events: pl.DataFrame) -> list[str]:
    """For each row the first rule that it breaks, as a sentence that names the field and never its value."""
    checks = list(_checks(_told(events)))
    held = events.select(holds.fill_null(value=True).alias(str(number)) for number, (_, holds) in enumerate(checks))
    sentences = [sentence for sentence, _ in checks]
    return [
        next((sentence for sentence, ok in zip(sentences, row, strict=True) if not ok), "The event is sound.")
        for row in held.iter_rows()
    ]


def _checks(told: Collection[str], *, stored: bool = False) -> Iterator[tuple[str, pl.Expr]]:
    for rule in RULES:
        for name in rule.columns:
            if name in told and not (stored and rule.at_the_door):
                yield f"{name} {rule.sentence}.", _holds(rule, pl.col(name))
    if SIDES in told:
        yield f"{SIDES} {SIDES_SENTENCE}.", _sides_hold(pl.col(SIDES))
        if not stored:
            yield f"{SIDES} {SIDES_REFS_SENTENCE}.", _sides_refer(pl.col(SIDES))
    for name, kinds in must_say().items():
        yield f"{name} {NOT_SAID}.", pl.col(name).is_not_null() | ~pl.col("event_type").is_in(kinds)


def _holds(rule: Rule, column: pl.Expr) -> pl.Expr:
    match rule.form:
        case Form.HEX:
            digits = int(rule.high or 0)
            pattern = f"^[0-9a-f]{{{digits}}}$"
            return column.str.contains(pattern) & (column != "0" * digits) & (column.str.len_bytes() == digits)
        case Form.CHARS:
            return _within(rule, column.str.len_chars())
        case Form.ITEMS | Form.MOMENT:
            return _within(rule, column.list.len() if rule.form is Form.ITEMS else column.to_physical())
        case Form.NUMBER:
            return column.is_finite() & _within(rule, column)
        case Form.REFERENCE:
            return column.str.contains(_IS_REFERENCE) & _within(rule, column.str.len_chars())
        case Form.REFERENCES:
            item = pl.element()
            return column.list.eval(item.str.contains(_IS_REFERENCE) & _within(rule, item.str.len_chars())).list.all()


def _within(rule: Rule, number: pl.Expr) -> pl.Expr:
    return number >= rule.low if rule.high is None else number.is_between(rule.low, rule.high)


def _sides_hold(column: pl.Expr) -> pl.Expr:
    side = pl.element().struct
    holds = side.field("score").fill_null(0.0).is_between(0.0, 1.0) & side.field("source_ref").is_not_null()
    return column.list.eval(holds).list.all()


def _sides_refer(column: pl.Expr) -> pl.Expr:
    refs = [pl.element().struct.field(name) for name in ("source_ref", "value_ref")]
    refer = pl.all_horizontal(ref.str.contains(_IS_REFERENCE).fill_null(value=True) for ref in refs)
    return column.list.eval(refer).list.all()


def _told(events: pl.DataFrame) -> frozenset[str]:
    """The columns with a rule that say anything: a column of nulls, or of empty lists, is not looked at."""
    lists = {name for name in _RULED if isinstance(event_columns()[name], pl.List)}
    items = events.select(pl.col(sorted(lists)).list.len().sum()).row(0, named=True)
    told = {name for name in _RULED - lists if events[name].null_count() < events.height}
    return frozenset(told | {name for name, count in items.items() if count})

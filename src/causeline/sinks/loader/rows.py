"""What a row must be to be stored: one set of rules, asked in SQL at full speed and in Python for the one bad record.

Ids of runs and events must be ids and times must be times, for the tables are keyed and partitioned by them; text must
be UTF-8, but for what a run's steps and findings say, whose writer is ours. An event keeps its contract besides
(`schemas.contract`), which the stream workers ask of it too: what they bury is not stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from causeline.schemas.catalogue import SchemaVersion
from causeline.schemas.contract import LAST_MICROSECOND, RULES, SIDES, Form, Rule, must_say
from causeline.schemas.contract import broken_by as contract_broken_by
from causeline.schemas.decisions import DECISIONS as DECISION_TYPES
from causeline.schemas.decisions import NO_DECISION
from causeline.schemas.ids import is_run_id
from causeline.schemas.references import FORM
from causeline.schemas.tables import DECISIONS, Table

_ID_FIELDS = frozenset({"run_id", "event_id"})
_NO_ID = "0" * 32
_PAIRS = "Array(Tuple(key String, value String))"
_SIDES = "Array(Tuple(source_ref "


@dataclass(frozen=True, slots=True)
class RowRules:
    """The fields of a schema version that have a rule."""

    ids: tuple[str, ...]
    times: tuple[str, ...]
    texts: tuple[str, ...]
    text_lists: tuple[str, ...]
    pair_lists: tuple[str, ...]
    side_lists: tuple[str, ...]
    contract: tuple[str, ...] = ()
    """The contract of events, as SQL: each is 1 for a row that keeps it. Nothing for rows of other tables."""
    decisions_only: bool = False
    """Rows are reviews and evals, or refused."""

    @classmethod
    def of(cls, table: Table, schema: SchemaVersion) -> "RowRules":
        """The rules for rows of `table` that were written with `schema`."""
        columns = table.columns(schema)
        kinds = {column.name: column.input_type.removeprefix("Nullable(") for column in columns}
        holds_bytes = {column.name for column in columns if "bytes" in column.avro}
        texts = tuple(name for name, kind in kinds.items() if kind.startswith("String") and name not in holds_bytes)
        return cls(
            ids=tuple(name for name in texts if name in _ID_FIELDS),
            times=tuple(name for name, kind in kinds.items() if kind.startswith("DateTime64")),
            texts=tuple(name for name in texts if name not in _ID_FIELDS),
            text_lists=tuple(name for name, kind in kinds.items() if kind == "Array(String)"),
            pair_lists=tuple(name for name, kind in kinds.items() if kind == _PAIRS),
            side_lists=tuple(name for name, kind in kinds.items() if kind.startswith(_SIDES)),
            contract=tuple(_contract(table, kinds)) if table.takes else (),
            decisions_only=table is DECISIONS,
        )

    def sql(self) -> str:
        """An expression that is 1 for a row that keeps the rules, else 0.

        One call asks a rule of all its columns: what a server spends on understanding a statement, at every insert,
        goes by how many calls there are in it.
        """
        lists = ", ".join(self.text_lists)
        return " AND ".join(
            filter(
                None,
                (
                    _all(self.ids, f"match(it, '^[0-9a-f]{{32}}$') AND it != '{_NO_ID}'"),
                    _all(self.times, f"toUnixTimestamp64Micro(it) BETWEEN 0 AND {LAST_MICROSECOND}"),
                    _all(self.texts, "isValidUTF8(it)"),
                    f"arrayAll(item -> isValidUTF8(item), arrayConcat({lists}))" if lists else "",
                    *(
                        f"arrayAll(side -> isValidUTF8(side.source_ref) AND ifNull(isValidUTF8(side.value_ref), 1)"
                        f" AND ifNull(isValidUTF8(side.source_kind), 1), {name})"
                        for name in self.side_lists
                    ),
                    *(
                        f"arrayAll(pair -> isValidUTF8(pair.1) AND isValidUTF8(pair.2), {name})"
                        for name in self.pair_lists
                    ),
                    *self.contract,
                ),
            )
        )

    def broken_by(self, record: Mapping[str, object]) -> str | None:
        """The first rule that a decoded record breaks, as a sentence, or None. Times are integers of microseconds."""
        for name in self.ids:
            value = record[name]
            if not (isinstance(value, str) and is_run_id(value)):
                return f"{name} is not of its form."
        for name in self.times:
            value = record[name]
            if value is not None and not (isinstance(value, int) and 0 <= value <= LAST_MICROSECOND):
                return f"{name} is not of its form."
        if self.decisions_only and record["event_type"] not in DECISION_TYPES:
            return NO_DECISION
        return contract_broken_by(record) if self.contract else None


def _contract(table: Table, kinds: Mapping[str, str]) -> Iterator[str]:
    """The rules about the columns that a writer's schema has, but for those that every table has."""
    if table is DECISIONS:
        yield f"event_type IN ({', '.join(map(repr, sorted(DECISION_TYPES)))})"
    for rule in RULES:
        names = [name for name in rule.columns if name in kinds and name not in _ID_FIELDS]
        if rule.form is Form.REFERENCES:
            within = _within(rule, "lengthUTF8(ref)")
            yield f"arrayAll(ref -> {_refers('ref')} AND {within}, arrayConcat({', '.join(names)}))" if names else ""
        elif rule.form is not Form.MOMENT:
            yield _all([_measured(rule, name) for name in names], _holds(rule))
    if SIDES in kinds:
        refer = f"{_refers('side.source_ref')} AND ifNull({_refers('side.value_ref')}, 1)"
        yield f"arrayAll(side -> ifNull(side.score, 0) BETWEEN 0 AND 1 AND {refer}, {SIDES})"
    said = {name: types for name, types in must_say().items() if name in kinds}
    if said:
        lacking = ", ".join(f"{name} IS NULL" for name in said)
        types = ", ".join(f"[{', '.join(map(repr, each))}]" for each in said.values())
        yield f"NOT arrayExists((lacks, types) -> lacks AND has(types, event_type), [{lacking}], [{types}])"


def _all(values: Sequence[str], holds: str) -> str:
    """That `holds` is true of each of `values`, which have a type in common; it is called `it` there. Null passes."""
    return f"arrayAll(it -> ifNull({holds}, 1), [{', '.join(values)}])" if values else ""


def _measured(rule: Rule, name: str) -> str:
    """What of a column a rule is about, so that all columns of the rule give the same type."""
    return f"length({name})" if rule.form is Form.ITEMS else name


def _holds(rule: Rule) -> str:
    match rule.form:
        case Form.HEX:
            digits = int(rule.high or 0)
            return f"match(it, '^[0-9a-f]{{{digits}}}$') AND it != '{'0' * digits}'"
        case Form.CHARS:
            return _within(rule, "lengthUTF8(it)")
        case Form.REFERENCE:
            return f"{_refers('it')} AND {_within(rule, 'lengthUTF8(it)')}"
        case _:
            return f"isFinite(it) AND {_within(rule, 'it')}"


def _refers(name: str) -> str:
    pattern = f"^(?:{FORM})$".replace("\\", "\\\\")
    return f"match({name}, '{pattern}')"


def _within(rule: Rule, number: str) -> str:
    return f"{number} >= {rule.low}" if rule.high is None else f"{number} BETWEEN {rule.low} AND {rule.high:.0f}"

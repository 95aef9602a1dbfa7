"""What a row must be to be stored: one set of rules, asked in SQL at full speed and in Python for the one bad record.

Ids of runs and events must be ids and times must be times, for the tables are keyed and partitioned by them; text must
be UTF-8, but for what a run's steps and findings say, whose writer is ours. Everything else that an event's contract
asks for is the stream workers' to judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from causeline.schemas.catalogue import SchemaVersion
from causeline.schemas.ids import is_run_id
from causeline.sinks.tables import Table

_ID_FIELDS = frozenset({"run_id", "event_id"})
_LAST_MICROSECOND = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z
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
        )

    def sql(self) -> str:
        """An expression that is 1 for a row that keeps the rules, else 0."""
        return " AND ".join(
            (
                *(f"match({name}, '^[0-9a-f]{{32}}$') AND {name} != '{_NO_ID}'" for name in self.ids),
                *(
                    f"ifNull(toUnixTimestamp64Micro({name}) BETWEEN 0 AND {_LAST_MICROSECOND}, 1)"
                    for name in self.times
                ),
                *(f"ifNull(isValidUTF8({name}), 1)" for name in self.texts),
                *(f"arrayAll(item -> isValidUTF8(item), {name})" for name in self.text_lists),
                *(
                    f"arrayAll(side -> isValidUTF8(side.source_ref) AND ifNull(isValidUTF8(side.value_ref), 1)"
                    f" AND ifNull(isValidUTF8(side.source_kind), 1), {name})"
                    for name in self.side_lists
                ),
                *(f"arrayAll(pair -> isValidUTF8(pair.1) AND isValidUTF8(pair.2), {name})" for name in self.pair_lists),
            )
        )

    def broken_by(self, record: Mapping[str, object]) -> str | None:
        """The first field of a decoded record that breaks a rule, or None. Times are integers of microseconds."""
        for name in self.ids:
            value = record[name]
            if not (isinstance(value, str) and is_run_id(value)):
                return name
        for name in self.times:
            value = record[name]
            if value is not None and not (isinstance(value, int) and 0 <= value <= _LAST_MICROSECOND):
                return name
        return None

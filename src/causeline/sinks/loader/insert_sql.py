"""The INSERT that takes an Avro container as it is: generated from the schema its records were written with.

The container's columns are read as plain types through `input()` and cast to the table's by INSERT … SELECT, which
costs half of what reading Avro straight into LowCardinality columns costs. Columns that a writer's schema lacks are not
named, so they take the table's defaults.
"""

from causeline.schemas.catalogue import SchemaVersion
from causeline.schemas.decisions import CLAIMS
from causeline.schemas.tables import EVENTS, Table
from causeline.sinks.loader.rows import RowRules

ROW_BREAKS_A_RULE = "a row breaks a rule, or a message was not read to its end"
"""What the server says, under code 395, when a sentinel is out of place or a row is not storable."""


class InsertStatement:
    """The INSERT for records of one schema version into one table; `mark` starts each sentinel, see `sentinel`."""

    def __init__(self, table: Table, schema: SchemaVersion, mark: str) -> None:
        columns = table.columns(schema)
        names = ", ".join(column.name for column in columns)
        taken = ", ".join(_taken(table, column.name) for column in columns)
        structure = ", ".join(f"{column.name} {column.input_type}" for column in columns).replace("'", "\\'")
        first = columns[0].name
        is_sentinel = f"startsWith({first}, '{mark}')"
        self._start = (
            f"INSERT INTO {table.rows} ({names}) SELECT {taken} FROM"  # noqa: S608 - names of our own schema
            f" (SELECT *, rowNumberInAllBlocks() AS row_position FROM input('{structure}'))"
            f" WHERE {is_sentinel} + throwIf("
            f"if({is_sentinel}, {first} != concat('{mark}', toString(row_position)), row_position = "
        )
        self._end = f" OR NOT ({RowRules.of(table, schema).sql()})), '{ROW_BREAKS_A_RULE}') = 0 FORMAT Avro\n"

    def for_rows(self, rows: int) -> str:
        """The statement for a container of `rows` rows, sentinels included; the last must be one. Data follows it."""
        return f"{self._start}{rows - 1}{self._end}"


def _taken(table: Table, name: str) -> str:
    """What a column takes: what is said, but that a decision which comes by the events topic is a claim."""
    if table is not EVENTS or name != "event_type":
        return name
    said, called = ("[" + ", ".join(map(repr, words)) + "]" for words in (CLAIMS, CLAIMS.values()))
    return f"transform({name}, {said}, {called}, {name})"

"""A run from the text that it is kept as: the values of its row, as JSON arrays without names.

The names and types are those of the run's Avro schema, whose order the table's columns have.

Decided in ADR 25.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, cast

from causeline.console.answers import Record
from causeline.schemas import catalogue
from causeline.schemas.tables import RUNS, AvroType, record_schema

_Reader = Callable[[Any], Any]


def record_of(text: str) -> Record:
    """The run as the view `runs` gives it, by column.

    Columns are only ever added at the end: one that came after the run was stored is left out, and so is one that this
    reader does not know yet. Raises ValueError for what is no JSON.
    """
    return cast("Record", _run_reader()(json.loads(text, parse_int=_whole)))


def _whole(digits: str) -> int | float:
    return -0.0 if digits == "-0" else int(digits)  # ClickHouse writes a float's negative zero so, and no other number


@cache
def _run_reader() -> _Reader:
    return _record_reader(record_schema(catalogue.latest(RUNS.subject)))


def _record_reader(record: Mapping[str, Any]) -> _Reader:
    readers = [(str(field["name"]), _reader(field["type"])) for field in record["fields"]]

    def read(values: list[Any]) -> dict[str, Any]:
        pairs = zip(readers, values, strict=False)
        return {name: value if value is None or read is None else read(value) for (name, read), value in pairs}

    return read


def _reader(avro: AvroType) -> _Reader | None:
    """How a value that is not null is read; None for what JSON gives as it is."""
    avro = _not_null(avro)
    if isinstance(avro, dict) and avro["type"] == "array":
        return _array_reader(_not_null(avro["items"]))
    if isinstance(avro, dict) and avro["type"] == "record":
        return _record_reader(avro)
    if isinstance(avro, dict) and avro.get("logicalType") == "timestamp-micros":
        return datetime.fromisoformat  # in UTC, and without saying so, as the client gives it
    return float if avro == "double" else None


def _array_reader(items: AvroType) -> _Reader | None:
    if isinstance(items, dict) and [field["name"] for field in items.get("fields", ())] == ["key", "value"]:
        return None  # pairs are a map in the table, and an object in JSON
    read = _reader(items)
    return None if read is None else lambda values: [read(value) for value in values]


def _not_null(avro: AvroType) -> AvroType:
    """The type of a value that is there."""
    if not isinstance(avro, list):
        return avro
    [inner] = [branch for branch in avro if branch != "null"]
    return cast("AvroType", inner)

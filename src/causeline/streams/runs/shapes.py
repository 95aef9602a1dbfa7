"""The columns of events and runs as polars types, read off the committed Avro schemas so that there is one source."""

import json
from functools import cache
from typing import cast

import polars as pl

from causeline.schemas import catalogue

PARTITION = "_partition"
OFFSET = "_offset"
COORDINATES: dict[str, pl.DataType] = {PARTITION: pl.Int32(), OFFSET: pl.Int64()}
"""Where an event stood: the partition and offset of the message that carried it."""

_PRIMITIVES: dict[str, pl.DataType] = {
    "string": pl.String(),
    "int": pl.Int32(),
    "long": pl.Int64(),
    "double": pl.Float64(),
    "boolean": pl.Boolean(),
}
_TIMES = frozenset({"timestamp-micros"})


def _dtype(avro: object, *, times: pl.DataType) -> pl.DataType:
    if isinstance(avro, list):
        (branch,) = (each for each in avro if each != "null")
        return _dtype(branch, times=times)
    if isinstance(avro, str):
        return _PRIMITIVES[avro]
    schema = cast("dict[str, object]", avro)
    kind = schema["type"]
    if kind == "array":
        return pl.List(_dtype(schema["items"], times=times))
    if kind == "record":
        fields = cast("list[dict[str, object]]", schema["fields"])
        return pl.Struct({str(each["name"]): _dtype(each["type"], times=times) for each in fields})
    return times if schema.get("logicalType") in _TIMES else _dtype(kind, times=times)


def _columns(text: str, *, times: pl.DataType) -> dict[str, pl.DataType]:
    items = json.loads(text)["fields"][-1]["type"]["items"]
    return {field["name"]: _dtype(field["type"], times=times) for field in items["fields"]}


@cache
def event_columns() -> dict[str, pl.DataType]:
    """A TraceEvent's columns, in the schema's order; times are `Datetime("us", "UTC")`."""
    return _columns(catalogue.latest("trace-batch").text, times=pl.Datetime("us", "UTC"))


@cache
def run_columns() -> dict[str, pl.DataType]:
    """A Run's columns, in the schema's order; times are integers of microseconds, as polars' Avro writer wants them."""
    return _columns(catalogue.latest("run-batch").text, times=pl.Int64())


@cache
def nested_columns(name: str) -> dict[str, pl.DataType]:
    """The fields of one of a Run's arrays of records, in the schema's order: `steps`, `evidence`, `gaps`, …"""
    array = cast("pl.List", run_columns()[name])
    struct = cast("pl.Struct", array.inner)
    return {field.name: cast("pl.DataType", field.dtype) for field in struct.fields}


def no_events() -> pl.DataFrame:
    """An empty frame of events with their coordinates."""
    return _empty(events=True).clone()


def no_runs() -> pl.DataFrame:
    """An empty frame of runs."""
    return _empty(events=False).clone()


@cache
def _empty(*, events: bool) -> pl.DataFrame:
    """Made once: sixty columns take polars two milliseconds, and a close asks for both."""
    return pl.DataFrame(schema={**COORDINATES, **event_columns()} if events else run_columns())

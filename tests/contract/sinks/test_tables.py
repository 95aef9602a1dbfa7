"""The tables keep what the schemas say: every field a column, every value as fastavro decodes it."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from causeline.schemas import catalogue, contract, tables, wire
from causeline.schemas.contract import Form
from causeline.schemas.registry import Schemas
from causeline.schemas.tables import Table
from causeline.sinks.loader.encoding import Encoder
from causeline.sinks.loader.inserting import ClickHouseSender
from causeline.sinks.loader.units import Origin, Unit, read_unit

pytestmark = pytest.mark.stack

LAST = 253_402_300_799_999_999
ID = "f" * 32


def plain(type_name: str) -> str:
    """A column's type as INSERT reads it: without LowCardinality, a Map as its pairs."""
    while (bare := re.sub(r"LowCardinality\(((?:[^()]|\([^()]*\))*)\)", r"\1", type_name)) != type_name:
        type_name = bare
    return type_name.replace("Map(String, String)", "Array(Tuple(key String, value String))")


def columns_of(client: Client, relation: str) -> dict[str, tuple[str, str]]:
    rows = client.query(
        "SELECT name, type, comment FROM system.columns WHERE database = currentDatabase() AND table = {r:String}",
        parameters={"r": relation},
    ).result_rows
    return {name: (re.sub(r"\s+", " ", plain(type_name)), comment) for name, type_name, comment in rows}


@pytest.mark.parametrize("table", tables.TABLES, ids=lambda table: str(table.rows))
def test_every_field_of_the_newest_schema_is_a_column_with_its_doc(migrated: Client, table: Table) -> None:
    expected = {column.name: (column.input_type, column.comment) for column in table.columns()}
    assert columns_of(migrated, table.rows) == expected
    if table is not tables.REVIEW_ITEMS:
        shown = columns_of(migrated, table.view)
        assert [name for name in shown if name not in expected] == list(table.counted)
        assert {name: shown[name] for name in expected} == expected


def test_the_value_of_a_run_has_every_column_in_its_order(migrated: Client) -> None:
    [[of_run]] = migrated.query("SELECT toTypeName(any(run)) FROM run_documents").result_rows
    columns = [
        (name, re.sub(r"LowCardinality\((\w+|Nullable\(\w+\))\)", r"\1", type_name))
        for name, type_name in migrated.query(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = 'run_rows'"
            " ORDER BY position"
        ).result_rows
    ]
    on_one_line = re.sub(r"\( ", "(", re.sub(r"\s+", " ", of_run))
    assert on_one_line == f"Tuple({', '.join(f'{name} {type_name}' for name, type_name in columns)})"


def test_every_view_and_column_is_described(migrated: Client) -> None:
    rows = migrated.query(
        "SELECT table, countIf(comment = '') FROM system.columns WHERE database = currentDatabase() GROUP BY table"
    ).result_rows
    relations = [*tables.VIEWS, *(table.rows for table in tables.TABLES), *tables.OWN_TABLES, *tables.DERIVED]
    assert sorted(tuple(row) for row in rows) == sorted((name, 0) for name in relations)
    undescribed = migrated.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''"
    ).result_rows
    assert undescribed == []


def test_a_step_in_the_view_has_every_field_of_a_step(migrated: Client) -> None:
    [steps] = [column for column in tables.RUNS.columns() if column.name == "steps"]
    names = [match[1] for match in re.finditer(r"[(, ](\w+) (?:Nullable|Array)", steps.input_type)]
    assert set(names) <= set(columns_of(migrated, tables.STEPS_VIEW))


def full(avro: tables.AvroType, *, largest: bool) -> Any:
    """A value at the edge of a type; arrays and maps have an item, unicode and all."""
    if isinstance(avro, list):
        [branch] = [each for each in avro if each != "null"]
        return full(branch, largest=largest)
    name = avro if isinstance(avro, str) else avro["type"]
    if isinstance(avro, dict) and name == "array":
        return [full(avro["items"], largest=largest), full(avro["items"], largest=not largest)]
    if isinstance(avro, dict) and name == "record":
        return {field["name"]: full(field["type"], largest=largest) for field in avro["fields"]}
    if isinstance(avro, dict) and avro.get("logicalType") == "timestamp-micros":
        return LAST if largest else 0
    return {
        "string": "zażółć 🎈\n\t'\"\\" + ("" if largest else "\x00 NUL"),
        "bytes": bytes(range(256)) if largest else b"",
        "int": 2**31 - 1 if largest else -(2**31),
        "long": 2**63 - 1 if largest else -(2**63),
        "double": 1.7976931348623157e308 if largest else 5e-324,
        "boolean": largest,
    }[str(name)]


def example(table: Table, kind: str) -> dict[str, Any]:
    """The record of a table: bare, with nothing but what it must have, or full, at either edge."""
    record: dict[str, Any] = {}
    for column in table.columns():
        is_optional = isinstance(column.avro, list) or column.input_type.startswith("Array")
        if kind != "bare" or not is_optional:
            record[column.name] = full(column.avro, largest=kind == "largest")
    if table is tables.EVENTS:
        record |= _within_the_contract(record, largest=kind == "largest")
    if table is tables.RUNS:
        record["missing"] = record.get("missing", [])
    for name in ("run_id", "event_id"):
        if any(column.name == name for column in table.columns()):
            record[name] = ID
    return record


def _within_the_contract(record: Mapping[str, Any], *, largest: bool) -> dict[str, Any]:
    """The same at the edges that an event's contract leaves; a bare event is one that must say nothing."""
    edges: dict[str, Any] = {"event_type": "run_started"}
    for rule in contract.RULES:
        for name in rule.columns:
            if record.get(name) is None or rule.form in {Form.CHARS, Form.ITEMS, Form.MOMENT}:
                continue
            if rule.form is Form.HEX:
                edges[name] = "f" * int(rule.high or 0)
            elif rule.form in (Form.REFERENCE, Form.REFERENCES):
                reference = "a:" + "ż" * (int(rule.high or 0) - 2) if largest else "a:b"
                edges[name] = reference if rule.form is Form.REFERENCE else [reference for _ in record[name]]
            elif not largest or rule.high is not None:
                edges[name] = type(record[name])(rule.high if largest else rule.low)
    if record.get("conflict_sides"):
        edges["conflict_sides"] = [
            {**side, "score": n / 1, "source_ref": "a:ż🎈\\x00", "value_ref": "a:b"}
            for n, side in enumerate(record["conflict_sides"])
        ]
    return edges


def as_message(table: Table, record: Mapping[str, Any]) -> bytes:
    schema = catalogue.latest(table.subject)
    if schema.item is None:
        return wire.frame(schema.schema_id, wire.encode_datum(schema, record))
    *head, items = schema.plain["fields"]
    header = {field["name"]: "" if field["type"] == "string" else 0 for field in head}
    return wire.frame(schema.schema_id, wire.encode_datum(schema, {**header, items["name"]: [record]}))


def as_unit(table: Table, value: bytes, offset: int = 0) -> Unit:
    unit = read_unit(Origin("contract", 0, offset), value, table.subject, Schemas())
    assert isinstance(unit, Unit)
    return unit


def decoded(table: Table, value: bytes) -> dict[str, Any]:
    record = wire.decode_datum(value, table.subject, Schemas())
    schema = catalogue.latest(table.subject)
    if schema.item is None:
        return record
    items = record[str(schema.plain["fields"][-1]["name"])]
    assert isinstance(items, list)
    return dict(items[0])


def as_avro(avro: tables.AvroType, value: Any) -> Any:
    """What ClickHouse gave for a column, in the shape of the decoded record."""
    if isinstance(avro, list):
        [branch] = [each for each in avro if each != "null"]
        return None if value is None else as_avro(branch, value)
    if isinstance(avro, str):
        return bytes.fromhex(value) if avro == "bytes" else value
    if isinstance(value, datetime):
        return (value.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    if avro["type"] == "record":
        return {field["name"]: as_avro(field["type"], value[field["name"]]) for field in avro["fields"]}
    pairs = [{"key": key, "value": each} for key, each in value.items()] if isinstance(value, Mapping) else value
    return [as_avro(avro["items"], each) for each in pairs]


def without_null_arrays(avro: tables.AvroType, value: Any) -> Any:
    """The decoded record as the tables promise it: a null array is an empty one; a map has each key once."""
    if isinstance(avro, list):
        [branch] = [each for each in avro if each != "null"]
        is_array = isinstance(branch, dict) and branch["type"] == "array"
        return [] if value is None and is_array else without_null_arrays(branch, value)
    if value is None or not isinstance(avro, dict):
        return value
    if avro["type"] == "array":
        return [without_null_arrays(avro["items"], each) for each in value]
    if avro["type"] == "record":
        return {field["name"]: without_null_arrays(field["type"], value[field["name"]]) for field in avro["fields"]}
    return value


@pytest.mark.parametrize("kind", ["bare", "smallest", "largest"])
@pytest.mark.parametrize("table", tables.TABLES, ids=lambda table: str(table.rows))
def test_what_is_stored_is_what_fastavro_decodes(store: Client, table: Table, kind: str) -> None:
    value = as_message(table, example(table, kind))
    [insert] = Encoder(table).inserts([as_unit(table, value)])
    ClickHouseSender(store).send(insert)
    columns = table.columns()
    picked = ", ".join(
        f"if({each.name} IS NULL, NULL, hex({each.name})) AS {each.name}" if "bytes" in each.avro else each.name
        for each in columns
    )
    [row] = store.query(f"SELECT {picked} FROM {table.view if table.narrow else table.rows}").result_rows
    stored = {each.name: as_avro(each.avro, got) for each, got in zip(columns, row, strict=True)}
    expected = {
        each.name: without_null_arrays(each.avro, decoded(table, value)[each.name])
        for each in columns
        if not (each.never_null and decoded(table, value)[each.name] is None)
    }
    assert {name: stored[name] for name in expected} == expected
    assert all(value is not None for name, value in stored.items() if name in table.never_null)


def test_a_column_that_an_older_writer_lacked_takes_its_default(store: Client) -> None:
    newest = catalogue.latest("gap")
    raw = json.loads(newest.text)
    raw["fields"] = [field for field in raw["fields"] if field["name"] not in {"threshold", "evidence_refs"}]
    older = catalogue._load("gap", 1, json.dumps(raw))
    record = {key: each for key, each in example(tables.GAPS, "bare").items() if key != "evidence_refs"}
    unit = as_unit(tables.GAPS, as_message(tables.GAPS, example(tables.GAPS, "bare")))
    payload = memoryview(wire.encode_datum(older, record))
    [insert] = Encoder(tables.GAPS).inserts([Unit(unit.origin, unit.value, wire.Block(older, 1, payload))])
    ClickHouseSender(store).send(insert)
    assert store.query("SELECT threshold, evidence_refs FROM gaps").result_rows == [(None, [])]

"""Schemas only gain: every committed version reads what every other wrote, by fastavro and by polars."""

import io
import itertools
import json
from collections.abc import Iterator

import fastavro
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeline.schemas import catalogue, wire
from causeline.schemas.catalogue import AvroSchema, SchemaVersion

PAIRS = [
    (writer, reader)
    for subject in catalogue.subjects()
    for writer, reader in itertools.product(catalogue.versions(subject), repeat=2)
]
BATCHES = [schema for schema in catalogue.bundled().values() if schema.item is not None]


def _name(schema: SchemaVersion) -> str:
    return f"{schema.subject}-{schema.version}"


def _default(kind: object) -> object:
    """A plain value of an Avro type: the least one."""
    if isinstance(kind, list):
        return None if "null" in kind else _default(kind[0])
    if isinstance(kind, dict):
        if kind["type"] == "record":
            return {field["name"]: _default(field["type"]) for field in kind["fields"]}
        return [] if kind["type"] == "array" else _default(kind["type"])
    return {"string": "", "bytes": b"", "boolean": False, "double": 0.0, "float": 0.0}.get(str(kind), 0)


@pytest.mark.parametrize(("writer", "reader"), PAIRS, ids=_name)
def test_every_version_reads_every_other(writer: SchemaVersion, reader: SchemaVersion) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, writer.plain, _default(json.loads(writer.text)))
    out.seek(0)

    decoded = fastavro.schemaless_reader(out, writer.plain, reader.plain)

    assert isinstance(decoded, dict)
    assert set(decoded) == {field["name"] for field in reader.plain["fields"]}


def test_a_breaking_change_would_be_seen() -> None:
    """The check above can fail: a required field without a default is refused."""
    broken = json.loads(catalogue.latest("gap").text)
    broken["fields"].append({"name": "surprise", "type": "string"})
    out = io.BytesIO()
    fastavro.schemaless_writer(out, catalogue.latest("gap").plain, _default(json.loads(catalogue.latest("gap").text)))
    out.seek(0)

    with pytest.raises(fastavro.read.SchemaResolutionError):
        fastavro.schemaless_reader(out, catalogue.latest("gap").plain, fastavro.parse_schema(broken))


@pytest.mark.parametrize("schema", BATCHES, ids=_name)
def test_polars_reads_a_container_of_every_version(schema: SchemaVersion) -> None:
    item = json.loads(wire.item_schema_text(schema))
    record = _default(item)
    assert isinstance(record, dict)
    data = wire.encode_item(schema, record)
    container = wire.container_header(wire.item_schema_text(schema)) + wire.container_block(2, data + data)

    frame = pl.read_avro(io.BytesIO(container))

    assert frame.height == 2
    assert frame.columns == [field["name"] for field in item["fields"]]


def _fields(schema: AvroSchema) -> Iterator[tuple[str, object, bool]]:
    for field in schema["fields"]:
        yield field["name"], field["type"], "default" in field


@pytest.mark.parametrize("subject", catalogue.subjects())
def test_a_later_version_only_adds_fields_with_defaults(subject: str) -> None:
    for older, newer in itertools.pairwise(catalogue.versions(subject)):
        before = {name: kind for name, kind, _ in _fields(older.item or older.plain)}
        after = {name: (kind, optional) for name, kind, optional in _fields(newer.item or newer.plain)}
        assert before.keys() <= after.keys()
        assert all(optional for name, (_, optional) in after.items() if name not in before)


def test_schema_ids_never_change() -> None:
    assert {_name(schema): schema_id for schema_id, schema in catalogue.bundled().items()} == {
        "trace-batch-1": 1_000_001,
        "trace-batch-2": 1_000_002,
        "trace-batch-3": 1_000_003,
        "run-batch-1": 1_001_001,
        "run-batch-2": 1_001_002,
        "run-batch-3": 1_001_003,
        "gap-1": 1_002_001,
        "review-item-1": 1_003_001,
        "dead-letter-1": 1_004_001,
        "policy-use-1": 1_005_001,
        "alert-1": 1_006_001,
        "cause-1": 1_007_001,
    }


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["", "x", "ü" * 100]), min_size=1, max_size=20))
def test_a_block_of_ours_and_fastavros_container_hold_the_same_rows(names: list[str]) -> None:
    schema = catalogue.latest("trace-batch")
    base = _default(json.loads(wire.item_schema_text(schema)))
    assert isinstance(base, dict)
    rows = [base | {"project": name} for name in names]
    theirs = io.BytesIO()
    fastavro.writer(theirs, json.loads(wire.item_schema_text(schema)), rows, codec="null")
    ours = b"".join(wire.encode_item(schema, row) for row in rows)

    blocks = wire.container_blocks(theirs.getvalue())

    assert b"".join(bytes(data) for _, data in blocks) == ours
    assert sum(count for count, _ in blocks) == len(rows)

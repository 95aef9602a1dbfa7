"""docs/wire.md is enough to write a producer: here is one, of the Avro schema, its library and that page alone."""

import io
import json
import re
import struct
from pathlib import Path

import fastavro
import pytest

from causeline.schemas import catalogue, wire
from causeline.schemas.events import RunFinished, StepFinished, from_record
from causeline.schemas.partition import partition_of
from causeline.schemas.registry import Schemas
from causeline.schemas.vocabulary import EventType
from causeline.schemas.wire.writer import slots_of

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "wire.md").read_text()
AVRO = ROOT / "src" / "causeline" / "schemas" / "avro" / "trace-batch"


def table(mark: str) -> list[list[str]]:
    """The rows of a table of the page, without its head."""
    rows = PAGE.partition(f"<!-- {mark} -->\n")[2].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in rows]


def murmur2_partition(run_id: str, partitions: int) -> int:
    """By the page's three steps; murmur2 as its author published it, with Kafka's seed."""
    data, h = run_id.encode(), (0x9747B28C ^ 32) & 0xFFFFFFFF
    for (word,) in struct.iter_unpack("<I", data):
        k = word * 0x5BD1E995 & 0xFFFFFFFF
        k = (k ^ k >> 24) * 0x5BD1E995 & 0xFFFFFFFF
        h = (h * 0x5BD1E995 & 0xFFFFFFFF) ^ k
    h = (h ^ h >> 13) * 0x5BD1E995 & 0xFFFFFFFF
    return ((h ^ h >> 15) & 0x7FFFFFFF) % partitions


def test_a_producer_of_this_page_alone_is_read() -> None:
    name, schema_id = table("schema ids")[-1]
    schema = fastavro.parse_schema(json.loads((AVRO / name.partition("/")[2]).read_text()))
    run: dict[str, object] = {
        "run_id": "0192f3a45b6c7d8e9f0123456789abcd",
        "project": "p",
        "workflow": "w",
        "emitter_id": "go-1",
    }
    run |= {"run_started_at": 1_700_000_000_000_000, "occurred_at": 1_700_000_000_000_001}
    step = {"step_id": "00f067aa0ba902b7", "step_kind": "tool", "step_name": "look up", "status": "ok"}
    events: list[dict[str, object]] = [
        {"event_type": "run_started"},
        {"event_type": "step_finished", "started_at": 1_700_000_000_000_000, **step},
        {"event_type": "run_finished", "final_state": "answered", "status": "ok", "expected_events": 3,
         "expected_steps": ["tool:look up"]},
    ]  # fmt: skip
    numbered = [{**run, "event_id": f"{n + 1:032x}", "seq": n, **event} for n, event in enumerate(events)]
    body = io.BytesIO()
    fastavro.schemaless_writer(body, schema, {"emitter_id": "go-1", "events": numbered})
    value = b"\x00" + struct.pack(">I", int(schema_id)) + body.getvalue()

    records = wire.decode_items(wire.read_block(value, "trace-batch", Schemas()))
    _, tool, end = map(from_record, records)
    assert isinstance(tool, StepFinished)
    assert isinstance(end, RunFinished)
    assert (end.seq + 1, end.expected_steps) == (end.expected_events, ("tool:look up",))
    assert murmur2_partition(end.run_id, 64) == partition_of(end.run_id, 64)


def test_the_page_names_every_version_with_its_id() -> None:
    versions = catalogue.versions("trace-batch")
    assert table("schema ids") == [[f"trace-batch/{each.version}.avsc", str(each.schema_id)] for each in versions]


def test_the_page_names_the_fields_that_each_type_must_say() -> None:
    told = {row[0]: row[1] for row in table("required fields")}
    required = {kind: [name for name, slot in slots_of(kind).items() if slot.required] for kind in EventType}
    assert told == {kind.value: ", ".join(names) or "nothing" for kind, names in required.items()}


@pytest.mark.parametrize("row", table("partitions"), ids=lambda row: row[0][:8])
def test_the_pages_partitions_are_those_of_the_code(row: list[str]) -> None:
    run_id, *told = row
    assert [partition_of(run_id, 4), partition_of(run_id, 64)] == [int(each) for each in told]
    assert murmur2_partition(run_id, 64) == int(told[1])


def test_the_pages_sizes_are_those_of_the_code() -> None:
    assert re.search(rf"at most {wire.MAX_EVENT_BYTES // 1024} KiB encoded", PAGE)

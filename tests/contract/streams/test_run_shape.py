"""What polars writes of runs is what the committed RunBatch says, to the byte; and anyone can read it."""

import io
import json
from typing import Any

import fastavro
import polars as pl
import pytest

from causeline.schemas import catalogue, wire
from causeline.schemas.catalogue import SchemaVersion
from causeline.schemas.topics import MAX_MESSAGE_BYTES
from causeline.streams.runs.shapes import event_columns, no_runs, run_columns
from causeline.streams.worker.publications import event_batches, run_batches
from tests.unit.streams.both import assemble
from tests.unit.streams.build import SCHEMAS, event, frame, whole_run

RUN: SchemaVersion = catalogue.latest("run-batch")


def shape(avro: Any) -> Any:
    """A schema without names, docs, defaults and logical types: what its bytes look like."""
    if isinstance(avro, list):
        return [shape(branch) for branch in avro]
    if not isinstance(avro, dict):
        return avro
    if avro["type"] == "record":
        return [(field["name"], shape(field["type"])) for field in avro["fields"]]
    return {"items": shape(avro["items"])} if avro["type"] == "array" else shape(avro["type"])


def written(runs: pl.DataFrame) -> Any:
    container = io.BytesIO()
    runs.write_avro(container)
    container.seek(0)
    return json.loads(fastavro.reader(container).metadata["avro.schema"])


def rich_run() -> pl.DataFrame:
    start, *rest = whole_run(1)
    more = [
        event("evidence_checked", seq=10, evidence_refs=["r:a"], provenance_score=0.1, conflicting_refs=["r:b"]),
        event("fallback_taken", seq=11),
        event("review_recorded", seq=12),
        event("eval_recorded", seq=13, eval_outcome="passed"),
        event(
            "step_finished", seq=14, labels=[{"key": "k", "value": "ü"}], context_refs=["r:c"], cost_usd=0.5, seed=-1
        ),
    ]
    labelled = start | {"labels": [{"key": "k", "value": "v"}]}
    return assemble(frame([labelled, *rest, *more]), closed_at_us=1).runs


def test_polars_writes_the_committed_schema() -> None:
    item = json.loads(wire.item_schema_text(RUN))
    assert shape(written(rich_run())) == shape(item)
    assert shape(written(no_runs())) == shape(item), "whatever the rows"


def test_fastavro_reads_what_polars_wrote_value_for_value() -> None:
    runs = rich_run()
    (batch,) = run_batches(runs, 3, SCHEMAS)
    assert wire.decode_items(wire.read_block(batch.value, "run-batch", SCHEMAS)) == runs.to_dicts()
    whole = wire.decode_datum(batch.value, "run-batch", SCHEMAS)
    assert whole["source_partition"] == 3


def test_every_field_of_a_run_has_its_column() -> None:
    assert RUN.item is not None
    assert [field["name"] for field in RUN.item["fields"]] == list(run_columns())
    assert [field["name"] for field in catalogue.latest("trace-batch").item["fields"]] == list(event_columns())  # type: ignore[index]


def test_many_runs_are_split_into_messages_that_a_broker_takes() -> None:
    runs = pl.concat([rich_run()] * 4000)
    batches = list(run_batches(runs, 0, SCHEMAS))
    assert len(batches) > 1
    assert sum(len(batch.run_ids) for batch in batches) == 4000
    assert max(len(batch.value) for batch in batches) < MAX_MESSAGE_BYTES


@pytest.mark.parametrize("count", [1, 32, 33, 100])
def test_every_run_of_a_message_is_read_back(count: int) -> None:
    runs = pl.concat([rich_run()] * count)
    found = [
        run
        for batch in run_batches(runs, 0, SCHEMAS)
        for run in wire.decode_items(wire.read_block(batch.value, "run-batch", SCHEMAS))
    ]
    assert found == runs.to_dicts()


def test_a_run_larger_than_a_message_is_cut_and_says_so() -> None:
    steps = [
        event("step_finished", seq=n, step_id=f"{n + 1:016x}", raw_output_ref="r:" + "r" * 898) for n in range(6000)
    ]
    batches = [steps[at : at + 1000] for at in range(0, 6000, 1000)]
    runs = assemble(frame([event("run_started", seq=6000)], *batches), closed_at_us=1).runs
    (batch,) = run_batches(runs, 0, SCHEMAS)
    assert len(batch.value) < MAX_MESSAGE_BYTES
    (run,) = wire.decode_items(wire.read_block(batch.value, "run-batch", SCHEMAS))
    assert (run["verdict"], run["events"]) == ("partial", 6001)
    assert "truncated" in run["missing"]  # type: ignore[operator]


def test_events_sent_on_are_the_events_that_came() -> None:
    records = [*whole_run(1), event("step_finished", seq=9, labels=[{"key": "k", "value": ""}], evidence_refs=["r:x"])]
    (value,) = event_batches(frame(records), SCHEMAS)
    sent = wire.decode_items(wire.read_block(value, "trace-batch", SCHEMAS))
    assert [{key: each[key] for key in record} for each, record in zip(sent, records, strict=True)] == records

"""What is published of runs and events is what the committed schemas say, and no larger than a broker takes."""

from collections.abc import Sequence
from typing import cast

import pytest

from causeline.schemas import catalogue, wire
from causeline.schemas.events import Record
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.topics import MAX_MESSAGE_BYTES
from causeline.streams.runs.core import Written
from causeline.streams.runs.records import record_of
from causeline.streams.worker.publications import event_batches, run_batches
from tests.unit.streams.build import CORE, SCHEMAS, event, shares, whole_run


def written(*batches: Sequence[Record]) -> Written:
    """The one run of events of one emitter."""
    return CORE.joined([share.part for share in shares(*batches)], closed_at=1, reason=None, policy=DEFAULT_POLICY)


def rich_run() -> Written:
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
    return written([labelled, *rest, *more])


def test_a_batch_says_which_partition_its_runs_are_of() -> None:
    (batch,) = run_batches([rich_run()], 3, SCHEMAS)
    assert wire.decode_datum(batch.value, "run-batch", SCHEMAS)["source_partition"] == 3


def test_many_runs_are_split_into_messages_that_a_broker_takes() -> None:
    batches = list(run_batches([rich_run()] * 4000, 0, SCHEMAS))
    assert len(batches) > 1
    assert sum(len(batch.run_ids) for batch in batches) == 4000
    assert max(len(batch.value) for batch in batches) < MAX_MESSAGE_BYTES


@pytest.mark.parametrize("count", [1, 32, 33, 100])
def test_every_run_of_a_message_is_read_back(count: int) -> None:
    run = rich_run()
    found = [
        record
        for batch in run_batches([run] * count, 0, SCHEMAS)
        for record in wire.decode_items(wire.read_block(batch.value, "run-batch", SCHEMAS))
    ]
    assert found == [record_of(run.item)] * count


def test_a_run_larger_than_a_message_is_cut_and_says_so() -> None:
    steps = [
        event("step_finished", seq=n, step_id=f"{n + 1:016x}", raw_output_ref="r:" + "r" * 898) for n in range(6000)
    ]
    batches = [steps[at : at + 1000] for at in range(0, 6000, 1000)]
    run = written([event("run_started", seq=6000)], *batches)
    small, large = rich_run(), MAX_MESSAGE_BYTES
    cut, alone = run_batches([run, small], 0, SCHEMAS)
    assert (len(run.item) > large, len(cut.value) < large, alone.run_ids) == (True, True, (small.brief.run_id,))
    (record,) = wire.decode_items(wire.read_block(cut.value, "run-batch", SCHEMAS))
    assert (record["verdict"], record["events"]) == ("partial", 6001)
    assert "truncated" in record["missing"]  # type: ignore[operator]


def test_a_run_of_few_and_endless_texts_is_cut_too() -> None:
    run = rich_run()
    record = record_of(run.item)
    record["missing"] = ["m" * 50_000] * 200
    record["error_type"] = "e" * 5_000
    item = wire.encode_record(catalogue.latest("run-batch"), cast("Record", record))
    (cut,) = run_batches([run._replace(item=item)], 0, SCHEMAS)
    (found,) = wire.decode_items(wire.read_block(cut.value, "run-batch", SCHEMAS))
    assert found["missing"] == [*["m" * 1024] * 100, "truncated"]
    assert (found["steps"], found["error_type"], found["events"]) == ([], "e" * 1024, record["events"])


def test_events_sent_on_are_the_events_that_came() -> None:
    records = [*whole_run(1), event("step_finished", seq=9, labels=[{"key": "k", "value": ""}], evidence_refs=["r:x"])]
    (value,) = event_batches(CORE.items([share.part for share in shares(records)]), SCHEMAS)
    sent = wire.decode_items(wire.read_block(value, "trace-batch", SCHEMAS))
    assert [{key: each[key] for key in record} for each, record in zip(sent, records, strict=True)] == records

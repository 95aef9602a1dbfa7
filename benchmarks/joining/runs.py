"""The runs that are joined: ten events each, as wide as the demo's, and the batches our emitter would make of them."""

from collections.abc import Iterator, Sequence

from causeline.schemas import catalogue, wire
from causeline.schemas.events import Record
from causeline.schemas.ids import new_run_id
from causeline.schemas.partition import partition_of

PARTITIONS = 4
STEPS = 8
EVENTS_A_RUN = STEPS + 2
_BATCH = 1000
SCHEMA = catalogue.latest("trace-batch")
"""Of the events."""
_REF = "artifact:sha256/ab/" + "c" * 62


def events_of(number: int) -> Iterator[Record]:
    """One run's events, as wide as the demo's."""
    run_id, start = new_run_id(), 1_780_000_000_000_000 + number * 1000
    base = {"run_id": run_id, "project": "bench", "workflow": "invoice", "emitter_id": "e", "run_started_at": start}
    yield base | {"event_id": f"{number:024x}{0:08x}", "seq": 0, "event_type": "run_started", "occurred_at": start}
    for step in range(1, STEPS + 1):
        said: Record = {
            **base, "event_id": f"{number:024x}{step:08x}", "seq": step, "event_type": "step_finished",
            "occurred_at": start + step * 100, "started_at": start + step * 100 - 50,
            "step_id": f"{number * 16 + step:016x}",
            "step_kind": "model_call", "step_name": f"step {step}", "status": "ok", "retry_count": 0,
            "cost_usd": 0.25, "input_tokens": 1834, "output_tokens": 212, "prompt_id": "extract", "prompt_version": "7",
            "model_provider": "acme", "model_name": "acme-large-2", "model_policy": "default", "temperature": 0.0,
            "top_p": 1.0, "seed": 42, "system_fingerprint": "fp_a17", "confidence": 0.91, "refusal": False,
            "input_ref": _REF, "context_refs": [_REF], "raw_output_ref": _REF,
            "labels": [{"key": "model.finish_reason", "value": "stop"}],
        }  # fmt: skip
        yield said | ({"route": f"r{number % 5}"} if step == 2 else {})
    yield base | {
        "event_id": f"{number:024x}{STEPS + 1:08x}", "seq": STEPS + 1, "event_type": "run_finished",
        "occurred_at": start + 2000, "final_state": "answered", "status": "ok", "expected_events": EVENTS_A_RUN,
        "expected_steps": [f"model_call:step {step}" for step in range(1, STEPS + 1)],
    }  # fmt: skip


def batches(runs: Sequence[list[Record]]) -> Iterator[tuple[int, bytes]]:
    """Batches of about a thousand events, each run's in one partition, runs interleaved as a server's are."""
    waiting: dict[int, list[bytes]] = {number: [] for number in range(PARTITIONS)}
    for lot in range(0, len(runs), 20):
        together = runs[lot : lot + 20]
        for place in range(EVENTS_A_RUN):
            for run in together:
                partition = partition_of(str(run[0]["run_id"]), PARTITIONS)
                waiting[partition].append(wire.encode_item(SCHEMA, run[place]))
        for partition, items in waiting.items():
            while len(items) >= _BATCH:
                yield partition, wire.encode_batch(SCHEMA.schema_id, wire.encode_string("e"), items[:_BATCH])
                del items[:_BATCH]
    for partition, items in waiting.items():
        if items:
            yield partition, wire.encode_batch(SCHEMA.schema_id, wire.encode_string("e"), items)

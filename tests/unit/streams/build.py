"""Runs to test with: events as wire records, batches of them as Kafka values."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from causeline.schemas import catalogue, wire
from causeline.schemas.events import Record, to_record
from causeline.schemas.registry import Schemas
from causeline.schemas.vocabulary import EventType
from causeline.streams.definition.reading import Message
from causeline.streams.runs.chosen import core
from causeline.streams.runs.core import Share, Taken
from tests.unit.schemas.strategies import any_event

SCHEMA = catalogue.latest("trace-batch")
SCHEMAS = Schemas()
CORE = core(SCHEMAS)
START_US = 1_700_000_000_000_000
_ids = itertools.count(1)


def run_id(number: int) -> str:
    return f"{number:032x}"


def event(kind: str, *, run: int = 1, seq: int = 0, emitter: str = "e", **fields: Any) -> Record:
    """One event as the wire has it; what its type must say is filled in."""
    must: dict[str, dict[str, Any]] = {
        "step_finished": {"step_kind": "custom", "step_name": "s", "status": "ok", "started_at": START_US + seq},
        "step_started": {"step_kind": "custom", "step_name": "s", "started_at": START_US + seq},
        "evidence_checked": {
            "step_kind": "evidence",
            "step_name": "check",
            "field_path": "total",
            "evidence_required": True,
        },
        "run_finished": {"final_state": "answered", "status": "ok", "expected_events": seq + 1},
        "review_recorded": {"review_outcome": "approved"},
        "eval_recorded": {"eval_case_id": "case"},
        "fallback_taken": {"fallback_taken": "retry"},
    }
    record: Record = {
        "event_id": f"{next(_ids):032x}",
        "run_id": run_id(run),
        "project": "p",
        "workflow": "w",
        "emitter_id": emitter,
        "seq": seq,
        "event_type": kind,
        "run_started_at": START_US,
        "occurred_at": START_US + 10 * seq,
        **must.get(kind, {}),
    }
    if kind in {"step_finished", "step_started", "evidence_checked"}:
        record["step_id"] = f"{run * 1000 + seq + 1:016x}"
    return record | fields


def whole_run(number: int, steps: int = 3, emitter: str = "e") -> list[Record]:
    """A run of `steps` steps, from its start to its end."""
    names = [f"s{n}" for n in range(steps)]
    return [
        event("run_started", run=number, emitter=emitter),
        *(
            event("step_finished", run=number, seq=n + 1, emitter=emitter, step_name=name)
            for n, name in enumerate(names)
        ),
        event(
            "run_finished",
            run=number,
            seq=steps + 1,
            emitter=emitter,
            expected_steps=[f"custom:{name}" for name in names],
        ),
    ]


def batch(records: Iterable[Record]) -> bytes:
    """A Kafka value of these events."""
    items = [wire.encode_item(SCHEMA, record) for record in records]
    return wire.encode_batch(SCHEMA.schema_id, wire.encode_string("e"), items)


def messages(*batches: Iterable[Record], partition: int = 0, first_offset: int = 0) -> list[Message]:
    """Batches that stand one after the other in a partition."""
    return in_partition(map(batch, batches), partition, first_offset)


def in_partition(values: Iterable[bytes | None], partition: int = 0, first_offset: int = 0) -> list[Message]:
    """Values that stand one after the other in a partition."""
    return [Message(partition, first_offset + n, value) for n, value in enumerate(values)]


def taken(*batches: Iterable[Record], partition: int = 0, first_offset: int = 0) -> Taken:
    """What the worker's core reads in batches that stand one after the other in a partition."""
    return CORE.read(messages(*batches, partition=partition, first_offset=first_offset))


def shares(*batches: Iterable[Record], partition: int = 0, first_offset: int = 0) -> Sequence[Share]:
    """What such batches hold of runs, when all of it can be used."""
    found = taken(*batches, partition=partition, first_offset=first_offset)
    assert found.unreadable == []
    return found.shares


@st.composite
def mixed_events(draw: st.DrawFn) -> list[Record]:
    """Events of a few runs and emitters, of any type and with any field, in no order, some of them twice."""
    few_runs = st.sampled_from([run_id(1), run_id(2), run_id(3)])
    few_steps = st.sampled_from([f"{n:016x}" for n in range(1, 6)])
    few_names = st.sampled_from(["a", "b"])
    records: list[Record] = []
    for number in range(draw(st.integers(1, 14))):
        record = to_record(draw(any_event()))
        record |= {
            "event_id": f"{number + 1:032x}",
            "run_id": draw(few_runs),
            "emitter_id": draw(few_names),
            "seq": draw(st.integers(0, 6)),
            "occurred_at": draw(st.integers(0, 50)),
            "run_started_at": draw(st.integers(0, 5)),
        }
        if record["event_type"] in {EventType.STEP_STARTED, EventType.STEP_FINISHED}:
            record |= {"step_id": draw(few_steps), "started_at": draw(st.integers(0, 50)), "step_name": draw(few_names)}
            if draw(st.booleans()):
                record["parent_step_id"] = draw(few_steps)
            record = {
                **record,
                **{n: draw(st.integers(0, 9)) for n in ("input_tokens", "output_tokens") if n in record},
            }
            if "cost_usd" in record:
                record["cost_usd"] = draw(st.integers(0, 64)) / 4
        if record["event_type"] == EventType.RUN_FINISHED:
            record["expected_events"] = draw(st.integers(1, 8))
            record["expected_steps"] = draw(st.lists(st.sampled_from(["custom:a", "model_call:b"]), max_size=3))
        records.append({**record, "event_type": str(record["event_type"])})
    repeats = draw(st.lists(st.sampled_from(records), max_size=4))
    return list(draw(st.permutations(records + repeats)))

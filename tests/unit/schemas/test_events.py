"""The contract of an event: strict, closed, and the same after the wire."""

import json
import math

import pytest
from hypothesis import given, settings

from causeline.schemas import catalogue, wire
from causeline.schemas.errors import InvalidEvent
from causeline.schemas.events import EVENT_MODELS, EvidenceChecked, RunStarted, TraceEvent, from_record, to_record
from causeline.schemas.registry import Schemas
from causeline.schemas.vocabulary import EventType, StepKind
from tests.unit.schemas import strategies

SCHEMA = catalogue.latest("trace-batch")
IDENTITY = {
    "event_id": "a" * 32,
    "run_id": "b" * 32,
    "project": "p",
    "workflow": "w",
    "emitter_id": "e",
    "seq": 0,
    "run_started_at": 1,
    "occurred_at": 2,
}
EVIDENCE = IDENTITY | {
    "step_id": "c" * 16,
    "step_kind": StepKind.EVIDENCE,
    "step_name": "premium",
    "field_path": "$.premium",
    "evidence_required": True,
}


@settings(max_examples=200)
@given(strategies.any_event())
def test_an_event_is_the_same_after_the_wire(event: TraceEvent) -> None:
    value = wire.encode_batch(
        Schemas().write_id("trace-batch"), wire.encode_string("e"), [wire.encode_item(SCHEMA, to_record(event))]
    )

    (record,) = wire.decode_items(wire.read_block(value, "trace-batch", Schemas()))

    assert from_record(record) == event


def test_every_event_type_has_its_model() -> None:
    assert set(EVENT_MODELS) == set(EventType)


@pytest.mark.parametrize("kind", EventType)
def test_a_field_that_an_event_type_does_not_have_is_refused(kind: EventType) -> None:
    with pytest.raises(InvalidEvent, match=kind.value):
        EVENT_MODELS[kind].checked(**IDENTITY, prompt="the whole prompt")


@pytest.mark.parametrize("score", [-0.1, 1.1, math.nan, math.inf, "0.5", True])
def test_a_score_is_a_number_from_0_to_1(score: object) -> None:
    with pytest.raises(InvalidEvent, match="provenance_score"):
        EvidenceChecked.checked(**EVIDENCE, provenance_score=score)


@pytest.mark.parametrize("run_id", ["", "0" * 32, "A" * 32, "../../etc", "' OR 1=1--", "a" * 1_000_000, "\x00" * 32])
def test_a_run_id_that_is_none_is_refused_without_being_repeated(run_id: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        RunStarted.checked(**IDENTITY | {"run_id": run_id})

    assert len(str(caught.value)) < 200
    assert not run_id or run_id not in str(caught.value)


def test_at_most_32_labels_of_at_most_256_characters() -> None:
    RunStarted.checked(**IDENTITY, labels={f"k{n}": "v" * 256 for n in range(32)})
    for labels in ({f"k{n}": "v" for n in range(33)}, {"k": "v" * 257}, {"k" * 257: "v"}):
        with pytest.raises(InvalidEvent, match="label"):
            RunStarted.checked(**IDENTITY, labels=labels)


def test_a_value_of_content_never_stands_in_the_error() -> None:
    with pytest.raises(InvalidEvent) as caught:
        RunStarted.checked(**IDENTITY, input_ref=["sk-canary-secret"])

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("time", [-1, 2**63 - 1, -(2**63), 1.5, "2026-01-01"])
def test_a_time_is_microseconds_within_the_calendar(time: object) -> None:
    with pytest.raises(InvalidEvent, match="occurred_at"):
        RunStarted.checked(**IDENTITY | {"occurred_at": time})


def test_the_models_and_the_avro_record_name_the_same_fields() -> None:
    avro = {field["name"] for field in json.loads(wire.item_schema_text(SCHEMA))["fields"]}
    models = {name for model in EVENT_MODELS.values() for name in model.model_fields} | {"event_type"}

    assert models == avro


def test_a_record_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="event_type"):
        from_record(IDENTITY | {"event_type": "surprise"})

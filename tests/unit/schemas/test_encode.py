"""The event writer accepts what the models accept, refuses what they refuse, and writes what fastavro writes."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeline.schemas import catalogue, wire
from causeline.schemas.encode import RunWriter
from causeline.schemas.errors import EventTooLarge, InvalidEvent
from causeline.schemas.events import EVENT_MODELS, TraceEvent, to_record
from causeline.schemas.vocabulary import EventType, StepKind
from tests.unit.schemas import strategies

SCHEMA = catalogue.latest("trace-batch")
RUN = ("run_id", "project", "workflow", "emitter_id", "run_started_at")
EVENT = ("event_id", "seq", "occurred_at")


def _write(kind: EventType, fields: dict[str, Any]) -> bytes:
    writer = RunWriter(**{name: fields[name] for name in RUN})
    rest = {name: value for name, value in fields.items() if name not in (*RUN, *EVENT)}
    return writer.encode(kind, **{name: fields[name] for name in EVENT}, fields=rest)


@settings(max_examples=500)
@given(strategies.any_event())
def test_what_it_writes_is_what_fastavro_writes(event: TraceEvent) -> None:
    assert _write(event.event_type, dict(event)) == wire.encode_item(SCHEMA, to_record(event))


_WRONG = st.one_of(
    st.sampled_from(
        [math.nan, math.inf, -math.inf, -1, 2**63, -(2**63) - 1, 1.5, True, "", "\ud800", "x" * 5000, b"x"]
    ),
    st.sampled_from([(), [1], ("",), ("x",) * 1001, {}, {"k": 1}, {1: "v"}, {"k" * 257: "v"}, object()]),
    st.sampled_from(["0" * 32, "A" * 32, "0" * 16, 2**53, 0, 0.5, 253_402_300_800_000_000]),
)


@settings(max_examples=500)
@given(strategies.any_event(), st.data())
def test_what_the_models_refuse_it_refuses_and_nothing_else(event: TraceEvent, data: st.DataObject) -> None:
    model = EVENT_MODELS[event.event_type]
    name = data.draw(st.sampled_from(sorted(model.model_fields)))
    fields = dict(event) | {name: data.draw(_WRONG)}
    try:
        accepted = model.checked(**fields)
    except InvalidEvent:
        with pytest.raises(InvalidEvent, match=name):
            _write(event.event_type, fields)
    else:
        assert _write(event.event_type, fields) == wire.encode_item(SCHEMA, to_record(accepted))


def test_words_may_be_given_as_text_and_sequences_as_lists() -> None:
    step = {"step_id": "c" * 16, "step_kind": "retrieve", "step_name": "n", "started_at": 1, "status": "ok"}
    writer = RunWriter(run_id="a" * 32, project="p", workflow="w", emitter_id="e", run_started_at=1)

    def write(**more: object) -> bytes:
        identity = {"event_id": "b" * 32, "seq": 0, "occurred_at": 2}
        return writer.encode(EventType.STEP_FINISHED, **identity, fields=step | more)  # type: ignore[arg-type]

    assert write(step_kind="parse", context_refs=["r"]) == write(step_kind=StepKind.PARSE, context_refs=("r",))
    with pytest.raises(InvalidEvent, match="step_kind: should be one of input, parse"):
        write(step_kind="pars")


@pytest.mark.parametrize("kind", EventType)
def test_a_field_that_an_event_does_not_have_is_named(kind: EventType) -> None:
    identity = {"event_id": "a" * 32, "run_id": "b" * 32, "project": "p", "workflow": "w", "emitter_id": "e", "seq": 0}
    times = {"run_started_at": 1, "occurred_at": 2}

    with pytest.raises(InvalidEvent, match="prompt: not a field"):
        _write(kind, identity | times | {"prompt": "the whole prompt"})


def test_a_required_field_that_is_not_said_is_named() -> None:
    writer = RunWriter(run_id="a" * 32, project="p", workflow="w", emitter_id="e", run_started_at=1)

    for fields in ({"eval_outcome": "passed"}, {"eval_case_id": None}):
        with pytest.raises(InvalidEvent, match="eval_case_id: is required"):
            writer.encode(EventType.EVAL_RECORDED, event_id="b" * 32, seq=0, occurred_at=2, fields=fields)


@pytest.mark.parametrize("name", ["run_id", "project", "workflow", "emitter_id", "run_started_at"])
def test_what_is_constant_within_a_run_is_checked_once_a_run(name: str) -> None:
    good = {"run_id": "a" * 32, "project": "p", "workflow": "w", "emitter_id": "e", "run_started_at": 1}

    with pytest.raises(InvalidEvent, match=name):
        RunWriter(**good | {name: -1})  # type: ignore[arg-type]


def test_an_error_never_repeats_a_value() -> None:
    writer = RunWriter(run_id="a" * 32, project="p", workflow="w", emitter_id="e", run_started_at=1)

    with pytest.raises(InvalidEvent) as caught:
        writer.encode(
            EventType.RUN_STARTED, event_id="b" * 32, seq=0, occurred_at=2, fields={"input_ref": ["sk-canary"]}
        )

    assert "canary" not in str(caught.value)


def test_an_event_over_the_limit_is_refused() -> None:
    writer = RunWriter(run_id="a" * 32, project="p", workflow="w", emitter_id="e", run_started_at=1)
    refs = ["r" * 2048] * 200

    with pytest.raises(EventTooLarge):
        writer.encode(
            EventType.STEP_FINISHED,
            event_id="b" * 32,
            seq=0,
            occurred_at=2,
            fields={
                "step_id": "c" * 16,
                "step_kind": "retrieve",
                "step_name": "n",
                "started_at": 1,
                "status": "ok",
                "context_refs": refs,
            },
        )

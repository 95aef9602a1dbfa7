"""The event writer accepts what the models accept, refuses what they refuse, and writes what fastavro writes."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeline.schemas import catalogue, wire
from causeline.schemas.errors import EventTooLarge, InvalidEvent
from causeline.schemas.events import EVENT_MODELS, TraceEvent, to_record
from causeline.schemas.vocabulary import EventType, Status, StepKind
from causeline.schemas.wire import generated
from causeline.schemas.wire.native import CORE, Core
from causeline.schemas.wire.values import NULL, SOME, Integer, Moment, Remembered, Text, Together
from causeline.schemas.wire.writer import RunWriter
from tests.unit.schemas import strategies

SCHEMA = catalogue.latest("trace-batch")
RUN = ("run_id", "project", "workflow", "emitter_id", "run_started_at")
EVENT = ("event_id", "seq", "occurred_at")


STEP = {"step_id": "c" * 16, "step_kind": "model_call", "step_name": "n", "started_at": 10**15, "status": "ok"}
FULL = STEP | {
    "parent_step_id": "d" * 16, "retry_count": 1, "cost_usd": 0.5, "input_tokens": 10, "output_tokens": 2**40,
    "route": "r", "prompt_id": "p", "temperature": 0.0, "top_p": 1.0, "seed": -7, "confidence": 0.5, "refusal": False,
    "input_ref": "artifact:1", "raw_output_ref": "s3:ü", "context_refs": ["a:1", "b:2"], "labels": {"k": "v"},
}  # fmt: skip


WRITERS = [None] if CORE is None else [None, CORE]
"""What writes: Python's own way, and the compiled core where it is installed."""


def _write(kind: EventType, fields: dict[str, Any]) -> bytes:
    """Written field by field, then by the function generated for these fields, then by the compiled pen: all say the
    same, or refuse alike."""
    writers = [RunWriter(**{name: fields[name] for name in RUN}, core=core) for core in WRITERS]
    rest = {name: value for name, value in fields.items() if name not in (*RUN, *EVENT)}
    written = []
    for writer in (*writers[:1] * 3, *writers[1:]):
        try:
            written.append(writer.encode(kind, **{name: fields[name] for name in EVENT}, fields=rest))
        except InvalidEvent as error:
            written.append(str(error).encode())
            raised = error
    assert len(set(written)) == 1
    if written[0][:1] != b"\x40":
        raise raised
    return written[0]


def _writer(core: Core | None = CORE) -> RunWriter:
    return RunWriter(run_id="a" * 32, project="p", workflow="w", emitter_id="e", run_started_at=1, core=core)


def _identity() -> dict[str, Any]:
    return {"event_id": "b" * 32, "seq": 0, "occurred_at": 10**15}


@settings(max_examples=500)
@given(strategies.any_event())
def test_what_it_writes_is_what_fastavro_writes(event: TraceEvent) -> None:
    assert _write(event.event_type, dict(event)) == wire.encode_item(SCHEMA, to_record(event))


_WRONG = st.one_of(
    st.sampled_from(
        [math.nan, math.inf, -math.inf, -1, 2**63, -(2**63) - 1, 1.5, True, "", "\ud800", "x" * 5000, b"x"]
    ),
    st.sampled_from([(), [1], ("",), ("x",) * 1001, {}, {"k": 1}, {1: "v"}, {"k" * 257: "v"}, object()]),
    st.sampled_from(
        ["a: b", "no reference", ":a", "1:a", "a:\n", "a:\u3000", ("a:b", "c"), "mailto:x", "r:jane@x.org"]
    ),
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


@pytest.mark.parametrize("core", WRITERS)
def test_fields_that_recur_are_not_written_field_by_field(core: Core | None, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = _writer(core)
    by_field = [writer.encode(EventType.STEP_FINISHED, **_identity(), fields=FULL) for _ in range(2)]

    def never(*_: object) -> bytes:
        raise AssertionError("it went field by field")

    monkeypatch.setattr(RunWriter, "_encode_each", never)
    assert writer.encode(EventType.STEP_FINISHED, **_identity(), fields=FULL) == by_field[0]
    for name in ("parent_step_id", "retry_count", "cost_usd", "seed", "refusal", "input_ref", "context_refs", "labels"):
        assert writer.encode(EventType.STEP_FINISHED, **_identity(), fields=FULL | {name: None})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, wrong)
        for name in FULL
        for wrong in (True, 1, -1, math.nan, "", b"x", ["x"], ["a:x y"], object(), "x" * 5000)
    ],
)
def test_a_function_of_its_own_takes_no_more_than_the_models(name: str, value: object) -> None:
    known = {"project": "p", "workflow": "w", "emitter_id": "e", "run_started_at": 1, "run_id": "a" * 32}
    fields = known | _identity() | FULL | {name: value}
    try:
        accepted = EVENT_MODELS[EventType.STEP_FINISHED].checked(
            **fields
            | {"step_kind": _member(StepKind, fields["step_kind"]), "status": _member(Status, fields["status"])}
            | {"context_refs": _tupled(fields["context_refs"])}
        )
    except InvalidEvent:
        with pytest.raises(InvalidEvent, match=name):
            _write(EventType.STEP_FINISHED, fields)
    else:
        assert _write(EventType.STEP_FINISHED, fields) == wire.encode_item(SCHEMA, to_record(accepted))


def _member(words: type[Any], value: Any) -> Any:
    return words(value) if isinstance(value, str) and value in [word.value for word in words] else value


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def test_the_functions_of_a_type_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generated, "_MAX_GENERATED", 2)
    slots = {name: generated.Slot(place, Text(SOME, 1, 9), required=False) for place, name in enumerate("abc")}
    made = generated.Generated(b"t", slots, 3, sequence=Integer(b"", 0, 9), moment=Moment(b""))

    assert [made["a",], made["a",] is None, made["b",], made["b",] is None] == [None, False, None, False]
    assert [made["c",], made["c",]] == [None, None]


def test_what_is_remembered_of_values_is_bounded() -> None:
    name = Remembered(Text(SOME, 1, 256), steady=True)
    together = Together([(name, True), (name, False)])
    for number in range(5000):
        assert together[f"name {number}", None] == name(f"name {number}") + NULL
    assert (len(name), len(together)) < (2049, 2049)
    long = "x" * 256 + "ü"
    with pytest.raises(ValueError, match="1 to 256"):
        name(long)
    wide = "\U0001f600" * 256
    assert name(wide)[1:3] == wire.encode_long(1024)
    assert wide not in name, "a text so long is encoded each time"


@pytest.mark.parametrize("core", WRITERS)
def test_an_event_written_with_a_new_id_carries_it(core: Core | None) -> None:
    writer = _writer(core)
    written = [writer.write(EventType.RUN_STARTED, seq=seq, occurred_at=10**15, fields={}) for seq in range(5000)]

    for event_id, item in written[:: len(written) - 1]:
        assert fastavro_reads(item)["event_id"] == event_id
    assert len({event_id for event_id, _ in written}) == len(written)
    with pytest.raises(InvalidEvent, match="occurred_at: should be microseconds"):
        writer.write(EventType.RUN_STARTED, seq=0, occurred_at=1.5, fields={})  # type: ignore[arg-type]


def fastavro_reads(item: bytes) -> dict[str, Any]:
    batch = wire.encode_batch(1, wire.encode_string("e"), [item])
    (record,) = wire.decode_items(wire.Block(SCHEMA, 1, memoryview(batch)[len(batch) - 1 - len(item) : -1]))
    return dict(record)


def test_words_may_be_given_as_text_and_sequences_as_lists() -> None:
    step = {"step_id": "c" * 16, "step_kind": "retrieve", "step_name": "n", "started_at": 1, "status": "ok"}
    writer = RunWriter(run_id="a" * 32, project="p", workflow="w", emitter_id="e", run_started_at=1)

    def write(**more: object) -> bytes:
        identity = {"event_id": "b" * 32, "seq": 0, "occurred_at": 2}
        return writer.encode(EventType.STEP_FINISHED, **identity, fields=step | more)  # type: ignore[arg-type]

    assert write(step_kind="parse", context_refs=["a:r"]) == write(step_kind=StepKind.PARSE, context_refs=("a:r",))
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
    refs = ["a:" + "r" * 2046] * 200

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

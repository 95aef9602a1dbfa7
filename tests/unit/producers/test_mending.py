"""Whatever a field is given, its event is on record, and says which of its fields it lacks."""

import decimal
import enum
import fractions
import math
import pathlib
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeline.producers.mending.event import CUT_LABEL, DROPPED_LABEL, mended
from causeline.producers.tracer import Tracer
from causeline.schemas.events import (
    EVENT_MODELS,
    ConflictSide,
    EvidenceChecked,
    ReviewRecorded,
    RunFinished,
    RunStarted,
    StepFinished,
    TraceEvent,
)
from causeline.schemas.wire import MAX_EVENT_BYTES
from causeline.schemas.wire.writer import RunWriter, slots_of
from tests.unit.producers.recording import RecordingTransport, emitter_over, events_of
from tests.unit.schemas import strategies


class Colour(enum.Enum):
    RED = "red"


class Odd:
    """An object that answers every question with an exception."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_"):
            return object.__getattribute__(self, name)
        raise RuntimeError("canary")

    def __str__(self) -> str:
        raise RuntimeError("canary")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("canary")

    __hash__ = None  # type: ignore[assignment]


class OddText(str):
    """A text that cannot be encoded the usual way."""

    __slots__ = ()

    def encode(self, *_: Any, **__: Any) -> bytes:
        raise RuntimeError("canary")


@pytest.fixture
def transport() -> RecordingTransport:
    return RecordingTransport()


@pytest.fixture
def tracer(transport: RecordingTransport) -> Iterator[Tracer]:
    with Tracer("tests", emitter=emitter_over(transport)) as made:
        yield made


def step_with(tracer: Tracer, transport: RecordingTransport, **fields: Any) -> StepFinished:
    """What is on record of a step with these fields, in a run that is otherwise as it should be."""
    with tracer.run("invoice") as run:
        with run.model_call("ask", model_name="m") as step:
            step.set(**fields)
        with run.tool("after"):
            pass
    assert not tracer.flush(60)
    assert (tracer.stats().invalid, tracer.stats().too_large) == (0, 0)
    _, ask, _, end = events_of(transport)
    assert isinstance(end, RunFinished)
    assert end.expected_events == 4
    assert isinstance(ask, StepFinished)
    assert ask.model_name == "m"
    return ask


MENDED: dict[str, tuple[str, Any, Any]] = {
    "a 64-bit float of numpy": ("confidence", np.float64(0.5), 0.5),
    "a 32-bit float of numpy": ("confidence", np.float32(0.5), 0.5),
    "an integer of numpy": ("input_tokens", np.int64(10), 10),
    "an array of one": ("confidence", np.array(0.5), 0.5),
    "a truth of numpy": ("refusal", np.bool_(True), True),
    "a decimal": ("cost_usd", decimal.Decimal("0.0123"), 0.0123),
    "a fraction": ("cost_usd", fractions.Fraction(1, 4), 0.25),
    "a score that rounding put above one": ("confidence", 1.0000001, 1.0),
    "a score that rounding put below zero": ("confidence", -1e-9, 0.0),
    "tokens as a float": ("input_tokens", 12.0, 12),
    "tokens as a text": ("input_tokens", "12", 12),
    "a number as a text": ("temperature", "0.7", 0.7),
    "a truth as a text": ("refusal", "False", False),
    "a version as a number": ("prompt_version", 7, "7"),
    "a version as a uuid": ("prompt_version", uuid.UUID(int=7), str(uuid.UUID(int=7))),
    "a member of an enumeration": ("route", Colour.RED, "red"),
    "a text with a lone surrogate": ("route", "caf\udce9", "caf?"),
    "an exception": ("error_type", ValueError("canary"), "ValueError"),
    "a class": ("error_type", ValueError, "ValueError"),
    "a word in capitals": ("status", "ERROR", "error"),
    "a word that means another": ("status", "failed", "error"),
    "an odd text": ("route", OddText("x"), "x"),
    "an empty text": ("route", "", None),
    "a path": ("input_ref", pathlib.PurePosixPath("/data/in.pdf"), "file:///data/in.pdf"),
    "a set": ("context_refs", {"a:2", "a:1"}, ("a:1", "a:2")),
    "a generator": ("context_refs", (f"a:{n}" for n in range(2)), ("a:0", "a:1")),
    "the keys of a mapping": ("context_refs", {"a:1": 1}.keys(), ("a:1",)),
    "a single reference": ("context_refs", "a:1", ("a:1",)),
    "an array of texts": ("context_refs", np.array(["a:1", "a:2"]), ("a:1", "a:2")),
    "errors as pydantic has them": (
        "validation_errors",
        [{"type": "missing", "loc": ("lines", 0, "net"), "msg": "canary", "input": "canary"}, {"loc": ["a"]}],
        ("missing:$.lines[0].net", "invalid:$.a"),
    ),
    "labels of other types": (
        "labels",
        {"n": 42, "x": 0.5, "on": True, "no": None, "id": uuid.UUID(int=7), 3: Colour.RED},
        {"n": "42", "x": "0.5", "on": "True", "id": str(uuid.UUID(int=7)), "3": "red"},
    ),
    "labels as pairs": ("labels", [("tenant", "a")], {"tenant": "a"}),
}


@pytest.mark.parametrize("what", MENDED)
def test_a_value_whose_meaning_is_certain_is_mended(tracer: Tracer, transport: RecordingTransport, what: str) -> None:
    name, value, meant = MENDED[what]
    step = step_with(tracer, transport, **{name: value})
    assert getattr(step, name) == meant
    assert DROPPED_LABEL not in step.labels
    assert tracer.stats().mended == 0


DROPPED: dict[str, tuple[str, Any]] = {
    "a negative cosine": ("confidence", -0.2),
    "a percentage": ("confidence", 87),
    "no number": ("confidence", math.nan),
    "a truth for a number": ("input_tokens", True),
    "half a token": ("input_tokens", 12.5),
    "a seed of 64 bits": ("seed", 2**64 - 1),
    "a path from here": ("input_ref", pathlib.PurePosixPath("in.pdf")),
    "content for a reference": ("input_ref", "The policy holder said"),
    "content behind a scheme": ("raw_output_ref", "note: he said"),
    "a reference that is too long": ("input_ref", "a:" + "x" * 2047),
    "a mapping for references": ("context_refs", {"a": 1}),
    "a reason that is too long": ("route_reason", "x" * 1025),
    "an error that is too long": ("validation_errors", ["x" * 1025]),
    "a truth for a text": ("route", True),
    "an object": ("route", object()),
    "an odd object": ("route", Odd()),
    "a word that nobody knows": ("status", "pending"),
    "a field that there is not": ("latency_ms", 12),
}


@pytest.mark.parametrize("what", DROPPED)
def test_any_other_value_is_left_out_alone_and_named(tracer: Tracer, transport: RecordingTransport, what: str) -> None:
    name, value = DROPPED[what]
    step = step_with(tracer, transport, **{name: value}, cost_usd=0.5)
    assert step.labels == {DROPPED_LABEL: name}
    assert step.cost_usd == 0.5
    assert step.status == "ok"
    stats = tracer.stats()
    assert stats.mended == 1
    assert stats.last_invalid[0].startswith(f"step_finished: {name}: left out; it should be ")
    assert "canary" not in repr(stats)
    assert not any(b"canary" in sent or b"holder" in sent for _, sent in transport.sent)


def test_of_a_list_or_of_labels_only_what_is_wrong_is_left_out(tracer: Tracer, transport: RecordingTransport) -> None:
    refs: Any = ["a:1", "no reference", None, "a:2"]
    labels: Any = {"tenant": "a", "q": "x" * 257, "state": {"content": "canary"}}
    step = step_with(tracer, transport, context_refs=refs, labels=labels)
    assert step.context_refs == ("a:1", "a:2")
    assert step.labels == {"tenant": "a", DROPPED_LABEL: "context_refs,labels.q,labels.state"}


def test_too_many_are_cut_to_the_first_and_named(tracer: Tracer, transport: RecordingTransport) -> None:
    labels = {f"k{n}": "v" for n in range(33)}
    step = step_with(tracer, transport, context_refs=[f"a:{n}" for n in range(1001)], labels=labels)
    assert step.context_refs == tuple(f"a:{n}" for n in range(1000))
    assert len(step.labels) == 32
    assert (step.labels[CUT_LABEL], step.labels[DROPPED_LABEL]) == ("context_refs", "labels")


def test_an_event_that_is_too_large_keeps_the_first_of_its_lists(tracer: Tracer, transport: RecordingTransport) -> None:
    refs = ["a:" + f"{n:04}" + "r" * 2000 for n in range(1000)]
    step = step_with(tracer, transport, context_refs=refs)
    assert 0 < len(step.context_refs) < 1000
    assert step.context_refs == tuple(refs[: len(step.context_refs)])
    assert step.labels == {CUT_LABEL: "context_refs"}


@pytest.mark.parametrize("given_id", ["0192f3a4-5b6c-7d8e-9f01-23456789abcd", uuid.UUID(int=2**100), "A" * 32])
def test_a_run_id_is_known_in_all_its_spellings(tracer: Tracer, transport: RecordingTransport, given_id: Any) -> None:
    with tracer.run("invoice", run_id=given_id) as run:
        pass
    assert not tracer.flush(60)
    assert {event.run_id for event in events_of(transport)} == {run.run_id} == {uuid.UUID(str(given_id)).hex}
    assert tracer.record_review(given_id, "invoice", "approved")


def test_a_run_with_an_id_that_is_none_has_one_of_its_own_and_says_so(
    tracer: Tracer, transport: RecordingTransport
) -> None:
    with tracer.run("invoice", run_id="order 17", labels={"tenant": "a"}):
        pass
    assert not tracer.flush(60)
    start, _ = events_of(transport)
    assert start.labels == {"tenant": "a", DROPPED_LABEL: "run_id"}
    assert not tracer.record_review("order 17", "invoice", "approved")


@pytest.mark.parametrize(
    "reviewer", ["Jane Doe", "jane.doe@example.com", "reviewer:jane@example.com", "mailto:jane", "tel:49"]
)
def test_a_reviewer_is_an_id_and_a_note_a_reference(
    tracer: Tracer, transport: RecordingTransport, reviewer: str
) -> None:
    with tracer.run("invoice") as run:
        run.review("approved", reviewer_ref=reviewer, note_ref="He called and said yes.")
        run.review("approved", reviewer_ref="reviewer:17", note_ref="artifact:note")
    assert not tracer.flush(60)
    odd, fine = (event for event in events_of(transport) if isinstance(event, ReviewRecorded))
    assert (odd.reviewer_ref, odd.review_note_ref) == (None, None)
    assert odd.labels == {DROPPED_LABEL: "reviewer_ref,review_note_ref"}
    assert (fine.reviewer_ref, fine.review_note_ref) == ("reviewer:17", "artifact:note")


def test_a_fallback_that_is_none_of_the_known_is_a_step_that_was_skipped(
    tracer: Tracer, transport: RecordingTransport
) -> None:
    """No word of the record may say what the workflow did not."""
    with tracer.run("invoice") as run:
        run.fallback("asked the neighbours", reason="timeout")
    assert not tracer.flush(60)
    _, step, _ = events_of(transport)
    assert isinstance(step, StepFinished)
    assert (step.step_kind, step.status, step.labels) == ("fallback", "skipped", {DROPPED_LABEL: "fallback_taken"})


def test_a_side_is_mended_or_left_out_as_a_field_is(tracer: Tracer, transport: RecordingTransport) -> None:
    score: Any = np.float32(0.5)
    sides: Any = [
        ConflictSide("doc:a", "value:1", "booklet", score),
        {"source_ref": "doc:b", "value_ref": "value:2", "score": "high"},
        {"source_ref": "a page of it"},
    ]
    with tracer.run("invoice") as run:
        assert not run.evidence("$.total", refs=["doc:a"], sides=sides).ok
    assert not tracer.flush(60)
    _, evidence, _ = events_of(transport)
    assert isinstance(evidence, EvidenceChecked)
    assert [(side.source_ref, side.score) for side in evidence.conflict_sides] == [("doc:a", 0.5), ("doc:b", None)]
    assert evidence.labels[DROPPED_LABEL] == "conflict_sides.score,conflict_sides.source_ref,conflict_sides"
    assert evidence.conflicting_refs == ("doc:b",)


@pytest.mark.parametrize("clock", [lambda: 1.7e15, lambda: "now", lambda: -5, lambda: 10**40])
def test_a_clock_that_gives_no_moments_costs_no_event(transport: RecordingTransport, clock: Callable[[], Any]) -> None:
    tracer = Tracer("tests", emitter=emitter_over(transport), clock=clock)
    with tracer.run("invoice") as run, run.tool("t"):
        pass
    assert not tracer.close()
    assert isinstance(events_of(transport)[0], RunStarted)
    assert len(events_of(transport)) == 3


# --- any field, any value

_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.decimals(), st.uuids(),
    st.complex_numbers(), st.dates(), st.datetimes(), st.fractions(), st.sampled_from([*Colour, Odd(), object(), Odd]),
    st.text(min_size=1).map(OddText), st.integers(-(2**63), 2**63 - 1).map(np.int64),
    st.floats(width=32).map(np.float32), st.sampled_from([np.array([]), np.zeros(3), np.array(["a:1"])]),
    st.sampled_from(["x" * 300, "x" * 3000, "a:" + "x" * 2047, "\ud800", "0" * 32, "0" * 16]),
)  # fmt: skip
_sides = st.builds(ConflictSide, _scalars, _scalars, _scalars, _scalars)
_odd = st.recursive(
    _scalars | _sides,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=4).map(iter),
        st.dictionaries(st.text(max_size=300) | st.integers(), inner, max_size=4),
    ),
    max_leaves=8,
)


@settings(max_examples=600, deadline=None)
@given(strategies.any_event(), st.data())
def test_any_value_of_any_field_leaves_its_event_on_record_and_its_neighbours_alone(
    event: TraceEvent, data: st.DataObject
) -> None:
    kind = event.event_type
    fields = {name: value for name, value in event if name in slots_of(kind)}
    names = data.draw(st.sets(st.sampled_from([*slots_of(kind), "unheard_of"]), min_size=1, max_size=4))
    odd = {name: data.draw(_odd, label=name) for name in names}
    made = mended(kind, {**fields, **odd}, 10**15)
    writer = RunWriter(run_id="a" * 32, project="p", workflow="w", emitter_id="e", run_started_at=1)
    _, item = writer.write(made.kind, seq=0, occurred_at=10**15, fields=made.fields)
    assert 0 < len(item) <= MAX_EVENT_BYTES
    if made.kind is kind:
        EVENT_MODELS[kind].checked(
            event_id="b" * 32, run_id="a" * 32, project="p", workflow="w", emitter_id="e", seq=0, run_started_at=1,
            occurred_at=2, **{name: _strict(value) for name, value in made.fields.items()},
        )  # fmt: skip
        untouched = {name: value for name, value in fields.items() if name not in odd and name != "labels"}
        assert {name: made.fields.get(name) for name in untouched} == untouched
    named = made.fields.get("labels", {}).get(DROPPED_LABEL, "")
    for name, value in odd.items():
        if name not in made.fields and made.kind is kind and not _says_nothing(value):
            assert name in named, "what is left out is named"


def _strict(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _says_nothing(value: Any) -> bool:
    if isinstance(value, dict):
        return all(said is None for said in value.values())
    if isinstance(value, np.ndarray):
        return value.size == 0
    # Whether an iterator gave anything can be seen no more.
    return value is None or isinstance(value, Iterator) or (isinstance(value, str | list | tuple | bytes) and not value)

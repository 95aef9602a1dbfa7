"""Reading trusts no byte: what is wrong is set aside with its reason, and its neighbours are untouched."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeline.schemas import catalogue, wire
from causeline.schemas.contract import broken_by
from causeline.schemas.errors import InvalidEvent
from causeline.schemas.events import Record, from_record, to_record
from causeline.schemas.references import WHAT
from causeline.streams.definition.reading import Message, Read
from causeline.streams.definition.records import Event
from causeline.streams.worker.publications import dead_letter
from tests.unit.schemas.strategies import any_event
from tests.unit.streams.both import arrivals, assemble, decoded
from tests.unit.streams.build import SCHEMA, SCHEMAS, batch, event, in_partition, messages, whole_run


def among_neighbours(value: bytes | None) -> Read:
    """`value` between two good messages."""
    found = decoded(in_partition([batch(whole_run(1)), value, batch(whole_run(2))]))
    offsets = [place.offset for _, place in found.arrivals if place is not None]
    assert [offsets.count(0), offsets.count(2)] == [5, 5], "the neighbours are untouched"
    return found


def raw(*items: bytes, count: int | None = None, tail: bytes = b"\x00") -> bytes:
    payload = wire.encode_string("e") + wire.encode_long(len(items) if count is None else count) + b"".join(items)
    return wire.frame(SCHEMA.schema_id, payload + tail)


ITEM = wire.encode_item(SCHEMA, event("run_started"))
LONG = wire.encode_long(2**40)
FIRST_UNION = ITEM.index(b"\x00" * 5)
"""Where the branches of the nullable fields begin."""
LABELLED = wire.encode_item(SCHEMA, event("run_started", labels=[{"key": "k", "value": "v"}]))


def branch(number: int) -> bytes:
    """An item whose first nullable field has this branch."""
    return ITEM[:FIRST_UNION] + wire.encode_long(number) + ITEM[FIRST_UNION + 1 :]


HOSTILE = {
    "tombstone": (None, "empty"),
    "empty value": (b"", "empty"),
    "other magic": (b"\x01" + raw(ITEM)[1:], "bad_magic"),
    "unknown schema": (wire.frame(7, raw(ITEM)[5:]), "unknown_schema"),
    "cut short": (raw(ITEM)[:-20], "corrupt"),
    "string of 2^40 bytes": (raw(LONG + ITEM[1:]), "corrupt"),
    "string of -5 bytes": (raw(wire.encode_long(-5) + ITEM[1:]), "corrupt"),
    "invalid UTF-8": (raw(ITEM.replace(b"\x02p\x02w", b"\x02\xff\x02w")), "corrupt"),
    "number of 20 bytes": (raw(b"\xff" * 20 + ITEM[1:]), "corrupt"),
    "one item too few": (raw(ITEM, ITEM, count=3), "corrupt"),
    "one item too many": (raw(ITEM, ITEM, ITEM, count=2), "trailing_bytes"),
    "count of 2^40": (raw(ITEM, count=2**40), "oversized"),
    "byte too many": (raw(ITEM, b"\x00"), "corrupt"),
    "no end": (raw(ITEM, tail=b""), "corrupt"),
    "branch -1 of a union": (raw(branch(-1)), "corrupt"),
    "branch 2 of a union of two": (raw(branch(2)), "corrupt"),
    "branch 2^40 of a union": (raw(branch(2**40)), "corrupt"),
    "3e7 labels in a few bytes": (
        raw(LABELLED.replace(b"\x02\x02k\x02v\x00", wire.encode_long(30_000_000))),
        "corrupt",
    ),
    "-3e7 labels, sized": (raw(LABELLED.replace(b"\x02\x02k", wire.encode_long(-30_000_000) + b"\x02k")), "corrupt"),
    "lone surrogate": (raw(ITEM.replace(b"\x02p\x02w", b"\x06\xed\xa0\x80\x02w")), "corrupt"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_becomes_unreadable_and_its_neighbours_are_read(name: str) -> None:
    value, reason = HOSTILE[name]
    (unreadable,) = among_neighbours(value).unreadable
    assert (unreadable.offset, unreadable.value, unreadable.item) == (1, value or b"", None)
    assert unreadable.reason == reason


def test_two_messages_whose_faults_cancel_out_are_both_found() -> None:
    """One holds an item more than it says, the next one less: together as many as promised, and none is right."""
    more, less = raw(ITEM, ITEM, count=1), raw(ITEM, count=2)
    found = decoded(in_partition([more, less]))
    assert found.arrivals == []
    assert [each.offset for each in found.unreadable] == [0, 1]


INVALID: dict[str, tuple[str, dict[str, Any]]] = {
    "run id of another alphabet": ("run_started", {"run_id": "x" * 32}),
    "run id in upper case": ("run_started", {"run_id": "A" * 32}),
    "run id with a line's end": ("run_started", {"run_id": "a" * 32 + "\n"}),
    "run id of SQL": ("run_started", {"run_id": "' OR 1=1--"}),
    "run id with NUL": ("run_started", {"run_id": "a" * 31 + "\0"}),
    "run id of 100 kB": ("run_started", {"run_id": "a" * 100_000}),
    "empty run id": ("run_started", {"run_id": ""}),
    "first moment of 64 bits": ("run_started", {"occurred_at": -(2**63)}),
    "run id of zeros": ("run_started", {"run_id": "0" * 32}),
    "run id of a path": ("run_started", {"run_id": "../../etc/passwd"}),
    "empty event id": ("run_started", {"event_id": ""}),
    "step id too short": ("step_finished", {"step_id": "ab"}),
    "no type": ("", {}),
    "a word of 300 characters": ("step_finished", {"status": "x" * 300}),
    "time before 1970": ("run_started", {"occurred_at": -1}),
    "last moment of 64 bits": ("run_started", {"occurred_at": 2**63 - 1}),
    "not a number": ("step_finished", {"cost_usd": float("nan")}),
    "infinite cost": ("step_finished", {"cost_usd": float("inf")}),
    "score over 1": ("evidence_checked", {"provenance_score": 1.5}),
    "score that is no number": ("evidence_checked", {"provenance_score": float("nan")}),
    "negative seq": ("run_started", {"seq": -1}),
    "nothing expected": ("run_finished", {"expected_events": 0}),
    "step without a kind": ("step_finished", {"step_kind": None}),
    "review without an outcome": ("review_recorded", {"review_outcome": None}),
    "too many labels": ("run_started", {"labels": [{"key": str(n), "value": ""} for n in range(33)]}),
    "a prompt for a reference": ("run_started", {"input_ref": "note: he called and said yes"}),
    "JSON for a reference": ("step_finished", {"raw_output_ref": '{"total":300}'}),
    "an id without a scheme": ("step_finished", {"parsed_artifact_ref": "contract-7"}),
    "a reference and a line": ("step_finished", {"attributes_ref": "artifact:a\n"}),
    "a blank of another kind": ("review_recorded", {"review_note_ref": "note:said\u2003yes"}),
    "a name for a reviewer": ("review_recorded", {"reviewer_ref": "Jane Doe"}),
    "a document for its address": ("step_finished", {"input_ref": "data:text/plain;base64," + "A" * 3000}),
    "text among references": ("step_finished", {"context_refs": ["doc:1", "the contract of May"]}),
    "text among what supports": ("evidence_checked", {"evidence_refs": ["page 3"]}),
    "a side that quotes": (
        "evidence_checked",
        {"conflict_sides": [{"source_ref": "doc:1", "value_ref": "300 EUR", "source_kind": None, "score": None}]},
    ),
    "10,000 labels": ("run_started", {"labels": [{"key": str(n), "value": ""} for n in range(10_000)]}),
}


@pytest.mark.parametrize("name", INVALID)
def test_an_event_that_breaks_the_contract_is_set_aside_alone(name: str) -> None:
    kind, wrong = INVALID[name]
    bad = event(kind, **wrong)
    found = among_neighbours(batch([event("run_started", run=7), bad, event("step_finished", run=7)]))
    (unreadable,) = found.unreadable
    assert (unreadable.offset, unreadable.item, unreadable.reason) == (1, 1, "invalid_event")
    assert len(found.arrivals) == 12
    alone = wire.decode_items(wire.read_block(unreadable.value, "trace-batch", SCHEMAS))
    assert [repr(each["event_id"]) for each in alone] == [repr(bad["event_id"])]
    with pytest.raises(InvalidEvent):
        from_record({key: value for key, value in alone[0].items() if value is not None})


def test_a_fault_is_named_without_its_value() -> None:
    (unreadable,) = decoded(messages([event("step_finished", parent_step_id="secret")])).unreadable
    assert unreadable.detail == "parent_step_id is not 16 lower-case hex digits, or is zero."


@pytest.mark.parametrize(
    "newer",
    [
        event("cache_hit"),
        event("step_finished", step_kind="cache"),
        event("step_finished", status="cancelled"),
        event("run_finished", final_state="deferred"),
        event("evidence_checked", next_step="ask_twice"),
        event("fallback_taken", fallback_taken="cached_answer"),
        event("review_recorded", review_outcome="deferred"),
        event("eval_recorded", eval_outcome="flaky"),
    ],
    ids=lambda newer: str(newer["event_type"]),
)
def test_a_word_of_a_newer_producer_is_kept_as_a_word(newer: Record) -> None:
    values = messages(whole_run(1, steps=1)[:2], [newer])
    found = decoded(values)
    assert found.unreadable == []
    kept = found.arrivals[-1].event._asdict()
    assert {name: kept[name] for name in newer} == newer
    [run] = assemble(values).runs
    assert run["events"] == 3, "it counts, whatever it means"


@pytest.mark.parametrize("name", INVALID)
def test_a_single_event_is_refused_as_one_of_many_is(name: str) -> None:
    """The loader asks the contract of single records; what the worker buries it must not store."""
    kind, wrong = INVALID[name]
    record = {**dict.fromkeys(Event._fields), **event(kind, **wrong)}
    assert [broken_by(record)] == [each.detail for each in decoded(messages([event(kind, **wrong)])).unreadable]


@pytest.mark.parametrize("name", INVALID)
def test_what_is_asked_at_the_door_is_not_asked_again_of_what_is_stored(name: str) -> None:
    kind, wrong = INVALID[name]
    sentence = broken_by(event(kind, **wrong)) or ""
    still = broken_by(event(kind, **wrong), stored=True)
    assert still == (None if WHAT in sentence else sentence)


@given(st.lists(any_event(), min_size=1, max_size=8))
@settings(max_examples=80, deadline=None)
def test_every_event_that_the_models_accept_passes_as_it_is(events: Sequence[Any]) -> None:
    records = [to_record(each) for each in events]
    exact = wire.decode_items(wire.read_block(batch(records), "trace-batch", SCHEMAS))
    assert [arrival.event._asdict() for arrival in arrivals(records)] == exact


@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_no_flipped_bytes_harm_the_neighbours(junk: bytes, at: int, cut: int) -> None:
    good = batch(whole_run(3))
    at = min(at, len(good))
    among_neighbours(good[:at] + junk + good[at + len(junk) + cut :])


def test_blocks_with_sizes_are_read_too() -> None:
    payload = wire.encode_string("e") + wire.encode_long(-1) + wire.encode_long(len(ITEM)) + ITEM + b"\x00"
    assert len(among_neighbours(wire.frame(SCHEMA.schema_id, payload)).arrivals) == 11


def test_an_empty_batch_holds_no_event() -> None:
    assert among_neighbours(raw(tail=b"")).unreadable == []


def test_messages_of_several_partitions_keep_their_places() -> None:
    records: list[Record] = whole_run(1)
    found = decoded([Message(3, 9, batch(records)), Message(1, 4, batch(records[:2]))])
    assert [arrival.place for arrival in found.arrivals] == [
        *((3, 9, item) for item in range(5)),
        *((1, 4, item) for item in range(2)),
    ]


def test_no_messages_give_nothing() -> None:
    assert decoded([]) == ([], [])


def test_batches_of_every_version_of_the_schema_may_stand_in_one_topic() -> None:
    versions = catalogue.versions("trace-batch")
    events = [whole_run(number) for number in range(1, 2 * len(versions) + 1)]
    values = []
    for number, records in enumerate(events):
        schema = versions[number % len(versions)]
        items = [wire.encode_item(schema, record) for record in records]
        values.append(wire.encode_batch(schema.schema_id, wire.encode_string("e"), items))
    found = decoded(in_partition(values))
    assert found.unreadable == []
    told = [arrival.event for arrival in found.arrivals]
    assert [each.event_id for each in told] == [record["event_id"] for records in events for record in records]
    assert [each.conflict_sides for each in told] == [[]] * len(told)


def test_a_side_without_a_sound_score_is_refused_and_says_so() -> None:
    side = {"source_ref": "doc:1", "value_ref": None, "source_kind": None, "score": 1.5}
    found = decoded(messages([event("evidence_checked", conflict_sides=[side]), event("run_started", run=2)]))
    (bad,) = found.unreadable
    assert bad.detail.startswith("conflict_sides has a side")
    assert len(found.arrivals) == 1


def test_a_schema_id_too_large_for_a_letter_is_left_out_of_it() -> None:
    found = decoded([Message(0, 0, b"\x00\xff\xff\xff\xff" + raw(ITEM)[5:])])
    letter = dead_letter(found.unreadable[0], topic="t", key=None, produced_at_us=None, now_us=0, schemas=SCHEMAS)
    assert wire.decode_datum(letter, "dead-letter", SCHEMAS)["schema_id"] is None

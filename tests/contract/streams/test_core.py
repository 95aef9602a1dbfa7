"""What every core keeps: what it reads, holds and writes is what the definition says, one event after the other."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.schemas import catalogue, wire
from causeline.schemas.decisions import AFTERTHOUGHTS
from causeline.schemas.events import Record
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.policy_file import parse_policy
from causeline.schemas.vocabulary import CloseReason
from causeline.streams.definition.events import Arrival
from causeline.streams.definition.reading import Message, read
from causeline.streams.definition.records import Event
from causeline.streams.definition.run import run_of
from causeline.streams.runs.core import Brief, Core, Fresh, Part, Share, Stretch, Written
from causeline.streams.runs.records import brief_of, record_of
from tests.contract import core_schema
from tests.examples import tried
from tests.unit.streams.both import CORES, arrivals, as_claims, refusing_core
from tests.unit.streams.build import SCHEMA, SCHEMAS, batch, event, in_partition, messages, mixed_events, whole_run
from tests.unit.streams.runs.test_reading import HOSTILE, INVALID
from tests.unit.streams.wild import wild_events

RUN = catalogue.latest("run-batch")
STRICT = parse_policy(
    """
    version = 1
    [workflow.w]
    authority = ["schedule", "booklet"]
    threshold = 0.95
    support_floor = 0.6
    next_steps = { missing_citation = ["retry", "safe_stop"] }
    evidence."$.a" = { required = true }
    """
)
SIDE = {"source_ref": "doc:1", "value_ref": None, "source_kind": None, "score": None}


def test_what_the_compiled_core_knows_is_what_is_said_here() -> None:
    assert core_schema.PATH.read_text("utf-8") == core_schema.text(), "python -m tests.contract.core_schema"


each_core = pytest.mark.parametrize("core", CORES, ids=lambda core: type(core).__name__)


def ids(core: Core, parts: Iterable[Part]) -> list[str]:
    return [wire.event_id_of(item) for item in core.items(list(parts))]


def ids_of(records: Iterable[Record]) -> list[object]:
    return [record["event_id"] for record in records]


def part_of(core: Core, *records: Record) -> Part:
    """The events of one run from one emitter, as they come in one message."""
    [share] = core.read(messages(records)).shares
    return share.part


def parts_by_run(core: Core, values: Sequence[Message]) -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = {}
    for share in core.read(values).shares:
        found.setdefault(share.run_id, []).append(share.part)
    return found


def joined(core: Core, parts: Sequence[Part], **more: Any) -> Written:
    return core.joined(parts, **{"closed_at": 5, "reason": None, "policy": STRICT, **more})


def told(share: Share) -> tuple[object, ...]:
    """All that is said of a share, lists as lists."""
    return tuple(list(each) if isinstance(each, (list, tuple)) else each for each in share[:-1])


# --- reading


@each_core
@pytest.mark.parametrize("name", HOSTILE)
def test_of_a_hostile_message_all_is_told_that_the_definition_tells(core: Core, name: str) -> None:
    values = in_partition([batch(whole_run(1)), HOSTILE[name][0], batch(whole_run(2))], 2, 7)
    found = core.read(values)
    assert [astuple(each) for each in found.unreadable] == [
        astuple(each) for value in values for each in read(value, SCHEMAS).unreadable
    ]
    assert (found.events, [share.offset for share in found.shares]) == (10, [7, 9])


@each_core
@pytest.mark.parametrize("name", INVALID)
def test_of_a_bad_event_among_good_ones_all_is_told_that_the_definition_tells(core: Core, name: str) -> None:
    kind, wrong = INVALID[name]
    start, bad, end = event("run_started", run=7), event(kind, **wrong), event("step_finished", run=7, seq=1)
    [value] = messages([start, bad, end])
    found = core.read([value])
    assert [astuple(each) for each in found.unreadable] == [astuple(each) for each in read(value, SCHEMAS).unreadable]
    assert [each.item for each in found.unreadable] == [1]
    assert (found.events, ids(core, (share.part for share in found.shares))) == (2, ids_of([start, end]))


@each_core
def test_nothing_is_read_of_nothing(core: Core) -> None:
    found = core.read([])
    assert (found.events, list(found.shares), list(found.checks), list(found.unreadable)) == (0, [], [], [])


@each_core
def test_a_message_is_shared_among_runs_and_emitters_in_the_order_of_their_first_events(core: Core) -> None:
    mine, other, theirs = (
        [event("step_finished", run=run, seq=n, emitter=emitter, workflow=f"w{n}") for n in numbers]
        for run, emitter, numbers in ((2, "b", (4, 1)), (1, "a", (0, 0)), (2, "a", (7, 2)))
    )
    order = [mine[0], other[0], theirs[0], theirs[1], other[1], mine[1]]
    found = core.read(messages(order, theirs, partition=3, first_offset=5))
    said = [
        (share.partition, share.run_id[-1], share.offset, share.emitter_id, share.workflow) for share in found.shares
    ]
    assert said == [(3, "2", 5, "b", "w4"), (3, "1", 5, "a", "w0"), (3, "2", 5, "a", "w7"), (3, "2", 6, "a", "w7")]
    assert [list(share.seqs) for share in found.shares] == [[4, 1], [0, 0], [7, 2], [7, 2]]
    assert ids(core, (share.part for share in found.shares[:3])) == ids_of([*mine, *other, *theirs])
    assert [len(share.part) for share in found.shares] == [2, 2, 2, 2]


@each_core
def test_a_share_counts_what_decides_about_its_run(core: Core) -> None:
    more = [
        event("run_finished", seq=8, expected_events=None, expected_steps=["custom:a", "custom:b", "custom:c"]),
        event("run_finished", seq=9, expected_events=6, expected_steps=["custom:a"]),
        event("run_started", seq=1, expected_events=30),
        *(event(kind, seq=n + 10) for n, kind in enumerate(("review_recorded", "eval_recorded", "review_claimed"))),
        event("evaluation_recorded", seq=20, evaluation_name="e"),
        event("step_started", seq=21),
    ]
    [share] = core.read(messages([*whole_run(1), *more])).shares
    assert (share.starts, share.ends, share.steps, share.afterthoughts) == (2, 3, 3, 4)
    assert (share.expected_events, share.expected_steps) == (30, 3)
    [silent] = core.read(messages([event("step_started")])).shares
    assert (silent.expected_events, silent.expected_steps, silent.afterthoughts) == (None, 0, 0)


@each_core
def test_decisions_are_claims_and_nothing_else_is_changed(core: Core) -> None:
    records = [event(kind) for kind in ("review_recorded", "eval_recorded", "evaluation_recorded", "run_started")]
    records[2] |= {"evaluation_name": "e"}
    [share] = core.read(messages(records)).shares
    found = wire.decode_items(wire.Block(SCHEMA, 4, memoryview(b"".join(core.items([share.part])))))
    assert [{name: each[name] for name in record} for each, record in zip(found, records, strict=True)] == as_claims(
        records
    )
    assert {each["event_type"] for each in found[:3]} <= set(AFTERTHOUGHTS)


@each_core
def test_each_check_of_evidence_is_told_with_its_place(core: Core) -> None:
    checks = [event("evidence_checked", run=run, seq=1, conflict_sides=[SIDE]) for run in (1, 2, 1)]
    values = messages(
        [event("run_started"), checks[0]], [*checks[1:], event("run_started")], partition=1, first_offset=4
    )
    found = core.read(values).checks
    assert [(each.partition, each.offset) for each in found] == [(1, 4), (1, 5), (1, 5)]
    assert [each.event for each in found] == [arrivals([check])[0].event for check in checks]


@each_core
def test_batches_of_every_version_of_the_schema_are_read(core: Core) -> None:
    values = [
        wire.encode_batch(schema.schema_id, wire.encode_string("e"), [wire.encode_item(schema, each) for each in run])
        for schema, run in ((schema, whole_run(schema.version)) for schema in catalogue.versions("trace-batch"))
    ]
    found = core.read(in_partition(values))
    assert (list(found.unreadable), found.events) == ([], 5 * len(values))
    exact = [read(value, SCHEMAS).arrivals for value in in_partition(values)]
    assert [item for share in found.shares for item in core.items([share.part])] == [
        wire.encode_item(SCHEMA, arrival.event._asdict()) for some in exact for arrival in some
    ]


@each_core
@given(st.integers(0, 2**32))
@tried(40)
def test_what_is_read_of_whatever_the_contract_lets_through_is_what_was_written(core: Core, seed: int) -> None:
    records = wild_events(seed, runs=3)
    found = core.read(messages(records[::2], records[1::2]))
    expected: dict[tuple[int, object, object], list[Record]] = {}
    for offset, some in enumerate((records[::2], records[1::2])):
        for record in as_claims(some):
            expected.setdefault((offset, record["run_id"], record["emitter_id"]), []).append(record)
    assert [told(share) for share in found.shares] == [_said(offset, some) for (offset, *_), some in expected.items()]
    assert [core.items([share.part]) for share in found.shares] == [
        [wire.encode_item(SCHEMA, record) for record in some] for some in expected.values()
    ]
    assert list(found.unreadable) == []


def _said(offset: int, some: Sequence[Any]) -> tuple[object, ...]:
    kinds = [record["event_type"] for record in some]
    return (
        0, some[0]["run_id"], offset, some[0]["emitter_id"], some[0]["workflow"], [record["seq"] for record in some],
        kinds.count("run_started"), kinds.count("run_finished"), kinds.count("step_finished"),
        sum(kind in AFTERTHOUGHTS for kind in kinds),
        max((each for record in some if (each := record["expected_events"]) is not None), default=None),
        max(len(record["expected_steps"]) for record in some),
    )  # fmt: skip


@each_core
@given(st.integers(0, 2**32), st.lists(st.tuples(st.integers(0, 2**32), st.integers(0, 255)), min_size=1, max_size=3))
@tried(200)
def test_of_bytes_that_nobody_wrote_all_is_read_that_the_definition_reads(
    core: Core, seed: int, flips: Sequence[tuple[int, int]]
) -> None:
    value = bytearray(batch(wild_events(seed, runs=1)))
    for at, byte in flips:
        value[at % len(value)] = byte
    message = Message(0, 0, bytes(value))
    found, exact = core.read([message]), read(message, SCHEMAS)
    assert [astuple(each) for each in found.unreadable] == [astuple(each) for each in exact.unreadable]
    events = sorted(wire.encode_record(SCHEMA, each) for each in as_claims(e._asdict() for e, _ in exact.arrivals))
    assert sorted(core.items([share.part for share in found.shares])) == events


# --- holding


def fresh(core: Core, held: Iterable[Part], part: Part) -> Fresh:
    """What is new of a part to a core that knows what is held."""
    known = core.known()
    for each in held:
        known.take(each)
    return known.take(part)


@each_core
def test_of_a_part_the_new_events_are_kept_and_the_others_counted(core: Core) -> None:
    start, step, end = whole_run(1, steps=1)
    held = [part_of(core, start), part_of(core, step)]
    other = step | {"step_name": "other"}
    found = fresh(core, held, part_of(core, end, step, other, start, end, end | {"status": "error"}))
    assert found.part is not None
    assert (ids(core, [found.part]), len(found.part)) == (ids_of([end]), 1)
    assert (found.steps, found.duplicates, found.conflicting) == (0, 5, 2)


@each_core
def test_of_a_part_that_is_held_nothing_is_new(core: Core) -> None:
    part = part_of(core, *whole_run(1))
    assert fresh(core, [part], part) == (None, 0, 5, 0)


@each_core
def test_where_nothing_is_held_the_first_of_each_is_new(core: Core) -> None:
    step = event("step_finished", seq=1)
    found = fresh(core, [], part_of(core, step, step | {"step_name": "b"}, event("step_finished", seq=2)))
    assert found.part is not None
    assert (len(found.part), found.steps, found.duplicates, found.conflicting) == (2, 2, 1, 1)


@each_core
def test_what_is_not_a_number_is_like_itself(core: Core) -> None:
    nan = float("nan")
    once, again, other = (arrivals([event("evaluation_recorded", evaluation_name="e")])[0].event for _ in range(3))
    once, again = (each._replace(event_id="e" * 32, occurred_at=1, evaluation_score=nan) for each in (once, again))
    held = core.part_of([once])
    assert fresh(core, [held], core.part_of([again])).conflicting == 0
    assert fresh(core, [held], core.part_of([again._replace(evaluation_score=0.5), other])).conflicting == 1


@each_core
def test_parts_together_are_their_events_in_order_each_with_its_place(core: Core) -> None:
    records = whole_run(1)
    parts = [share.part for share in core.read(messages(*([each] for each in records), first_offset=7)).shares]
    both = core.together(parts)
    assert (len(both), core.items([both])) == (5, core.items(parts))
    assert joined(core, [both]) == joined(core, parts)


# --- writing


def same(found: Written, events: Sequence[Arrival], **more: Any) -> None:
    """Whether a run is written as the definition has it."""
    expected = run_of(events, **{"closed_at": 5, "reason": None, "policy": STRICT, **more})
    assert record_of(found.item) == expected.run
    assert found.item == wire.encode_record(RUN, cast("Record", expected.run))
    assert _lists(found.brief) == _lists(brief_of(expected.run))
    assert (found.last_offset, found.duplicates, found.conflicting) == (
        expected.run["last_offset"], expected.duplicates, expected.conflicting,
    )  # fmt: skip


def _lists(brief: Brief) -> list[object]:
    return [list(each) if isinstance(each, (list, tuple)) else each for each in brief]


@each_core
@given(st.integers(0, 2**32), st.sampled_from([None, *CloseReason]), st.booleans())
@tried(80)
def test_a_run_is_joined_as_the_definition_says(
    core: Core, seed: int, reason: CloseReason | None, amended: bool
) -> None:
    records = wild_events(seed, runs=3)
    some = [records[at : at + 5] for at in range(0, len(records), 5)]
    events = arrivals(*map(as_claims, some), partition=2, first_offset=3)
    for run_id, parts in parts_by_run(core, messages(*some, partition=2, first_offset=3)).items():
        mine = [arrival for arrival in events if arrival.event.run_id == run_id]
        same(joined(core, parts, reason=reason, amended=amended), mine, reason=reason, amended=amended)


@each_core
@given(mixed_events())
@tried(40)
def test_the_order_in_which_parts_are_handed_over_does_not_matter(core: Core, records: list[Record]) -> None:
    for parts in parts_by_run(core, messages(*([each] for each in records))).values():
        assert joined(core, parts[::-1]) == joined(core, parts)


@each_core
def test_events_that_stand_nowhere_are_joined_too_and_a_stretch_is_said_in_place_of_what_they_know(core: Core) -> None:
    events = [event for event, _ in arrivals(whole_run(1))]
    nowhere = joined(core, [core.part_of(events)])
    same(nowhere, [Arrival(each) for each in events])
    assert nowhere.last_offset is None
    found = joined(core, [core.part_of(events)], stretch=Stretch(3, 8, 11))
    assert record_of(found.item) == {
        **record_of(nowhere.item), "source_partition": 3, "first_offset": 8, "last_offset": 11,
    }  # fmt: skip
    assert found.last_offset == 11
    moved = joined(core, [part_of(core, *whole_run(1))], stretch=Stretch(None, None, None))
    assert (moved.last_offset, record_of(moved.item)["source_partition"]) == (None, None)


@each_core
def test_the_policy_that_is_given_judges(core: Core) -> None:
    weak = event("evidence_checked", seq=9, evidence_refs=["doc:1"], provenance_score=0.75)
    parts = [part_of(core, *whole_run(1), weak)]
    found = [joined(core, parts, policy=policy) for policy in (DEFAULT_POLICY, STRICT)]
    assert [list(run.brief.gap_kinds) for run in found] == [[], ["weak_provenance"]]
    assert [record_of(run.item)["policy_hash"] for run in found] == [DEFAULT_POLICY.content_hash, STRICT.content_hash]


def test_that_the_compiled_core_gives_runs_back_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    core = refusing_core()
    for number in (1, 2):
        joined(core, [part_of(core, *whole_run(number))])
    assert caplog.text.count("the compiled core is at fault") == 1


# --- passing on


@each_core
def test_events_are_passed_on_as_they_came_from_parts_of_any_kind(core: Core) -> None:
    records = [*whole_run(1), event("step_finished", seq=9, labels=[{"key": "k", "value": ""}], evidence_refs=["r:x"])]
    read_, told_ = part_of(core, *records), core.part_of([event for event, _ in arrivals(records)])
    items = [wire.encode_item(SCHEMA, record) for record in records]
    assert (core.items([read_]), core.items([told_])) == (items, items)
    assert core.items([told_, read_]) == items * 2
    assert core.items([]) == []


@each_core
def test_an_event_larger_than_an_emitter_may_send_is_passed_on(core: Core) -> None:
    """Others write to the topic too, and their events are not to be lost."""
    record = event("run_started", labels=[{"key": "k", "value": "v" * 2 * wire.MAX_EVENT_BYTES}])
    item = wire.encode_record(SCHEMA, record)
    [share] = core.read(in_partition([wire.encode_batch(SCHEMA.schema_id, wire.encode_string("e"), [item])])).shares
    assert core.items([share.part]) == [item]


@each_core
def test_a_part_of_events_is_as_long_as_they_are_many(core: Core) -> None:
    events: list[Event] = [event for event, _ in arrivals(whole_run(1))]
    assert len(core.part_of(events)) == len(events)

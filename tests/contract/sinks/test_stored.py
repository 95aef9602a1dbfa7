"""What the amender reads of the store: events as they came, value for value, and where each run's record stands."""

from collections.abc import Sequence
from typing import cast

import pytest
from clickhouse_connect.driver.client import Client

from causeline.runtime.clickhouse_rows import ClickHouseRows
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas import catalogue, tables, wire
from causeline.schemas.errors import NotFound
from causeline.schemas.events import Record
from causeline.streams.amender import stored as stored_module
from causeline.streams.amender.stored import Standing, Stored
from causeline.streams.definition.records import Event
from causeline.streams.runs.readable import Arrivals, ReadableCore
from tests.contract.sinks.test_tables import as_message, decoded, example
from tests.contract.sinks.test_upgrade import load
from tests.unit.streams.both import arrivals, assemble
from tests.unit.streams.build import SCHEMAS, START_US, batch, event, messages, run_id, whole_run

pytestmark = pytest.mark.stack

RUN = catalogue.latest("run-batch")


@pytest.fixture
def stored(store: Client, engine: ClickHouseConnection) -> Stored:
    return Stored(ClickHouseRows(store, engine))


def events(stored: Stored, run_ids: Sequence[str], *, at_most: int) -> dict[str, list[Event]]:
    """What the store has of runs, as the readable core holds it."""
    found = stored.parts(run_ids, at_most=at_most, core=ReadableCore(SCHEMAS))
    parts = cast("dict[str, list[Arrivals]]", found)
    return {run_id: [event for part in some for event, _ in part.arrivals] for run_id, some in parts.items()}


def load_runs(client: Client, runs: Sequence[Record]) -> None:
    items = [wire.encode_record(RUN, run) for run in runs]
    load(client, tables.RUNS, wire.encode_batch(RUN.schema_id, wire.encode_long(3), items))


@pytest.mark.parametrize("kind", ["bare", "smallest", "largest"])
def test_an_event_is_read_as_it_came(store: Client, stored: Stored, kind: str) -> None:
    value = as_message(tables.EVENTS, example(tables.EVENTS, kind))
    load(store, tables.EVENTS, value)

    [[found]] = events(stored, [str(example(tables.EVENTS, kind)["run_id"])], at_most=10).values()

    assert found._asdict() == decoded(tables.EVENTS, value)


def test_each_run_has_its_ends_and_its_first_events(store: Client, stored: Stored) -> None:
    runs = {run_id(number): arrivals(whole_run(number, steps=6)) for number in (1, 2)}
    load(store, tables.EVENTS, *(batch([each.event._asdict() for each in some]) for some in runs.values()))

    found = events(stored, [*runs, run_id(3)], at_most=4)

    assert found == {name: [some[at].event for at in (0, 7, 1, 2)] for name, some in runs.items()}


def test_a_long_run_is_handed_over_in_parts(store: Client, stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_module, "_EVENTS_A_PART", 3)
    load(store, tables.EVENTS, batch(whole_run(1, steps=6)))
    found = stored.parts([run_id(1)], at_most=7, core=ReadableCore(SCHEMAS))
    assert {name: [len(part) for part in parts] for name, parts in found.items()} == {run_id(1): [3, 3, 1]}


def test_of_what_was_stored_before_a_rule_was_there_what_misleads_is_left_out(store: Client, stored: Stored) -> None:
    said = {"event_id": "1" * 32, "run_id": run_id(1), "project": "p", "workflow": "w", "emitter_id": "e"}
    quoting, endless = ({**said, "input_ref": "a text"}, {**said, "event_id": "2" * 32, "project": "p" * 300})
    for record in (quoting, endless):
        store.insert("event_rows", [[*record.values(), "run_started"]], column_names=[*record, "event_type"])

    [[found]] = events(stored, [run_id(1)], at_most=10).values()

    assert (found.event_id, found.input_ref) == ("1" * 32, "a text")


def test_a_run_stands_where_its_record_says_and_its_decisions_are_told_apart(store: Client, stored: Stored) -> None:
    joined, alone = whole_run(1), event("run_started", run=2)
    review = event("review_recorded", emitter="reviewer", seq=0, occurred_at=START_US + 90)
    load(store, tables.EVENTS, batch(joined[:3]), batch([alone]))
    load(store, tables.DECISIONS, batch([review]))
    load_runs(store, assemble(messages([*joined, review], partition=3, first_offset=7), closed_at=1).runs)

    found = stored.standings([run_id(number) for number in (1, 2, 3)], [str(joined[1]["event_id"])])

    assert found == {
        run_id(1): Standing(
            run_id(1), events=4, seen=True, awaited=2, newest_us=START_US + 90, revision=6, source_partition=3,
            first_offset=7, last_offset=7, close_reason="finished",
        ),
        run_id(2): Standing(run_id(2), events=1, seen=False, newest_us=START_US),
    }  # fmt: skip


def test_runs_are_found_by_their_start_and_say_their_gaps(store: Client, stored: Stored) -> None:
    check = event("evidence_checked", seq=9, emitter="c", provenance_score=0.1, evidence_refs=["r:r"])
    runs = assemble(messages([*whole_run(1), check], whole_run(2)), closed_at=1).runs
    load_runs(store, runs)
    start_us = runs[0]["started_at"]

    assert stored.started(start_us, ["w"], limit=10) == [run_id(1), run_id(2)]
    assert (stored.started(start_us + 1, [], limit=10), stored.started(0, ["other"], limit=10)) == ([], [])
    assert stored.gaps([run_id(1), run_id(2)]) == {
        run_id(1): [(check["event_id"], runs[0]["gaps"][0]["kind"], runs[0]["gaps"][0]["next_step"])]
    }


def test_a_run_that_was_amended_without_its_start_is_not_settled(store: Client, stored: Stored) -> None:
    now_us = int(store.query("SELECT toUnixTimestamp64Micro(now64(6))").result_rows[0][0])
    runs = assemble(messages(whole_run(1)[1:], whole_run(2), partition=3), closed_at=now_us, amended=True).runs
    load_runs(store, runs)

    assert stored.unsettled([3], window_s=600, limit=10) == [run_id(1)]
    assert stored.unsettled([4], window_s=600, limit=10) == []


def test_what_the_server_refuses_is_said_in_our_words(store: Client, engine: ClickHouseConnection) -> None:
    with pytest.raises(NotFound):
        list(ClickHouseRows(store, engine).rows("SELECT nothing FROM nowhere", {}))


def test_every_field_of_an_event_has_its_column(store: Client) -> None:
    columns = {name for (name,) in store.query("SELECT name FROM system.columns WHERE table = 'events'").result_rows}
    assert set(Event._fields) <= columns

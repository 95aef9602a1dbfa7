"""What a sender promises, asked of the real one and of the stand-in alike."""

import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from clickhouse_connect.driver.client import Client

from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas import tables, wire
from causeline.sinks.loader.encoding import Encoder
from causeline.sinks.loader.inserting import (
    ROWS_AT_FAULT,
    Backoff,
    ClickHouseSender,
    Persistence,
    RowsRefused,
    Sender,
    Storing,
    TryLater,
)
from causeline.sinks.loader.units import BadMessage, Unit, sift
from tests.unit.sinks.loader.fakes import FakeSender
from tests.unit.sinks.loader.messages import SCHEMAS, batch, event, read, unit
from tests.unit.streams import build as worker_tests
from tests.unit.streams.runs.test_reading import INVALID

pytestmark = pytest.mark.stack


@dataclass
class Store:
    """A sender, and what it stored."""

    sender: Sender
    client: Client | None

    def ids(self) -> list[int]:
        if self.client is None:
            assert isinstance(self.sender, FakeSender)
            return sorted(int(str(row["event_id"]), 16) for row in self.sender.rows)
        return sorted(
            int(name, 16) for (name,) in self.client.query("SELECT event_id FROM narrow_event_rows").result_rows
        )

    def send(self, values: Sequence[bytes], encoder: Encoder | None = None) -> None:
        units = [unit(value, offset) for offset, value in enumerate(values)]
        [insert] = (encoder or Encoder(tables.EVENTS)).inserts(units)
        self.sender.send(insert)


@pytest.fixture(params=["real", "fake"])
def place(request: pytest.FixtureRequest) -> Iterator[Store]:
    if request.param == "fake":
        yield Store(FakeSender(), None)
    else:
        client = request.getfixturevalue("store")
        yield Store(ClickHouseSender(client), client)


def test_good_rows_are_stored_and_sentinels_are_not(place: Store) -> None:
    place.send([batch([event(1), event(2)]), batch([event(3)])])
    assert place.ids() == [1, 2, 3]


def test_the_same_token_again_stores_nothing_more(place: Store) -> None:
    for _ in range(3):
        place.send([batch([event(1)]), batch([event(2)])])
    assert place.ids() == [1, 2]


def test_other_offsets_of_the_same_content_are_not_the_same(place: Store) -> None:
    place.send([batch([event(1)])])
    place.send([batch([event(1)]), batch([event(2)])])
    assert place.ids() == [1, 1, 2]


def corrupted(value: bytes) -> bytes:
    return value.replace(b"invoice", b"inv\xffice")


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(batch([event(9)], count=2), id="a count too high"),
        pytest.param(batch([event(8), event(9)], count=1), id="a count too low"),
        pytest.param(batch([event(9)])[:-3] + b"\x00", id="bytes cut off"),
        pytest.param(batch([event(9)])[:-1] + b"\x00\x00", id="a byte too many"),
        pytest.param(batch([event(9)])[:-1] + batch([event(8)])[-150:], id="half an event too many"),
        pytest.param(batch([event(9, run_id="' OR 1=1--")]), id="a run id that is none"),
        pytest.param(batch([event(9, run_id="0" * 32)]), id="the id that no run has"),
        pytest.param(batch([event(9, run_started_at=-(2**63))]), id="before all time"),
        pytest.param(batch([event(9, occurred_at=2**63 - 1)]), id="after all time"),
        pytest.param(corrupted(batch([event(9)])), id="text that is not UTF-8"),
        pytest.param(
            batch([event(9, labels=[{"key": "k", "value": "invoice"}])]).replace(
                b"\x0einvoice\x00", b"\x0einv\xffice\x00"
            ),
            id="a label that is not UTF-8",
        ),
    ],
)
@pytest.mark.parametrize("at", [0, 1, 2])
def test_bad_rows_are_refused_and_nothing_of_their_insert_is_stored(place: Store, bad: bytes, at: int) -> None:
    values = [batch([event(1)]), batch([event(2), event(3)])]
    values.insert(at, bad)
    with pytest.raises(RowsRefused):
        place.send(values)
    assert place.ids() == []


def test_two_wrong_counts_that_make_up_for_each_other_are_found_out(place: Store) -> None:
    low, high = batch([event(1), event(2)], count=1), batch([event(4)], count=2)
    with pytest.raises(RowsRefused):
        place.send([low, batch([event(3)]), high])
    assert place.ids() == []


def test_a_sentinel_cannot_be_forged(place: Store) -> None:
    place.send([batch([event(1)])])
    with pytest.raises(RowsRefused):
        place.send([batch([event(2)]), batch([event(3, event_id="sentinel-3")])])
    assert place.ids() == [1]


def test_a_server_that_is_away_means_later(engine: ClickHouseConnection, store: Client) -> None:
    with clickhouse_client(engine) as client:
        client.command("RENAME TABLE event_rows TO hidden_rows")
        try:
            with pytest.raises(TryLater, match="UNKNOWN_TABLE"):
                Store(ClickHouseSender(client), client).send([batch([event(1)])])
        finally:
            client.command("RENAME TABLE hidden_rows TO event_rows")
    assert Store(ClickHouseSender(store), store).ids() == []


def test_the_codes_have_the_names_that_the_server_gives_them(migrated: Client) -> None:
    codes = sorted(ROWS_AT_FAULT)
    [[names]] = migrated.query(f"SELECT arrayMap(code -> errorCodeToName(code), {codes})").result_rows
    assert dict(zip(codes, names, strict=True)) == dict(ROWS_AT_FAULT)


def test_broken_clocks_make_no_partition_of_their_own(store: Client) -> None:
    month = 31 * 86_400 * 1_000_000
    records = [event(n, run_started_at=n * month) for n in range(1, 760)]  # 1970 to 2034
    Store(ClickHouseSender(store), store).send([batch(records)])
    [[partitions, outside]] = store.query(
        "SELECT uniqExact(partition), countIf(partition = '0') FROM system.parts"
        " WHERE active AND table = 'narrow_event_rows' AND database = currentDatabase()"
    ).result_rows
    assert 100 < partitions < 200
    assert outside == 1


def mutated(value: bytes, chance: random.Random) -> bytes:
    data = bytearray(value)
    for _ in range(chance.choice([1, 1, 2, 5])):
        kind, at = chance.random(), chance.randrange(wire.FRAME_BYTES + 4, len(data))
        if kind < 0.6:
            data[at] = chance.randrange(256)
        elif kind < 0.8:
            data[at:at] = chance.randbytes(chance.randrange(4))
        else:
            del data[at : at + chance.randrange(4)]
    return bytes(data)


def rich(number: int) -> dict[str, object]:
    return event(
        number,
        labels=[{"key": "k", "value": "vä"}],
        context_refs=["r:r1", "r:r2ö"],
        refusal=True,
        cost_usd=0.5,
        retry_count=3,
        step_name="név",
    )


@pytest.mark.slow
def test_whatever_the_bytes_the_store_and_the_exact_reader_agree(store: Client) -> None:
    """Random damage to one of three messages: its mates are stored, and it is stored only as what it decodes to.

    One difference is known: a union's index that does not exist, before a null, is read as null by ClickHouse.
    """
    chance = random.Random(20_260_101)
    sender, encoder = ClickHouseSender(store), Encoder(tables.EVENTS)
    for trial in range(80):
        values = [batch([rich(1), rich(2)]), mutated(batch([rich(3)]), chance), batch([rich(4)])]
        messages = [read(value, 3 * trial + place) for place, value in enumerate(values)]
        units = [each for each in messages if isinstance(each, Unit)]
        sifted = [part for each in units for part in sift(each, tables.EVENTS, SCHEMAS)]
        records = [record for part in sifted if isinstance(part, Unit) for record in wire.decode_items(part.block)]
        storing = Storing(tables.EVENTS, encoder, sender, SCHEMAS, Persistence(Backoff(0.1, 1), threading.Event()))
        storing.store(units)
        stored = sorted(
            store.query("SELECT event_id, project, seq, step_name, labels, context_refs FROM events").result_rows,
            key=repr,
        )
        expected = sorted((_row(record) for record in records), key=repr)
        unions = [part for part in sifted if isinstance(part, BadMessage) and "IndexError" in part.detail]
        if unions and len(stored) > len(expected):
            assert [row for row in stored if row in expected] == expected
        else:
            assert stored == expected
        store.command("TRUNCATE TABLE narrow_event_rows")


def _row(record: dict[str, object]) -> tuple[object, ...]:
    labels = record["labels"]
    assert isinstance(labels, list)
    return (
        record["event_id"],
        record["project"],
        record["seq"],
        record["step_name"],
        {pair["key"]: pair["value"] for pair in labels},
        record["context_refs"],
    )


@pytest.mark.parametrize("name", INVALID)
def test_an_event_that_the_worker_refuses_is_not_stored(place: Store, name: str) -> None:
    """Else it would be a dead letter and visible, and the amender would count it."""
    kind, wrong = INVALID[name]
    with pytest.raises(RowsRefused):
        place.send([worker_tests.batch([worker_tests.event(kind, **wrong)])])
    assert place.ids() == []


def test_a_word_of_a_newer_producer_is_stored(place: Store) -> None:
    newer = [worker_tests.event("cache_hit"), worker_tests.event("step_finished", seq=1, status="cancelled")]
    place.send([worker_tests.batch(newer)])
    assert place.ids() == sorted(int(str(each["event_id"]), 16) for each in newer)

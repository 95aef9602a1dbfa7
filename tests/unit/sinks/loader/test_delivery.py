"""A batch is delivered when each of its records is stored or buried, whatever services do meanwhile."""

import threading
from collections.abc import Mapping, Sequence

import pytest

from causeline.schemas.errors import Reason
from causeline.sinks.loader.dead_letters import FloodGate, FloodOfDeadLetters
from causeline.sinks.loader.delivery import Batch, Delivered, Delivery
from causeline.sinks.loader.inserting import Cancelled, RowsRefused, TryLater
from causeline.sinks.loader.routes import Route, routes
from causeline.sinks.loader.units import BadMessage, Unit
from tests.unit.sinks.loader.fakes import FakeDeadLetters, FakeSender, NoPatience
from tests.unit.sinks.loader.messages import SCHEMAS, batch, event, read, unit

ROUTES: Mapping[str, Route] = routes("t")
NEVER = threading.Event()


def batch_of(values: Sequence[bytes | None]) -> Batch:
    messages = [read(value, offset) for offset, value in enumerate(values)]
    return Batch(
        [each for each in messages if isinstance(each, Unit)],
        [each for each in messages if isinstance(each, BadMessage)],
        len(values),
    )


class Bench:
    """A delivery with everything outside it in hand."""

    def __init__(self, *, patience: NoPatience | None = None, after: int = 200) -> None:
        self.sender = FakeSender()
        self.dead_letters = FakeDeadLetters()
        self.patience = patience or NoPatience()
        self._delivery = Delivery(
            ROUTES,
            schemas=SCHEMAS,
            sender=self.sender,
            dead_letters=self.dead_letters,
            gate=FloodGate(0.5, after),
            patience=self.patience,
        )

    def deliver(
        self, values: Sequence[bytes | None], topic: str = "t.events", cancelled: threading.Event = NEVER
    ) -> Delivered:
        return self._delivery.deliver(ROUTES[topic], [batch_of(values)], cancelled)

    @property
    def stored(self) -> list[int]:
        return sorted(int(str(row["event_id"]), 16) for row in self.sender.rows)

    @property
    def buried(self) -> list[tuple[int, Reason]]:
        return sorted((each.origin.offset, each.reason) for each in self.dead_letters.buried)


def test_good_messages_go_as_one_insert() -> None:
    bench = Bench()
    delivered = bench.deliver([batch([event(n)]) for n in range(1, 9)])
    assert delivered == Delivered(messages=8, rows=8, inserts=1, dead=0, retries=0)
    assert bench.stored == list(range(1, 9))


def test_a_message_that_does_not_decode_is_buried_and_its_mates_are_stored() -> None:
    bench = Bench()
    bad = batch([event(50)], count=2)
    delivered = bench.deliver([batch([event(1)]), bad, batch([event(2)])])
    assert bench.stored == [1, 2]
    assert bench.buried == [(1, Reason.CORRUPT)]
    assert bench.dead_letters.buried[0].value == bad
    assert (delivered.rows, delivered.dead) == (2, 1)


def test_a_message_with_a_count_too_low_is_found_out() -> None:
    bench = Bench()
    bench.deliver([batch([event(50), event(51)], count=1), batch([event(1)])])
    assert bench.stored == [1]
    assert bench.buried == [(0, Reason.TRAILING_BYTES)]


def test_of_a_batch_only_the_record_that_breaks_a_rule_is_buried() -> None:
    bench = Bench()
    misnamed = event(50, run_id="../../etc")
    bench.deliver([batch([event(1), misnamed, event(2)])])
    assert bench.stored == [1, 2]
    [letter] = bench.dead_letters.buried
    assert (letter.reason, letter.item, letter.value) == (Reason.INVALID_EVENT, 1, batch([misnamed]))
    assert "etc" not in letter.detail


def test_what_the_server_alone_objects_to_is_found_by_halves() -> None:
    bench = Bench()
    bench.sender.refuses = lambda row: row["seq"] in {5, 6}
    bench.deliver([batch([event(n), event(n + 1)]) for n in (1, 3, 5, 7)])
    assert bench.stored == [1, 2, 3, 4, 7, 8]
    assert bench.buried == [(2, Reason.REFUSED), (2, Reason.REFUSED)]
    assert {each.item for each in bench.dead_letters.buried} == {0, 1}


def test_a_services_fault_takes_time_and_nothing_else() -> None:
    bench = Bench()
    bench.sender.faults = [TryLater("TOO_MANY_PARTS"), TryLater("OperationalError"), TryLater("READONLY")]
    delivered = bench.deliver([batch([event(1)])])
    assert bench.stored == [1]
    assert bench.buried == []
    assert bench.patience.pauses == [1, 2, 3]
    assert delivered.retries == 3


def test_dead_letters_that_cannot_be_written_are_written_later() -> None:
    bench = Bench()
    bench.dead_letters.faults = [TryLater("_TIMED_OUT"), TryLater("_TIMED_OUT")]
    bench.deliver([b"", batch([event(1)])])
    assert bench.buried == [(0, Reason.EMPTY)]
    assert bench.patience.pauses == [1, 2]


def test_partitions_that_share_an_insert_are_narrowed_down_and_counted_each() -> None:
    bench = Bench(after=4)
    bad = batch([event(50)], count=2)
    batches = [
        Batch([unit(bad, 0, partition), unit(batch([event(partition)]), 1, partition)], [], 2) for partition in (1, 2)
    ]
    delivered = bench._delivery.deliver(ROUTES["t.events"], batches, NEVER)
    assert delivered == Delivered(messages=4, rows=2, inserts=1, dead=2, retries=0)
    assert bench.stored == [1, 2]
    assert [(each.origin.partition, each.origin.offset) for each in bench.dead_letters.buried] == [(1, 0), (2, 0)]
    with pytest.raises(FloodOfDeadLetters, match="3 of the last 5"):
        bench.deliver([b""])


def test_a_partition_given_up_ends_the_attempts() -> None:
    cancelled = threading.Event()
    bench = Bench(patience=NoPatience(gives_up_after=3))
    bench.sender.faults = [TryLater("down") for _ in range(10)]
    with pytest.raises(Cancelled):
        bench.deliver([batch([event(1)])], cancelled=cancelled)
    cancelled.set()
    with pytest.raises(Cancelled):
        bench.deliver([batch([event(1)])], cancelled=cancelled)
    assert bench.stored == []


def test_the_same_batch_again_is_stored_once() -> None:
    bench = Bench()
    for _ in range(3):
        bench.deliver([batch([event(1)]), batch([event(2)])])
    assert bench.stored == [1, 2]


def test_a_flood_is_not_buried() -> None:
    bench = Bench(after=10)
    with pytest.raises(FloodOfDeadLetters, match=r"6 of the last 10 messages cannot be stored \(empty\)"):
        bench.deliver([b""] * 6 + [batch([event(n)]) for n in range(1, 5)])
    assert bench.dead_letters.buried == []


def test_half_of_the_messages_bad_is_not_yet_a_flood() -> None:
    bench = Bench(after=10)
    bench.deliver([b""] * 5 + [batch([event(n)]) for n in range(1, 6)])
    assert len(bench.buried) == 5


def test_few_bad_messages_are_no_flood() -> None:
    bench = Bench(after=10)
    bench.deliver([b""] * 9)
    assert len(bench.buried) == 9


def test_a_flood_long_over_is_forgotten() -> None:
    gate = FloodGate(0.5, 10)
    gate.admit(9, 9, ["empty"])
    for _ in range(20):
        gate.admit(10, 0, [])
    gate.admit(9, 9, ["empty"])
    gate.admit(1, 1, ["empty"])


def test_a_bad_dead_letter_is_not_buried_again() -> None:
    bench = Bench(after=1)
    bad = read(b"\x01", 4)
    assert isinstance(bad, BadMessage)
    delivered = bench._delivery.deliver(ROUTES["t.dead"], [Batch([], [bad], 5)], NEVER)
    assert delivered.dead == 1
    assert bench.dead_letters.buried == []


def test_an_error_that_nobody_foresaw_is_not_swallowed() -> None:
    bench = Bench()
    bench.sender.faults = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        bench.deliver([batch([event(1)])])


def test_refusals_of_good_rows_end() -> None:
    bench = Bench()
    bench.sender.faults = [RowsRefused("INCORRECT_DATA") for _ in range(3)]
    bench.deliver([batch([event(1)])])
    assert bench.buried == [(0, Reason.REFUSED)]

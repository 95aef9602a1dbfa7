"""Runs amended by name: the next revision of each that has one, and what is said of the others."""

from causeline.schemas.partition import partition_of
from causeline.streams.amender.on_demand import Amended, OnDemand, Outcome
from causeline.streams.runs.core import Part
from tests.unit.streams.amender.test_amender import SETTINGS, ListPublisher, ListStored, review
from tests.unit.streams.build import CORE, SCHEMAS, START_US, run_id, whole_run

PARTITIONS = 4


def amending(stored: ListStored) -> tuple[OnDemand, ListPublisher]:
    publisher = ListPublisher()
    return OnDemand(stored, publisher, SCHEMAS, CORE, SETTINGS, PARTITIONS), publisher


def test_each_run_that_is_asked_for_has_its_answer_in_order_and_once() -> None:
    stored = ListStored()
    for number in (1, 2):
        stored.stored += whole_run(number)
    stored.stored.append(review(run=2))
    stored.records = {
        run_id(1): {"revision": 5, "source_partition": 3},
        run_id(2): {"revision": 5, "source_partition": 3, "first_offset": 7, "last_offset": 9},
    }
    on_demand, publisher = amending(stored)

    answers = on_demand.amend([run_id(3), run_id(2), run_id(1), run_id(2)], START_US)

    assert answers == [
        Amended(run_id(3), Outcome.UNKNOWN, 0, 0),
        Amended(run_id(2), Outcome.AMENDED, 5, 6),
        Amended(run_id(1), Outcome.NOTHING_NEW, 5, 5),
    ]
    [run] = publisher.runs()
    assert [run[name] for name in ("run_id", "source_partition", "first_offset", "last_offset")] == [run_id(2), 3, 7, 9]


def test_a_run_that_nobody_joined_goes_where_its_id_says() -> None:
    stored = ListStored()
    stored.stored += whole_run(1)
    on_demand, publisher = amending(stored)

    [answer] = on_demand.amend([run_id(1)], START_US)

    assert (answer.answer, answer.before, answer.after) == (Outcome.AMENDED, 0, 5)
    assert [place for _, place, _ in publisher.sent] == [partition_of(run_id(1), PARTITIONS)]


def test_a_run_none_of_whose_events_keeps_the_contract_has_nothing_new() -> None:
    class Emptied(ListStored):
        def parts(self, *_: object, **__: object) -> dict[str, list[Part]]:
            return {}

    stored = Emptied()
    stored.stored += whole_run(1)
    on_demand, publisher = amending(stored)

    assert on_demand.amend([run_id(1)], START_US) == [Amended(run_id(1), Outcome.NOTHING_NEW, 0, 0)]
    assert publisher.sent == []

"""Leases on the real engine: two reviewers never get the same item."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from clickhouse_connect.driver.client import Client

from causeline.reviews.leases import claim, hold, lease_next, release
from causeline.reviews.queue import Wanted, item_by_id, items, stats
from causeline.reviews.store import ClickHouseLeases, open_leases
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import CheckFailed, NotFound
from causeline.sinks.migrate import migrate

pytestmark = pytest.mark.stack

REVIEWERS = 8
ITEMS = 24
LONG_S = 600.0


@pytest.fixture
def database(clickhouse: ClickHouseConnection) -> Iterator[ClickHouseConnection]:
    """A database of this test's own."""
    name = f"reviews_{uuid.uuid4().hex}"
    connection = clickhouse.model_copy(update={"url": clickhouse.url.rsplit("/", 1)[0] + f"/{name}"})
    migrate(connection)
    yield connection
    with clickhouse_client(connection) as client:
        client.command(f"DROP DATABASE {name}")


@pytest.fixture
def store(database: ClickHouseConnection) -> Iterator[ClickHouseLeases]:
    with open_leases(database) as opened:
        yield opened


def put_items(database: ClickHouseConnection, count: int, **fields: object) -> list[str]:
    """Items of as many runs; the lower the number, the more urgent."""
    rows = [
        {
            "item_id": f"{number:032x}",
            "run_id": f"{number:032x}",
            "project": "p",
            "workflow": "w",
            "run_started_at": "2026-11-01 00:00:00",
            "reason": "check",
            "question": "Is it right?",
            "priority": 1 + number % 5,
            "created_at": f"2026-11-01 00:{number:02d}:00",
            **fields,
        }
        for number in range(1, count + 1)
    ]
    body = "\n".join(json.dumps(row) for row in rows).encode()
    with clickhouse_client(database) as client:
        client.raw_insert("review_item_rows", fmt="JSONEachRow", insert_block=body)
    return [str(row["item_id"]) for row in rows]


def put_review(client: Client, run: str, outcome: str, at: str = "2026-11-01 03:00:00", **fields: object) -> None:
    row = {
        "event_id": f"{abs(hash((run, outcome, at))):032x}",
        "run_id": run,
        "project": "p",
        "workflow": "w",
        "event_type": "review_recorded",
        "review_outcome": outcome,
        "reviewer_ref": "reviewer:1",
        "run_started_at": "2026-11-01 00:00:00",
        "occurred_at": at,
        **fields,
    }
    client.raw_insert("event_rows", fmt="JSONEachRow", insert_block=json.dumps(row).encode())


def at_once(action: Callable[[int], str | None]) -> list[str | None]:
    """What each of many reviewers gets who begin at the same moment."""
    barrier = threading.Barrier(REVIEWERS)

    def race(number: int) -> str | None:
        barrier.wait(30)
        return action(number)

    with ThreadPoolExecutor(REVIEWERS) as pool:
        return list(pool.map(race, range(REVIEWERS)))


def test_of_many_who_claim_one_lease_one_gets_it(database: ClickHouseConnection) -> None:
    for lease in range(1, 6):

        def action(number: int, lease: int = lease) -> str | None:
            with open_leases(database) as mine:
                return str(number) if claim(mine, "item", lease, f"reviewer:{number}", LONG_S) else None

        assert len([winner for winner in at_once(action) if winner is not None]) == 1
    with open_leases(database) as store:
        rows = store.ask("SELECT lease, count() AS claims FROM review_lease_rows GROUP BY lease ORDER BY lease")
    # One claim stands by its token; that the first of several would count is the second net only.
    assert [(row["lease"], row["claims"]) for row in rows] == [(lease, 1) for lease in range(1, 6)]


@pytest.mark.slow
def test_reviewers_who_race_never_get_the_same_item(database: ClickHouseConnection) -> None:
    ids = put_items(database, ITEMS)
    for turn in range(ITEMS // REVIEWERS):

        def action(number: int, turn: int = turn) -> str | None:
            with open_leases(database) as mine:
                item = lease_next(mine, f"reviewer:{turn}.{number}", Wanted(), lease_s=LONG_S)
                return item.item_id if item else None

        got = at_once(action)
        assert len(set(got)) == REVIEWERS
        ids = [each for each in ids if each not in got]
    assert ids == []
    with open_leases(database) as store:
        assert lease_next(store, "reviewer:last", Wanted(), lease_s=LONG_S) is None


def test_the_most_urgent_comes_first_and_comes_again_to_who_has_it(
    database: ClickHouseConnection, store: ClickHouseLeases
) -> None:
    put_items(database, 6)
    first = lease_next(store, "reviewer:1", Wanted(), lease_s=LONG_S)
    again = lease_next(store, "reviewer:1", Wanted(), lease_s=LONG_S)
    other = lease_next(store, "reviewer:2", Wanted(), lease_s=LONG_S)
    assert first is not None
    assert again is not None
    assert (again.item_id, again.lease) == (first.item_id, first.lease)
    assert other is not None
    assert [(first.priority, first.leased_by), (other.priority, other.leased_by)] == [
        (1, "reviewer:1"),
        (2, "reviewer:2"),
    ]


def test_a_lease_ends_by_time_and_the_item_comes_back(database: ClickHouseConnection, store: ClickHouseLeases) -> None:
    put_items(database, 1)
    assert lease_next(store, "reviewer:1", Wanted(), lease_s=LONG_S) is not None
    assert lease_next(store, "reviewer:2", Wanted(), lease_s=LONG_S) is None
    with clickhouse_client(database) as client:  # its clock cannot be turned on, so the lease becomes one that is over
        client.command("ALTER TABLE review_lease_rows UPDATE lease_ms = 1 WHERE lease = 1 SETTINGS mutations_sync = 2")
    item = lease_next(store, "reviewer:2", Wanted(), lease_s=LONG_S)
    assert item is not None
    assert (item.lease, item.leased_by) == (2, "reviewer:2")
    with pytest.raises(CheckFailed, match="is leased by reviewer:2 until"):
        hold(store, replace(item, leased_by="reviewer:1"), "reviewer:3", lease_s=LONG_S)
    release(store, item, "reviewer:2")
    assert item_by_id(store, item.item_id).leased_by is None


def test_an_item_is_open_until_a_review_answers_it_and_escalated_is_no_answer(
    database: ClickHouseConnection, store: ClickHouseLeases
) -> None:
    one, two, *_ = put_items(database, 3)
    with clickhouse_client(database) as client:
        put_review(client, one, "overridden", override_ref="r")
        put_review(client, two, "escalated")
    assert item_by_id(store, one).state == "resolved"
    escalated = item_by_id(store, two)
    assert (escalated.state, escalated.outcome, escalated.urgency, escalated.priority) == ("open", "escalated", 1, 3)
    assert items(store, Wanted())[0].item_id == two
    passed_on = lease_next(store, "reviewer:1", Wanted(), lease_s=LONG_S)
    taken = lease_next(store, "reviewer:2", Wanted(), lease_s=LONG_S)
    assert (passed_on and passed_on.priority, taken and taken.item_id) == (4, two)
    counted = stats(store, Wanted(None))
    assert {name: counted[name] for name in ("items", "open", "resolved", "leased", "escalated", "overridden")} == {
        "items": 3,
        "open": 2,
        "resolved": 1,
        "leased": 2,
        "escalated": 1,
        "overridden": 1,
    }
    assert (counted["resolved_percent"], counted["overridden_percent"]) == (33.3, 100.0)
    assert counted["resolved_after_p50_s"] == 3 * 3600 - 60


def test_an_item_that_is_not_there_is_said(store: ClickHouseLeases, database: ClickHouseConnection) -> None:
    with pytest.raises(NotFound, match="No review item has the id ffff"):
        item_by_id(store, "ffff")
    put_items(database, 2)
    with pytest.raises(NotFound, match="Several review items begin with 000"):
        item_by_id(store, "000")
    assert stats(store, Wanted("resolved"))["resolved_percent"] is None


def test_what_is_resolved_is_listed_by_when_it_was_decided_the_newest_first(
    database: ClickHouseConnection, store: ClickHouseLeases
) -> None:
    put_items(database, 3)
    with clickhouse_client(database) as client:
        for number, hour in ((2, 4), (1, 5), (3, 3)):
            put_review(client, f"{number:032x}", "approved", at=f"2026-11-01 {hour:02d}:00:00")

    decided = items(store, Wanted(state="resolved"))
    assert [int(item.item_id, 16) for item in decided] == [1, 2, 3]
    assert len(items(store, Wanted(state="resolved"), limit=2)) == 2

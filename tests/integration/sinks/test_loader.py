"""The loader on a real Kafka and a real ClickHouse: everything arrives, once, and only the bad is left out."""

import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr

from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas import catalogue, topics, wire
from causeline.stack.waiting import wait_until
from tests.integration.clickhouse_fixture import ClickHouseProcess
from tests.integration.sinks.rig import STARTED_AT, Rig, batch, event, steadily

pytestmark = pytest.mark.stack


def framed(subject: str, record: Mapping[str, object]) -> bytes:
    schema = catalogue.latest(subject)
    return wire.frame(schema.schema_id, wire.encode_datum(schema, record))


def run(number: int, revision: int) -> dict[str, object]:
    return {
        "run_id": f"{number:032x}",
        "project": "shop",
        "workflow": "invoice",
        "revision": revision,
        "verdict": "complete",
        "started_at": STARTED_AT,
        "finished_at": STARTED_AT + 5,
        "closed_at": STARTED_AT + 9,
        "events": revision,
        "steps": [{"step_id": "a" * 16, "step_kind": "parse"}, {"step_id": "b" * 16, "step_kind": "output"}],
    }


def runs(*records: Mapping[str, object]) -> bytes:
    return framed("run-batch", {"source_partition": 0, "runs": list(records)})


def gap(number: int) -> bytes:
    return framed(
        "gap",
        {
            "gap_id": f"{number:032x}",
            "run_id": "a" * 32,
            "project": "shop",
            "workflow": "invoice",
            "run_started_at": STARTED_AT,
            "event_id": "b" * 32,
            "kind": "missing_citation",
            "next_step": "search",
            "occurred_at": STARTED_AT,
            "detected_at": STARTED_AT,
        },
    )


def review_item(number: int, run_number: int) -> bytes:
    return framed(
        "review-item",
        {
            "item_id": f"{number:032x}",
            "run_id": f"{run_number:032x}",
            "project": "shop",
            "workflow": "invoice",
            "run_started_at": STARTED_AT,
            "reason": "gap",
            "question": "Is it so?",
            "priority": 1,
            "created_at": STARTED_AT,
        },
    )


def test_what_is_on_the_topics_is_in_the_views(rig: Rig) -> None:
    for partition in (0, 1):
        first = partition * 1000
        rig.publish(
            topics.EVENTS,
            [batch([event(first + n + 1 + i) for i in range(10)]) for n in range(0, 1000, 10)],
            partition,
        )
    rig.publish(topics.RUNS, [runs(run(1, 3), run(2, 4)), runs(run(2, 5), run(3, 1))])
    rig.publish(topics.GAPS, [gap(n) for n in range(5)])
    answered = event(5000, run=7, event_type="review_recorded", review_outcome="approved", reviewer_ref="r:1")
    rig.publish(topics.DECISIONS, [batch([answered])])
    rig.publish(topics.REVIEWS, [review_item(1, 7), review_item(2, 8)])
    rig.start_loader()
    rig.visible("events", 2001)
    rig.visible("runs", 3)
    rig.visible("steps", 6)
    rig.visible("gaps", 5)
    rig.visible("reviews", 2)
    assert rig.query("SELECT revision FROM runs ORDER BY run_id") == [(3,), (5,), (1,)]
    states = rig.query("SELECT state, outcome, reviewer_ref FROM reviews ORDER BY item_id")
    assert states == [("resolved", "approved", "r:1"), ("open", None, None)]
    assert rig.count("dead_letters") == 0
    for topic in (topics.EVENTS, topics.DECISIONS, topics.RUNS, topics.GAPS, topics.REVIEWS):
        rig.caught_up(topic)


def test_a_review_by_the_events_topic_is_a_claim_and_only_decisions_come_by_theirs(rig: Rig) -> None:
    review = {"event_type": "review_recorded", "review_outcome": "approved", "reviewer_ref": "reviewer:1"}
    rig.publish(topics.REVIEWS, [review_item(1, 7), review_item(2, 8)])
    rig.publish(topics.EVENTS, [batch([event(10, run=7), event(11, run=7, **review)])])
    sly = event(21, run=8, event_type="run_finished", final_state="answered", status="ok", expected_events=1)
    rig.publish(topics.DECISIONS, [batch([event(20, run=8, **review), sly])])
    rig.start_loader()
    rig.visible("events", 3)
    rig.visible("reviews", 2)
    rig.visible("dead_letters", 1)

    types = rig.query("SELECT event_type FROM events ORDER BY event_id")
    assert types == [("run_started",), ("review_claimed",), ("review_recorded",)]
    assert rig.query("SELECT state FROM reviews ORDER BY item_id") == [("open",), ("resolved",)]
    [letter] = rig.query("SELECT topic, reason, detail FROM dead_letters")
    assert letter[:2] == (topics.DECISIONS.full_name(rig.prefix), "invalid_event")
    assert "takes decisions only" in letter[2]


def test_what_is_published_three_times_is_shown_once(rig: Rig) -> None:
    values = [batch([event(10 * n + i + 1) for i in range(10)]) for n in range(20)]
    for _ in range(3):
        rig.publish(topics.EVENTS, values)
        rig.publish(topics.RUNS, [runs(run(1, 2))])
    rig.start_loader(max_block_rows=70)
    rig.caught_up(topics.EVENTS)
    rig.caught_up(topics.RUNS)
    assert (rig.count("events"), rig.count("runs"), rig.count("steps")) == (200, 1, 2)


def test_what_is_bad_becomes_a_dead_letter_and_its_mates_go_in(rig: Rig) -> None:
    good = batch([event(1), event(2)])
    misnamed = event(50, run_id="' OR 1=1--")
    cut = batch([event(90)])
    bad: list[tuple[bytes | None, str]] = [
        (b"", "empty"),
        (None, "empty"),
        (b"\x01" + good[1:], "bad_magic"),
        (b"\x00\xff\xff\xff\xff" + good[5:], "unknown_schema"),
        (cut[:-40] + b"\x00", "corrupt"),
        (good[:-1], "corrupt"),
        (batch([event(60), event(61)], count=1), "trailing_bytes"),
        (batch([event(70)], count=2), "corrupt"),
        (good + b"\x00", "trailing_bytes"),
        (batch([event(80, project="caf\u00e9")]).replace("\u00e9".encode(), b"\xc3\x28"), "corrupt"),
        (gap(1), "unknown_schema"),
    ]
    values: list[bytes | None] = []
    for place, (value, _) in enumerate(bad):
        values += [batch([event(1000 + place)]), value]
    values += [batch([event(2000), misnamed, event(2001)]), batch([event(3000)])]
    rig.publish(topics.EVENTS, values)
    rig.start_loader(linger_s=0.5)
    rig.visible("dead_letters", len(bad) + 1)
    letters = rig.dead_letters()
    for place, (value, reason) in enumerate(bad):
        assert letters[2 * place + 1] == (reason, value or b""), place
    assert letters[2 * len(bad)] == ("invalid_event", batch([misnamed]))
    rig.caught_up(topics.EVENTS)
    stored = {int(number, 16) for (number,) in rig.query("SELECT event_id FROM events")}
    assert stored == {*(1000 + place for place in range(len(bad))), 2000, 2001, 3000}
    rig.caught_up(topics.DEAD)


def test_a_bad_dead_letter_does_not_go_round(rig: Rig) -> None:
    rig.publish(topics.DEAD, [b"not a dead letter", b"\x00" + b"\xff" * 9])
    loader = rig.start_loader()
    rig.caught_up(topics.DEAD)
    steadily(lambda: rig.end(topics.DEAD) == 2, for_s=0.5)
    assert rig.count("dead_letters") == 0
    assert loader.log_text().count("cannot be stored") == 2


def test_killed_between_insert_and_commit_nothing_is_lost_or_doubled(rig: Rig) -> None:
    rig.publish(topics.EVENTS, [batch([event(10 * n + i + 1) for i in range(10)]) for n in range(50)])
    dying = rig.start_loader("dies-before-commit", max_block_rows=100, instance="one")
    assert dying.wait() == -signal.SIGKILL
    assert rig.committed(topics.EVENTS) < 0
    assert rig.count("events") > 0
    rig.start_loader(max_block_rows=130, instance="one")
    rig.caught_up(topics.EVENTS)
    assert rig.count("events") == 500
    [[stored]] = rig.query("SELECT count() FROM narrow_event_rows")
    assert stored > 500, "the batches were cut alike, so this did not try the views"


def test_an_insert_that_dies_between_a_table_and_what_is_derived_from_it_is_done_again_for_both(rig: Rig) -> None:
    """The derived table refuses all rows for a while: the runs must not be taken as stored, nor be stored twice."""
    rig.query("ALTER TABLE run_document_rows ADD CONSTRAINT nothing_comes_in CHECK revision < 0")
    rig.publish(topics.RUNS, [runs(*(run(number, 1) for number in range(1, 41)))])
    loader = rig.start_loader()
    loader.wait_for_line("run_rows takes no rows")
    assert rig.committed(topics.RUNS) < 0
    assert rig.count("run_document_rows") == 0
    assert rig.count("narrow_run_rows") == 40, "the insert died before the first table, so this did not try the second"
    rig.query("ALTER TABLE run_document_rows DROP CONSTRAINT nothing_comes_in")
    rig.visible("run_documents", 40)
    rig.caught_up(topics.RUNS)
    assert (rig.count("narrow_run_rows"), rig.count("run_document_rows")) == (40, 40)
    assert rig.count("dead_letters") == 0


def test_replayed_from_the_start_nothing_is_doubled(rig: Rig) -> None:
    values = [batch([event(10 * n + i + 1) for i in range(10)]) for n in range(30)]
    rig.publish(topics.EVENTS, values)
    first = rig.start_loader()
    rig.visible("events", 300)
    before = rig.query("SELECT sum(cityHash64(*)) FROM events")
    assert first.end() == 0
    again = rig.start_loader(group_id=f"{rig.prefix}.again", linger_s=0.2)
    again.wait_for_line("ready")
    assert again.end() == 0
    assert rig.query("SELECT sum(cityHash64(*)) FROM events") == before
    assert rig.count("events") == 300


def test_told_to_stop_it_inserts_what_it_holds(rig: Rig) -> None:
    rig.publish(topics.EVENTS, [batch([event(1)])])
    loader = rig.start_loader(linger_s=60, report_every_s=0.1)
    loader.wait_for_line("waiting=1")
    assert rig.count("events") == 0
    assert loader.end() == 0
    assert rig.count("events") == 1
    rig.caught_up(topics.EVENTS)


@pytest.mark.slow
def test_two_loaders_share_the_partitions_and_one_takes_over(rig: Rig) -> None:
    first, second = rig.start_loader(), rig.start_loader()
    for partition in (0, 1):
        rig.publish(topics.EVENTS, [batch([event(1000 * partition + n + 1)]) for n in range(100)], partition)
    rig.visible("events", 200)
    first.end(signal.SIGTERM)
    for partition in (0, 1):
        rig.publish(topics.EVENTS, [batch([event(1000 * partition + n + 101)]) for n in range(100)], partition)
    rig.visible("events", 400)
    rig.caught_up(topics.EVENTS)
    assert second.end() == 0


def test_a_flood_of_bad_messages_stops_it(rig: Rig) -> None:
    rig.publish(topics.EVENTS, [batch([event(1)]), *(b"\x00junk%d" % n for n in range(300))])
    loader = rig.start_loader(linger_s=0.5)
    assert loader.wait() == 5
    assert "cannot be stored (unknown_schema), so the loader stops" in loader.log_text()
    assert rig.end(topics.DEAD) + rig.end(topics.DEAD, 1) == 0
    assert rig.committed(topics.EVENTS) < 0


@pytest.mark.slow
def test_an_outage_of_clickhouse_only_takes_time(kafka: KafkaConnection, tmp_path: Path) -> None:
    server = ClickHouseProcess(tmp_path / "clickhouse")
    endpoint = server.start()
    rig = Rig(kafka, ClickHouseConnection(url=endpoint.connection_url, password=SecretStr(endpoint.password)), tmp_path)
    try:
        rig.set_up()
        loader = rig.start_loader()
        rig.publish(topics.EVENTS, [batch([event(n + 1)]) for n in range(50)])
        rig.visible("events", 50)
        server.kill()
        rig.publish(topics.EVENTS, [batch([event(n + 51)]) for n in range(50)])
        loader.wait_for_line("event_rows takes no rows")
        wait_until(lambda: loader.ask("/healthz")[0] == 503, timeout_s=30, what="the loader to complain")
        assert "has work and got nothing of it done" in loader.ask("/healthz")[1]
        server.start()
        rig.visible("events", 100)
        rig.caught_up(topics.EVENTS)
        wait_until(lambda: loader.ask("/healthz") == (200, "ok\n"), timeout_s=30, what="the loader to be well again")
        told = loader.ask("/metrics")[1]
        assert f'causeline_loader_rows_total{{topic="{topics.EVENTS.full_name(rig.prefix)}"}} 100.0' in told
        assert f'insert_failures_total{{fault="service",topic="{topics.EVENTS.full_name(rig.prefix)}"}} 0.0' not in told
        assert rig.count("dead_letters") == 0
        assert rig.end(topics.DEAD) + rig.end(topics.DEAD, 1) == 0
    finally:
        rig.tear_down()
        if server.is_running:
            server.stop()

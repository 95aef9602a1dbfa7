"""The example that feeds an outside queue does so exactly once."""

import os
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from causeline.runtime.connections import KafkaConnection
from causeline.schemas import catalogue, wire
from causeline.schemas.topics import REVIEWS
from causeline.stack.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[3] / "examples" / "feed_review_queue.py"
ITEMS = 3000


def publish_items(kafka: KafkaConnection, prefix: str) -> None:
    """Every item twice, as a worker that began anew publishes it; and a value that is none."""
    admin = AdminClient({**kafka.client_config()})
    for made in admin.create_topics([NewTopic(REVIEWS.full_name(prefix), 2, 1)]).values():
        made.result(timeout=30)
    schema = catalogue.latest(REVIEWS.subject)
    producer = Producer({**kafka.client_config(), "enable.idempotence": True})
    for number in [*range(ITEMS), *range(ITEMS)]:
        item = {
            "item_id": f"{number:032x}",
            "run_id": f"{number:032x}",
            "project": "p",
            "workflow": "w",
            "run_started_at": 0,
            "reason": "check",
            "question": "Is it right?",
            "priority": 1,
            "links": [],
            "created_at": 0,
        }
        value = wire.frame(schema.schema_id, wire.encode_datum(schema, item))
        producer.produce(REVIEWS.full_name(prefix), value, partition=number % 2)
        producer.poll(0)
    producer.produce(REVIEWS.full_name(prefix), b"not an item", partition=0)
    assert producer.flush(30) == 0


def rows(queue: Path, condition: str = "1") -> int:
    if not queue.exists():
        return 0
    with sqlite3.connect(queue) as database:
        known = database.execute("SELECT count() FROM sqlite_master WHERE name = 'queue'").fetchone()[0]
        found = database.execute(f"SELECT count() FROM queue WHERE {condition}").fetchone()[0] if known else 0
    database.close()
    return int(found)


def test_each_item_is_in_the_queue_once_after_kills_and_replays(kafka: KafkaConnection, tmp_path: Path) -> None:
    prefix, queue = f"t{uuid.uuid4().hex[:12]}", tmp_path / "queue.db"
    publish_items(kafka, prefix)
    words = [sys.executable, "-W", "error", str(EXAMPLE), str(queue), "--until-idle", "3"]

    def environment(group: str) -> dict[str, str]:
        places = {"CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "CAUSELINE_TOPIC_PREFIX": prefix}
        return {**os.environ, **places, "QUEUE_GROUP": f"{prefix}.{group}"}

    first = subprocess.Popen(words, env=environment("one"), stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: rows(queue) > 0, timeout_s=60, what="the first entries")
    finally:
        first.kill()
        first.wait(30)
    with sqlite3.connect(queue) as database:
        database.execute("UPDATE queue SET taken_at = 1 WHERE item_id = (SELECT min(item_id) FROM queue)")
    database.close()

    for group in ("one", "two"):  # what was killed reads on; another reads all from the beginning
        done = subprocess.run(words, env=environment(group), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert rows(queue) == ITEMS
        assert rows(queue, "taken_at IS NOT NULL") == 1
    assert "is left out: " in done.stderr

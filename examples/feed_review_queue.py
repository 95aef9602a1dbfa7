"""Feed an outside queue with review items, each exactly once, whatever is killed or read again.

    python examples/feed_review_queue.py queue.db [--until-idle SECONDS]

The queue here is a table in SQLite; yours may be a ticket system. What makes it exactly once is the same: the item's id
is the key of its entry, and the entry is safely there before the offset is committed. A crash in between makes the item
come again, and the key refuses it. An entry that was worked off stays, marked as taken, so that its item cannot return.
Where the outside has no key of its own, keep such a table beside it as an outbox, and send from there.
"""

import argparse
import logging
import os
import sqlite3
import time

from confluent_kafka import Consumer, Message

from causeline.schemas.errors import UnreadableMessage
from causeline.schemas.registry import Schemas
from causeline.schemas.wire import decode_datum

log = logging.getLogger("feed_review_queue")
TABLE = """
CREATE TABLE IF NOT EXISTS queue (
    item_id TEXT PRIMARY KEY, run_id TEXT, reason TEXT, question TEXT, priority INTEGER, taken_at REAL
)
"""
ENTRY = "INSERT INTO queue VALUES (:item_id, :run_id, :reason, :question, :priority, NULL) ON CONFLICT DO NOTHING"


def feed(queue: sqlite3.Connection, messages: list[Message], schemas: Schemas) -> None:
    """Put the items of `messages` into the queue, all of them or none."""
    with queue:
        for message in messages:
            try:
                item = decode_datum(message.value(), "review-item", schemas)
            except UnreadableMessage as error:
                log.warning("offset %s of partition %s is left out: %s", message.offset(), message.partition(), error)
                continue
            queue.execute(ENTRY, item)


def main() -> None:
    """Read, put into the queue, and only then commit."""
    words = argparse.ArgumentParser(description="Feed an outside queue with review items.")
    words.add_argument("queue", help="The SQLite file.")
    words.add_argument("--until-idle", type=float, metavar="SECONDS", help="End when nothing has come for so long.")
    said = words.parse_args()
    logging.basicConfig(level="INFO")
    queue = sqlite3.connect(said.queue)
    queue.execute("PRAGMA synchronous = FULL")
    queue.execute(TABLE)
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["CAUSELINE_KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": os.environ.get("QUEUE_GROUP", "outside-queue"),
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000,  # so soon another takes up what a killed one read
        }
    )
    consumer.subscribe([f"{os.environ.get('CAUSELINE_TOPIC_PREFIX', 'causeline')}.reviews"])
    schemas, heard_at = Schemas(), time.monotonic()
    while said.until_idle is None or time.monotonic() - heard_at < said.until_idle:
        answers = consumer.consume(100, 0.5)
        for answer in answers:
            if (error := answer.error()) is not None:
                log.warning("Kafka: %s", error.str())
        if answers or not consumer.assignment():  # before it has partitions nothing can come
            heard_at = time.monotonic()
        if messages := [answer for answer in answers if answer.error() is None]:
            feed(queue, messages, schemas)
            consumer.commit(asynchronous=False)
    consumer.close()
    queue.close()


if __name__ == "__main__":
    main()

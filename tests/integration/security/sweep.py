"""Every byte that a stack keeps or shows, with the place where it stands."""

import os
import re
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from causeline.runtime.clickhouse import clickhouse_client
from causeline.stack.endpoints import Endpoints

Place = tuple[str, bytes]
"""Where, and what stands there."""

_TIMEOUT_S = 10.0
_PORT_LINE = re.compile(r"health and metrics on (http://[\d.]+:\d+)")
_OVERLAP = 4096
_CHUNK = 8 << 20


def files(folder: Path, *, but: Iterable[Path] = ()) -> Iterator[Place]:
    """Every file below a folder, but for some folders and files, in overlapping pieces; its name is swept too."""
    left_out = tuple(but)
    # A folder may go while it is looked into: `os.walk` passes over it, `rglob` raises.
    for path in sorted(Path(at, name) for at, _, names in os.walk(folder) for name in names):
        if any(path == each or each in path.parents for each in left_out) or path.is_symlink() or not path.is_file():
            continue
        where = str(path.relative_to(folder))
        yield f"the name of {where}", where.encode()
        try:
            with path.open("rb") as file:
                tail = b""
                while piece := file.read(_CHUNK):
                    yield where, tail + piece
                    tail = piece[-_OVERLAP:]
        except FileNotFoundError:  # a part that was merged away, or a segment that was renamed
            continue


def topics(endpoints: Endpoints) -> Iterator[Place]:
    """Every record on the broker, decompressed: key, value and headers; the broker's own topics too."""
    config: dict[str, str | bool] = {
        **endpoints.kafka().client_config(), "group.id": "sweep", "enable.auto.commit": False,
        "enable.partition.eof": True,
    }  # fmt: skip
    consumer = Consumer(config)
    try:
        known = consumer.list_topics(timeout=_TIMEOUT_S).topics
        places = [TopicPartition(name, number, 0) for name, topic in known.items() for number in topic.partitions]
        consumer.assign(places)
        unread = {(place.topic, place.partition) for place in places}
        while unread:
            message = consumer.poll(_TIMEOUT_S)
            assert message is not None, f"{sorted(unread)} fell silent before their ends"
            place = (str(message.topic()), int(message.partition() or 0))
            if message.error() is not None:
                unread.discard(place)
                continue
            headers = repr(message.headers()).encode()
            where = f"topic {place[0]}/{place[1]}@{message.offset()}"
            yield where, b"\n".join((message.key() or b"", message.value() or b"", headers))
    finally:
        consumer.close()


def tables(endpoints: Endpoints) -> Iterator[Place]:
    """Every row of every table, ours and the engine's logs, as text."""
    with clickhouse_client(endpoints.clickhouse()) as client:
        found = client.query(
            "SELECT database, name FROM system.tables WHERE engine NOT LIKE '%View' AND "
            "(database NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA') OR name LIKE '%\\_log')"
        )
        for database, name in found.result_rows:
            yield f"table {database}.{name}", client.raw_query(f"SELECT * FROM `{database}`.`{name}`", fmt="TSVRaw")
        yield "the tables' definitions", client.raw_query("SELECT create_table_query FROM system.tables", fmt="TSVRaw")


def metrics(endpoints: Endpoints, services: Iterable[str]) -> Iterator[Place]:
    """What the services tell on their health ports, which their logs name."""
    for service in services:
        log = (endpoints.state_dir / "logs" / f"{service}.log").read_text("utf-8")
        found = _PORT_LINE.findall(log)
        assert found, f"{service} names no health port in its log"
        for page in ("/metrics", "/healthz"):
            with urllib.request.urlopen(found[-1] + page, timeout=_TIMEOUT_S) as answer:
                yield f"{service}'s {page}", answer.read()

"""A rig for each test: random topics, a random database, and loaders that are ended afterwards."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from tests.integration.sinks.rig import Rig


@pytest.fixture
def rig(kafka: KafkaConnection, clickhouse: ClickHouseConnection, tmp_path: Path) -> Iterator[Rig]:
    """Topics and tables of the test's own."""
    base, _, _ = clickhouse.url.rpartition("/")
    own = ClickHouseConnection(url=f"{base}/db_{uuid.uuid4().hex}", password=clickhouse.password)
    rig = Rig(kafka, own, tmp_path)
    rig.set_up()
    try:
        yield rig
    finally:
        rig.tear_down()

"""Real services for the integration tests, started once a session on free ports, in temporary folders."""

from collections.abc import Iterator

import pytest

from causeline.schemas.connections import KafkaConnection
from causeline.stack.kafka import running_broker


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaConnection]:
    """A running Kafka broker, shared by the session: use random topic names."""
    with running_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker.connection

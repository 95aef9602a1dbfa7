"""Real services for the integration tests on free ports, in temporary folders: started once, ended after their use."""

from collections.abc import Iterator

import pytest

from causeline.demo.publish import demo_policy_text
from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.stack.endpoints import Endpoints
from causeline.stack.kafka import running_broker
from causeline.stack.local import down, up
from causeline.stack.services import Ports, clickhouse_service, stack_services
from causeline.stack.settings import StackSettings
from causeline.stack.supervisor import Service


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaConnection]:
    """A running Kafka broker, shared by the session: use random topic names."""
    with running_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker.connection


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouseConnection]:
    """A running ClickHouse engine without tables, shared by the session: use random database names."""

    def engine_only(_settings: StackSettings, endpoints: Endpoints, ports: Ports) -> tuple[Service, ...]:
        return (clickhouse_service(endpoints, ports),)

    endpoints = up(StackSettings(ephemeral=True), services_of=engine_only, policy=demo_policy_text())
    yield endpoints.clickhouse()
    down(endpoints.state_dir)


@pytest.fixture(scope="session")
def stack() -> Iterator[Endpoints]:
    """The whole stack, shared by the session: worker, loader and console, on the default topics and database."""

    def with_metrics(settings: StackSettings, endpoints: Endpoints, ports: Ports) -> tuple[Service, ...]:
        services = stack_services(settings, endpoints, ports)
        return tuple(each.model_copy(update={"env": {**each.env, "CAUSELINE_HEALTH_PORT": "0"}}) for each in services)

    endpoints = up(StackSettings(ephemeral=True), services_of=with_metrics, policy=demo_policy_text())
    yield endpoints
    down(endpoints.state_dir)

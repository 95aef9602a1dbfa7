"""What docker-compose.yml says of our services works as it stands: their commands, environments and health checks.

Run natively; only addresses, ports and the paths of secrets are translated to a private broker and engine.
"""

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import AdminClient

from causeline.console.settings import ServeSettings
from causeline.console.store import open_store
from causeline.producers.emitter import Emitter
from causeline.producers.tracer import Tracer
from causeline.schemas.connections import ClickHouseConnection, KafkaConnection
from causeline.stack.kafka import running_broker
from causeline.stack.launch import launcher
from causeline.stack.ports import free_ports
from causeline.stack.services import READY_LINE
from causeline.stack.waiting import wait_until
from tests.integration.clickhouse_fixture import ClickHouseProcess

pytestmark = pytest.mark.stack

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "docker-compose.yml").read_text("utf-8")
)["services"]
ONE_SHOTS = ("topics", "migrate")
LASTING = ("worker", "loader", "amender", "watch", "console", "receiver")
REGISTRY = "CAUSELINE_REGISTRY_URL"
HEALTH = "CAUSELINE_HEALTH_PORT"
_DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")


def said(service: str) -> dict[str, str]:
    """The environment of a service, with the file's own defaults for what the caller may choose."""
    return {name: _DEFAULT.sub(r"\1", str(text)) for name, text in SERVICES[service]["environment"].items()}


@dataclass(frozen=True)
class Site:
    """Where the services run here instead of in containers."""

    kafka: KafkaConnection
    folder: Path
    translation: Mapping[str, str]
    health_ports: dict[str, str] = field(default_factory=dict)
    """By service: in containers all have the same, here each needs its own."""

    def environment(self, service: str) -> dict[str, str]:
        """That of the file, translated, without the registry: none runs here, and to have none is the default."""
        translated = {}
        for name, text in said(service).items():
            here = text
            for there, ours in self.translation.items():
                here = ours if here == there else here.replace(f"@{there}/", f"@{ours}/")
            translated[name] = here
        del translated[REGISTRY]
        return translated

    def whole_environment(self, service: str) -> dict[str, str]:
        """With what the process needs to run at all."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CAUSELINE_")}
        ours = self.environment(service)
        if HEALTH in ours:
            ours[HEALTH] = self.health_ports.setdefault(service, str(free_ports(1)[0]))
        return {**clean, "PYTHONUNBUFFERED": "1", **ours}

    def clickhouse(self) -> ClickHouseConnection:
        """As the loader reaches it."""
        return ClickHouseConnection.from_environment(self.environment("loader"))

    def run(self, service: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in the environment of a service, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "causeline.cli", *command],
            env=self.whole_environment(service),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextmanager
    def started(self, service: str) -> Iterator[subprocess.Popen[bytes]]:
        """The service's process, once it has said that it is ready."""
        log = self.folder / f"{service}.{secrets.token_hex(3)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                launcher([sys.executable, "-m", "causeline.cli", *SERVICES[service]["command"]]),
                env=self.whole_environment(service),
                cwd=self.folder,
                stdout=output,
                stderr=output,
            )
        try:
            wait_until(
                lambda: process.poll() is not None or re.search(READY_LINE, log.read_text("utf-8")),
                timeout_s=45,
                what=f"{service} is not ready",
            )
            assert process.poll() is None, log.read_text("utf-8")
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A broker and an engine of this module's own, for the topics and the database have the names of the file."""
    folder = tmp_path_factory.mktemp("compose")
    token = folder / "console_token"
    token.write_text(secrets.token_hex(16), "utf-8")
    port, otlp_port, otlp_grpc_port = free_ports(3)
    with running_broker(folder / "kafka") as broker, ClickHouseProcess(folder / "clickhouse") as engine:
        yield Site(
            broker.connection,
            folder,
            {
                "kafka:9092": broker.connection.bootstrap_servers,
                "clickhouse:8123": f"{engine.endpoint.host}:{engine.endpoint.port}",
                "/run/secrets/clickhouse_password": str(engine.folder / "owner.password"),
                "/run/secrets/console_token": str(token),
                "0.0.0.0": "127.0.0.1",  # noqa: S104 - inside a container; tests stay on loopback
                "8080": str(port),
                "/run/secrets/otlp_token": str(token),
                "/var/lib/causeline/artifacts": str(folder / "artifacts"),
                "4318": str(otlp_port),
                "4317": str(otlp_grpc_port),
            },
        )


@pytest.fixture(scope="module")
def prepared(site: Site) -> Site:
    """The site after the one-shots."""
    for service in ONE_SHOTS:
        done = site.run(service, SERVICES[service]["command"])
        assert done.returncode == 0, done.stderr
    return site


@pytest.mark.parametrize("service", [*ONE_SHOTS, *LASTING])
def test_only_the_registry_is_left_out_and_only_places_are_translated(site: Site, service: str) -> None:
    there, here = said(service), site.environment(service)

    assert there.keys() - here.keys() == {REGISTRY}
    assert here.keys() <= there.keys()
    changed = {name for name in here if here[name] != there[name]}
    assert all(name.endswith(("_SERVERS", "_URL", "_FILE", "_HOST", "_PORT", "_ARTIFACTS")) for name in changed)
    assert not any(re.search(r"kafka:|@clickhouse:|/run/secrets", value) for value in here.values())


def test_the_one_shots_may_run_again(prepared: Site) -> None:
    for service in ONE_SHOTS:
        again = prepared.run(service, SERVICES[service]["command"])
        assert again.returncode == 0, again.stderr

    topics = AdminClient({**prepared.kafka.client_config()}).list_topics(timeout=10).topics
    wanted = int(said("topics")["CAUSELINE_PARTITIONS"])
    assert len(topics["causeline.events"].partitions) == wanted
    assert "up to date" in again.stdout


@pytest.mark.parametrize("service", LASTING)
def test_a_service_becomes_healthy_and_stops_in_order(prepared: Site, service: str) -> None:
    kind, program, *check = SERVICES[service]["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "causeline")
    with prepared.started(service) as process:
        health = prepared.run(service, check)
        assert health.returncode == 0, health.stdout + health.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_the_console_may_listen_to_others_because_it_has_a_token(
    prepared: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in prepared.environment("console").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CAUSELINE_SERVE_HOST", said("console")["CAUSELINE_SERVE_HOST"])

    settings = ServeSettings.of()

    assert not settings.is_loopback
    assert settings.secret()


def test_an_event_goes_through_worker_and_loader_to_the_views(prepared: Site) -> None:
    with ExitStack() as running:
        for service in ("worker", "loader"):
            running.enter_context(prepared.started(service))
        with Tracer("compose", emitter=Emitter(kafka=prepared.kafka), enabled=True) as tracer:
            with tracer.run("compose") as run:
                pass
            assert not tracer.flush(15)
        with open_store(prepared.clickhouse()) as store:
            wait_until(
                lambda: (
                    [dict(row) for row in store.ask("SELECT run_id, verdict FROM runs WHERE project = 'compose'")]
                    == [{"run_id": run.run_id, "verdict": "complete"}]
                ),
                timeout_s=30,
                what="the run is not in the view",
            )
            [row] = store.ask("SELECT count() AS rows FROM events WHERE project = 'compose'")
    assert row["rows"] == 2

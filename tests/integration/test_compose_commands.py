"""What docker-compose.yml says of our services works as it stands: command, environment, user, mounts and rights.

Run natively: addresses, ports and mounts are translated to a private broker and engine. As root, each process runs as
the image's user and can write nothing but its mounts; elsewhere it runs as whoever runs the tests. The broker asks
for log-ins and gives each service the rights of deploy/kafka/acls.sh, which the file's own does not; the engine knows
an owner and a reader, and who may only read at the server is the reader here.
"""

import os
import re
import secrets
import signal
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from causeline.console.store import open_store
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.tracer import Tracer
from causeline.runtime.connections import ClickHouseConnection
from causeline.stack.ports import free_ports
from causeline.stack.services import READY_LINE
from causeline.stack.waiting import wait_until
from causeline.web.settings import ServeSettings
from tests.contract.compose_file import COMPOSE, ROOT, SERVICES, told
from tests.integration.clickhouse_fixture import ClickHouseProcess
from tests.integration.security.secure_kafka import SecureKafka, secure_kafka

pytestmark = [pytest.mark.stack, pytest.mark.slow]

ONE_SHOTS = ("topics", "migrate")
LASTING = ("worker", "loader", "amender", "diagnoser", "watch", "console", "receiver", "exporter")
KAFKA_USER = {"topics": "operator"}
"""Who a service is at the broker, where it isn't its own name."""
READS_ONLY = {"amender", "diagnoser"}
REGISTRY = "CAUSELINE_REGISTRY_URL"
USER = 10001
"""The image's."""


def mounts(service: str) -> dict[str, bool]:
    """Where volumes are mounted, and whether they may be written."""
    told = [str(each).split(":") for each in SERVICES[service].get("volumes", [])]
    return {each[1]: each[2:] != ["ro"] for each in told}


def as_the_service(command: list[str]) -> list[str]:
    """The command as the image's user, who writes nothing; it may read all, for the tests' Python is root's."""
    if os.geteuid() != 0:
        return command
    only = "-all,+dac_read_search"
    return [
        *("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"),
        *(f"--inh-caps={only}", f"--ambient-caps={only}", f"--bounding-set={only}"),
        *command,
    ]


@dataclass(frozen=True)
class Site:
    """Where the services run here instead of in containers."""

    kafka: SecureKafka
    folder: Path
    translation: Mapping[str, str]
    health_ports: dict[str, str] = field(default_factory=dict)
    """By service: in containers all have the same, here each needs its own."""

    def environment(self, service: str) -> dict[str, str]:
        """That of the file, translated, without the registry: none runs here, and to have none is the default."""
        translated = {}
        for name, text in told(service).items():
            here = text
            for there, ours in self.translation.items():
                here = ours if here == there else here.replace(f"@{there}/", f"@{ours}/")
            if name == "CAUSELINE_CLICKHOUSE_URL":
                here = re.sub(r"//\w+@", "//reader@" if service in READS_ONLY else "//causeline@", here)
            translated[name] = here
        translated.pop(REGISTRY, None)
        return translated

    def whole_environment(self, service: str) -> dict[str, str]:
        """With what the process needs to run at all, and its log-in at the broker."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CAUSELINE_")}
        ours = self.environment(service)
        if "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS" in ours:
            ours |= self.kafka.environment(KAFKA_USER.get(service, service))
        if "CAUSELINE_HEALTH_PORT" in ours:
            ours["CAUSELINE_HEALTH_PORT"] = self.health_ports.setdefault(service, str(free_ports(1)[0]))
        home = self.folder / "tmp"  # the file mounts a tmpfs there; nothing else of the container can be written
        return {
            **clean,
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(home),
            "TMPDIR": str(home),
            **ours,
        }

    def clickhouse(self) -> ClickHouseConnection:
        """As the loader reaches it."""
        return ClickHouseConnection.from_environment(self.environment("loader"))

    def metrics(self, service: str) -> str:
        """What the service tells Prometheus, for its token."""
        token = (self.folder / "secrets" / "metrics_token").read_text("utf-8")
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.health_ports[service]}/metrics", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text: bytes = answer.read()
        return text.decode()

    def run(self, service: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in the environment of a service, as its user, to its end."""
        return subprocess.run(
            as_the_service([sys.executable, "-m", "causeline.cli", *command]),
            env=self.whole_environment(service),
            cwd=self.folder / "tmp",
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    @contextmanager
    def started(self, service: str) -> Iterator[subprocess.Popen[bytes]]:
        """The service's process, once it has said that it is ready."""
        log = self.folder / f"{service}.{secrets.token_hex(3)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                as_the_service([sys.executable, "-m", "causeline.cli", *SERVICES[service]["command"]]),
                env=self.whole_environment(service),
                cwd=self.folder / "tmp",
                stdout=output,
                stderr=output,
            )
        try:
            wait_until(
                lambda: process.poll() is not None or re.search(READY_LINE, log.read_text("utf-8")),
                timeout_s=60,
                what=f"{service} is not ready: {log.read_text('utf-8')}",
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
    for name in ("tmp", "artifacts"):
        (folder / name).mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(folder / name, USER, USER)
    subprocess.run(["sh", str(ROOT / "deploy/secrets/make.sh"), str(folder / "secrets")], check=True, timeout=60)
    port, otlp_port, otlp_grpc_port = free_ports(3)
    with (
        secure_kafka(folder, has_topics=False) as broker,
        ClickHouseProcess(folder / "clickhouse") as engine,
    ):
        given = {f"/run/secrets/{each.name}": str(each) for each in (folder / "secrets").iterdir()}
        for part in ("owner", "loader", "operator"):
            given[f"/run/secrets/clickhouse_{part}"] = str(engine.folder / "owner.password")
        given["/run/secrets/clickhouse_amender"] = str(engine.folder / "reader.password")
        yield Site(
            broker,
            folder,
            {
                "kafka:9092": broker.plain.bootstrap_servers,
                "clickhouse:8123": f"{engine.endpoint.host}:{engine.endpoint.port}",
                **given,
                "0.0.0.0": "127.0.0.1",  # noqa: S104 - inside a container; tests stay on loopback
                "8080": str(port),
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
    there, here = told(service), site.environment(service)

    assert there.keys() - here.keys() <= {REGISTRY}
    assert here.keys() <= there.keys()
    changed = {name for name in here if here[name] != there[name]}
    assert all(name.endswith(("_SERVERS", "_URL", "_FILE", "_HOST", "_PORT", "_ARTIFACTS")) for name in changed)
    assert not any(re.search(r"kafka:|@clickhouse:|/run/secrets", value) for value in here.values())


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_secrets_that_it_reads_and_no_other(service: str) -> None:
    """A service's own list replaces the one that it is merged from."""
    text = "\n".join(f"{value}\n" for value in SERVICES[service].get("environment", {}).values())
    named = set(re.findall(r"/run/secrets/(\w+)", text))
    given = set(SERVICES[service].get("secrets", []))
    if service == "clickhouse":  # its users are made from them
        named |= {f"clickhouse_{part}" for part in ("owner", "loader", "amender", "operator")}

    assert given == named
    assert given <= COMPOSE["secrets"].keys()


def test_every_secret_is_made_and_can_be_read_by_the_containers_users(site: Site) -> None:
    folder = site.folder / "secrets"

    assert {each.name for each in folder.iterdir()} == COMPOSE["secrets"].keys()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o444}
    assert len({each.read_text("utf-8") for each in folder.iterdir()}) == len(COMPOSE["secrets"])


@pytest.mark.parametrize("service", LASTING)
def test_what_a_service_keeps_lies_on_a_volume_that_the_images_user_owns(service: str) -> None:
    places = [text for text in told(service).values() if text.startswith("/") and not text.startswith("/run/secrets/")]
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")

    assert set(places) == mounts(service).keys()
    for place in places:
        assert f"install --directory --owner=causeline --group=causeline --mode=0700 {place}\n" in dockerfile
    assert f"--uid {USER} causeline" in dockerfile


def test_each_part_is_its_own_user_at_clickhouse_and_has_a_role() -> None:
    users = {
        service: found[1]
        for service in (*ONE_SHOTS, *LASTING)
        if (found := re.match(r"http://(\w+)@", told(service).get("CAUSELINE_CLICKHOUSE_URL", "")))
    }

    assert users == {
        "migrate": "owner", "loader": "loader", "amender": "amender", "diagnoser": "amender", "watch": "operator",
        "console": "operator",
    }  # fmt: skip
    roles = (ROOT / "deploy/clickhouse/roles.sql").read_text("utf-8")
    assert all(f"CREATE ROLE IF NOT EXISTS causeline_{user}" in roles for user in users.values())


def test_the_users_of_clickhouse_are_made_from_their_secrets(site: Site, tmp_path: Path) -> None:
    client = tmp_path / "clickhouse-client"
    client.write_text("#!/bin/sh\ncat\n", "utf-8")
    client.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    made = subprocess.run(
        ["sh", str(ROOT / "deploy/clickhouse/users.sh")],
        env={"PATH": path, "SECRETS": str(site.folder / "secrets")},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    ).stdout

    users = re.findall(r"CREATE USER IF NOT EXISTS (\w+) IDENTIFIED WITH sha256_hash BY '([0-9a-f]{64})';", made)
    assert [name for name, _ in users] == ["owner", "loader", "amender", "operator"]
    assert len({digest for _, digest in users}) == 4
    assert made.count("GRANT causeline_") == 4


def test_the_one_shots_may_run_again(prepared: Site) -> None:
    for service in ONE_SHOTS:
        again = prepared.run(service, SERVICES[service]["command"])
        assert again.returncode == 0, again.stderr

    topics = AdminClient({**prepared.kafka.plain.client_config()}).list_topics(timeout=10).topics
    wanted = int(told("topics")["CAUSELINE_PARTITIONS"])
    assert len(topics["causeline.events"].partitions) == wanted
    assert "up to date" in again.stdout


@pytest.mark.parametrize("service", LASTING)
def test_a_service_becomes_healthy_and_stops_in_order(prepared: Site, service: str) -> None:
    kind, program, *check = SERVICES[service]["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "causeline")
    with prepared.started(service) as process:
        health = prepared.run(service, check)
        assert health.returncode == 0, health.stdout + health.stderr
        assert told(service)["CAUSELINE_HEALTH_HOST"] == "0.0.0.0"  # noqa: S104 - or nobody outside could ask
        assert "causeline_" in prepared.metrics(service)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_the_console_may_listen_to_others_because_it_has_a_token(
    prepared: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in prepared.environment("console").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CAUSELINE_SERVE_HOST", told("console")["CAUSELINE_SERVE_HOST"])

    settings = ServeSettings.from_environment()

    assert not settings.is_loopback
    assert settings.secret()


def test_an_event_goes_through_worker_and_loader_to_the_views(prepared: Site) -> None:
    with ExitStack() as running:
        for service in ("worker", "loader"):
            running.enter_context(prepared.started(service))
        with Tracer("compose", emitter=Emitter(kafka=prepared.kafka.connection("emitter")), enabled=True) as tracer:
            with tracer.run("compose") as run:
                pass
            assert not tracer.flush(60)
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

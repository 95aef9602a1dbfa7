"""`up`, `status` and `down` on a real broker and small services: one stack, however often and by whomever asked."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clickhouse_connect
import pytest
from confluent_kafka.admin import AdminClient

from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import EnvironmentFault, NotFound
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down, status, up
from causeline.stack.ports import LOOPBACK, free_ports
from causeline.stack.services import Ports, kafka_service
from causeline.stack.settings import StackSettings
from causeline.stack.supervisor import LogLineProbe, Service, SupervisorReport
from causeline.stack.supervisor.processes import is_alive, left_over
from causeline.stack.waiting import wait_until

pytestmark = pytest.mark.stack

SHOWS_ITS_SURROUNDINGS = (
    "import json, os, signal\n"
    "print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('CAUSELINE_')}), flush=True)\n"
    "print('now ready', flush=True)\nsignal.pause()\n"
)


def small(name: str, program: str, endpoints: Endpoints, *depends: str) -> Service:
    return Service(
        name=name,
        argv=(sys.executable, "-c", program),
        env=endpoints.environment(),
        depends=depends,
        ready=LogLineProbe(pattern="now ready"),
    )


def small_stack(settings: StackSettings, endpoints: Endpoints, _ports: Ports) -> tuple[Service, ...]:
    names = ["helper", *(f"worker-{number}" for number in range(1, settings.workers + 1))]
    return tuple(small(name, SHOWS_ITS_SURROUNDINGS, endpoints) for name in names)


def writing_stack(settings: StackSettings, endpoints: Endpoints, ports: Ports) -> tuple[Service, ...]:
    made = endpoints.state_dir / "made-by-helper"
    program = f"open({str(made)!r}, 'w').write('events')\n{SHOWS_ITS_SURROUNDINGS}"
    return (small("writer", program, endpoints), *small_stack(settings, endpoints, ports))


def broker_and_helper(settings: StackSettings, endpoints: Endpoints, ports: Ports) -> tuple[Service, ...]:
    kafka = kafka_service(settings, endpoints, ports)
    return kafka, small("helper", SHOWS_ITS_SURROUNDINGS, endpoints, "kafka")


def one_that_fails(_settings: StackSettings, endpoints: Endpoints, _ports: Ports) -> tuple[Service, ...]:
    failing = "import sys; print('error: the vault is shut.\\nhint: open it.'); sys.exit(4)"
    return small("steady", SHOWS_ITS_SURROUNDINGS, endpoints), small("vault", failing, endpoints)


def pids(folder: Path) -> dict[str, int]:
    return {each.name: each.process.pid for each in status(folder).services if each.process}


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[StackSettings]:
    settings = StackSettings(state_dir=tmp_path / "state")
    yield settings
    down(settings.state_dir)
    assert not left_over(settings.state_dir)


def test_a_stack_with_a_broker_comes_up_keeps_its_data_and_goes(settings: StackSettings) -> None:
    folder = settings.state_dir
    stages: list[tuple[str, float]] = []
    endpoints = up(settings, lambda stage, fraction: stages.append((stage, fraction)), services_of=broker_and_helper)
    cluster = AdminClient({**endpoints.kafka().client_config()}).list_topics(timeout=10).cluster_id
    assert status(folder).ready
    assert Endpoints.load(folder) == endpoints == status(folder).endpoints
    assert ("starting kafka", 0.0) in stages
    assert stages[-1] == ("ready", 1.0)

    assert down(folder)
    assert not down(folder)
    assert not status(folder).running
    with pytest.raises(NotFound, match="No stack is up in"):
        Endpoints.load(folder)

    again = up(settings, services_of=broker_and_helper)
    assert again == endpoints
    assert AdminClient({**again.kafka().client_config()}).list_topics(timeout=10).cluster_id == cluster


def test_up_twice_is_one_stack_even_at_once(settings: StackSettings) -> None:
    with ThreadPoolExecutor(3) as pool:
        all_endpoints = list(pool.map(lambda _: up(settings, services_of=small_stack), range(3)))
    first = pids(settings.state_dir)
    assert up(settings, services_of=small_stack) == all_endpoints[0] == all_endpoints[1] == all_endpoints[2]
    assert pids(settings.state_dir) == first
    assert len(left_over(settings.state_dir)) == len(first)


def test_up_with_more_workers_adds_them_to_the_running_stack(settings: StackSettings) -> None:
    up(settings, services_of=small_stack)
    before = pids(settings.state_dir)
    up(settings.model_copy(update={"workers": 3}), services_of=small_stack)
    after = pids(settings.state_dir)
    assert after.keys() - before.keys() == {"worker-2", "worker-3"}
    assert before.items() <= after.items()


def test_everything_in_the_state_folder_is_for_its_owner_only(settings: StackSettings) -> None:
    folder = settings.state_dir
    mask = os.umask(0o022)  # as most people have it
    try:
        endpoints = up(settings, services_of=writing_stack)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in (endpoints.clickhouse_password_file, folder / "endpoints.json", folder / "plan.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    password = endpoints.clickhouse_password_file.read_text()
    assert len(password) >= 24
    assert password not in (folder / "endpoints.json").read_text() + (folder / "plan.json").read_text()
    assert (folder / "made-by-helper").read_text() == "events"
    open_to_others = [str(path) for path in folder.rglob("*") if path.lstat().st_mode & 0o077]
    assert open_to_others == []
    assert endpoints.clickhouse().password.get_secret_value() == password


def test_variables_that_point_elsewhere_do_not_reach_the_services(
    settings: StackSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAUSELINE_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("CAUSELINE_KAFKA_BOOTSTRAP_SERVERS", "production:9092")
    endpoints = up(settings, services_of=small_stack)
    printed = (settings.state_dir / "logs" / "helper.log").read_text()
    assert endpoints.kafka_bootstrap_servers in printed
    assert "production" not in printed
    assert "SASL_SSL" not in printed


def test_a_start_that_fails_says_which_service_and_why_and_leaves_nothing_running(settings: StackSettings) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        up(settings, services_of=one_that_fails)
    assert "The service vault ended with exit code 4" in caught.value.message
    assert caught.value.message.endswith("it said: the vault is shut.")
    assert (caught.value.hint or "").endswith("vault.log.")
    assert not status(settings.state_dir).running
    assert not left_over(settings.state_dir)


def test_the_next_up_takes_over_after_the_supervisor_was_killed(settings: StackSettings) -> None:
    endpoints = up(settings, services_of=small_stack)
    report = SupervisorReport.load(settings.state_dir)
    assert report is not None
    os.kill(report.process.pid, signal.SIGKILL)
    wait_until(lambda: not status(settings.state_dir).running, timeout_s=60, what="the supervisor lives on")
    assert up(settings, services_of=small_stack) == endpoints
    assert status(settings.state_dir).ready
    assert not is_alive(report.process)


def test_an_ephemeral_stack_goes_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from causeline.stack.local import up\n"
        "from causeline.stack.settings import StackSettings\n"
        "from causeline.stack.supervisor import Service\n"
        "services = lambda *_: (Service(name='idle', argv=(sys.executable, '-c', 'import signal; signal.pause()')),)\n"
        "print(up(StackSettings(ephemeral=True), services_of=services).state_dir, flush=True)\n"
        "if sys.argv[1] == 'killed': os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for ending in ("exit", "killed"):
        done = subprocess.run(
            [sys.executable, "-c", program, ending],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        folder = Path(done.stdout.strip())
        assert folder.parent == tmp_path, done.stderr
        wait_until(lambda gone=folder: not gone.exists(), timeout_s=60, what=f"{folder} stays")  # type: ignore[misc]
        assert not left_over(folder)


def test_an_asked_port_that_is_busy_is_named(settings: StackSettings) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentFault, match=f"Port {port} for Kafka is in use"):
            up(settings.model_copy(update={"kafka_port": port}), services_of=small_stack)


def test_asked_ports_are_used_and_free_ones_are_kept(settings: StackSettings) -> None:
    [port] = free_ports(1)
    asked = settings.model_copy(update={"kafka_port": port})
    first = up(asked, services_of=small_stack)
    down(settings.state_dir)
    second = up(settings, services_of=small_stack)
    assert first.kafka_bootstrap_servers == f"{LOOPBACK}:{port}"
    assert second == first


def test_the_engine_answers_to_the_password_of_its_stack(clickhouse: ClickHouseConnection) -> None:
    client = clickhouse_connect.get_client(
        host=clickhouse.host,
        port=clickhouse.port,
        username=clickhouse.user,
        password=clickhouse.password.get_secret_value(),
    )
    try:
        assert client.query("SELECT 40 + 2").result_rows == [(42,)]
    finally:
        client.close()

"""The services of the local stack, as data: the one place that knows how each of them is started."""

import sys
from dataclasses import dataclass

from causeline.stack.endpoints import USER_KEY_FILE, Endpoints
from causeline.stack.ports import LOOPBACK
from causeline.stack.settings import StackSettings
from causeline.stack.supervisor import HttpProbe, LogLineProbe, Service, TcpProbe

READY_LINE = r"(?i)\bready\b"
"""What workers and loaders log when they have their partitions or their connections."""


_UNBUFFERED = {"PYTHONUNBUFFERED": "1"}  # a line that waits in a buffer makes nobody ready


@dataclass(frozen=True)
class Ports:
    """The ports of one stack; none is 0."""

    kafka: int
    kafka_controller: int
    clickhouse: int
    console: int
    otlp: int
    otlp_grpc: int


def stack_services(settings: StackSettings, endpoints: Endpoints, ports: Ports) -> tuple[Service, ...]:
    """Broker, engine, set-up, and every part of ours, each with what it waits for."""
    return (
        kafka_service(settings, endpoints, ports),
        clickhouse_service(endpoints, ports),
        *_our_own(settings, endpoints, ports),
    )


def kafka_service(settings: StackSettings, endpoints: Endpoints, ports: Ports) -> Service:
    """The broker."""
    options = ["--state-dir", str(endpoints.state_dir / "kafka"), "--port", str(ports.kafka)]
    options += ["--controller-port", str(ports.kafka_controller), "--partitions", str(settings.partitions)]
    return Service(
        name="kafka",
        argv=(sys.executable, "-m", "causeline.stack.kafka", *options),
        ready=TcpProbe(port=ports.kafka),
        ready_timeout_s=180,
        stop_timeout_s=20,
        ports={"clients": ports.kafka, "controller": ports.kafka_controller},
    )


def clickhouse_service(endpoints: Endpoints, ports: Ports) -> Service:
    """The embedded engine behind its HTTP interface."""
    return Service(
        name="clickhouse",
        argv=(sys.executable, "-m", "causeline.stack.clickhouse"),
        env={
            **_UNBUFFERED,
            "CAUSELINE_ENGINE_PATH": str(endpoints.state_dir / "clickhouse"),
            "CAUSELINE_ENGINE_HOST": LOOPBACK,
            "CAUSELINE_ENGINE_PORT": str(ports.clickhouse),
            "CAUSELINE_ENGINE_USER": endpoints.clickhouse_user,
            "CAUSELINE_ENGINE_PASSWORD_FILE": str(endpoints.clickhouse_password_file),
            "CAUSELINE_ENGINE_READER_PASSWORD_FILE": str(endpoints.clickhouse_reader_password_file),
        },
        ready=HttpProbe(url=f"http://{LOOPBACK}:{ports.clickhouse}/ping", body="Ok."),
        stop_timeout_s=20,
        ports={"http": ports.clickhouse},
    )


def _our_own(settings: StackSettings, endpoints: Endpoints, ports: Ports) -> list[Service]:
    env = {**endpoints.environment(), **_UNBUFFERED, "CAUSELINE_PARTITIONS": str(settings.partitions)}

    def command(*arguments: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "causeline.cli", *arguments)

    ready = LogLineProbe(pattern=READY_LINE)
    return [
        Service(
            name="topics",
            argv=command("topics", "apply", "--accept-partitions"),
            env=env,
            depends=("kafka",),
            oneshot=True,
        ),
        Service(name="migrate", argv=command("migrate"), env=env, depends=("clickhouse",), oneshot=True),
        *(
            Service(
                name=f"worker-{number}",
                argv=command("worker"),
                env=env,
                depends=("topics", "migrate"),
                ready=ready,
                stop_timeout_s=30,
            )
            for number in range(1, settings.workers + 1)
        ),
        *(
            Service(
                name=f"load-{number}",
                argv=command("load"),
                env=env,
                depends=("topics", "migrate"),
                ready=ready,
                stop_timeout_s=30,
            )
            for number in range(1, settings.loaders + 1)
        ),
        Service(
            name="amend",
            argv=command("amend", "--follow"),
            env=env,
            depends=("topics", "migrate"),
            ready=ready,
            stop_timeout_s=30,
        ),
        Service(
            name="diagnose",
            argv=command("diagnose"),
            env=env,
            depends=("topics", "migrate"),
            ready=ready,
            stop_timeout_s=30,
        ),
        Service(
            name="watch",
            argv=command("watch"),
            env=env,
            depends=("topics", "migrate"),
            ready=ready,
            stop_timeout_s=30,
        ),
        Service(
            name="serve",
            argv=command("serve", "--port", str(ports.console)),
            env={
                **env,
                "CAUSELINE_SERVE_TOKEN_FILE": str(endpoints.console_token_file),
                "CAUSELINE_SERVE_FREE_READING": "true",
            },
            depends=("kafka", "clickhouse"),
            ready=HttpProbe(url=f"http://{LOOPBACK}:{ports.console}/healthz"),
            ports={"http": ports.console},
        ),
        Service(
            name="receive",
            argv=command("receive", "--port", str(ports.otlp), "--grpc-port", str(ports.otlp_grpc)),
            env={"CAUSELINE_RECEIVE_USER_KEY_FILE": str(endpoints.state_dir / USER_KEY_FILE), **env},
            depends=("topics",),
            ready=HttpProbe(url=f"http://{LOOPBACK}:{ports.otlp}/healthz"),
            stop_timeout_s=20,
            ports={"http": ports.otlp, "grpc": ports.otlp_grpc},
        ),
    ]

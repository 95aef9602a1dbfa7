"""The state folder: made private, with its passwords and the ports that one `up` hands on to the next (ADR 8)."""

import contextlib
import fcntl
import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from causeline.schemas.errors import EnvironmentFault
from causeline.stack.endpoints import CONSOLE_TOKEN_FILE, POLICY_FILE, USER_KEY_FILE, Endpoints
from causeline.stack.faults import environment_fault
from causeline.stack.ports import LOOPBACK, free_ports, require_free
from causeline.stack.services import Ports
from causeline.stack.settings import StackSettings
from causeline.stack.supervisor.state import LOGS_DIR, open_private, write_private

CLICKHOUSE_USER = "causeline"
_PORTS_FILE = "ports.json"
_LOCK_FILE = "up.lock"
_MIN_FREE_BYTES = 512 * 1024 * 1024
_SERVICE_NAMES = {
    "kafka": "Kafka",
    "kafka_controller": "Kafka's controller",
    "clickhouse": "ClickHouse",
    "console": "the console",
    "otlp": "the receiver of OTLP/HTTP",
    "otlp_grpc": "the receiver of OTLP/gRPC",
}

BUILT_IN_POLICY = "version = 1\n"
"""A policy file that says nothing of its own."""


def state_folder(settings: StackSettings, *, needed_bytes: int = _MIN_FREE_BYTES) -> Path:
    """The folder to use, absolute, made if need be; raises `EnvironmentFault` when it cannot hold a stack."""
    folder = (
        Path(tempfile.mkdtemp(prefix="causeline-"))
        if settings.ephemeral
        else settings.state_dir.expanduser().absolute()
    )
    thing = f"the state folder {folder}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        for name in (LOGS_DIR, "artifacts", "clickhouse", "kafka"):
            (folder / name).mkdir(exist_ok=True, mode=0o700)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise environment_fault(error, thing) from error
    if free < needed_bytes:
        raise EnvironmentFault(
            f"Only {free // 2**20} MiB are free for {thing}, and a stack needs {needed_bytes // 2**20} MiB.",
            hint="Free some disk space, or choose another folder with CAUSELINE_STATE_DIR.",
        )
    return folder


def policy_file(folder: Path, text: str = BUILT_IN_POLICY) -> Path:
    """The stack's policy file; made with `text` when there is none, for its owner to edit."""
    file = folder / POLICY_FILE
    if not file.exists():
        write_private(file, text)
    return file


@contextlib.contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Let one `up` or `down` at a time work on the stack in `folder`; others wait."""
    try:
        file = open_private(folder / _LOCK_FILE, "a")
    except OSError as error:
        raise environment_fault(error, f"the state folder {folder}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def choose_ports(settings: StackSettings, folder: Path, *, running: bool) -> Ports:
    """The ports to use: as asked, else as last time if still free, else free ones; remembers them.

    Those of the stack that is `running` here count as free for it. Raises `EnvironmentFault` for an asked port
    that something else uses.
    """
    asked = {
        "kafka": settings.kafka_port,
        "kafka_controller": 0,
        "clickhouse": settings.clickhouse_port,
        "console": settings.console_port,
        "otlp": settings.otlp_port,
        "otlp_grpc": settings.otlp_grpc_port,
    }
    last = _last_ports(folder)
    chosen: dict[str, int] = {}
    for name, port in asked.items():
        mine = last.get(name, 0)
        if running and mine and port in {0, mine}:
            chosen[name] = mine
        elif port:
            chosen[name] = require_free(port, _SERVICE_NAMES[name])
        else:
            chosen[name] = _last_or_free(mine, {*chosen.values(), *asked.values()})
    ports = Ports(**chosen)
    write_private(folder / _PORTS_FILE, json.dumps(asdict(ports)))
    return ports


def _last_or_free(last: int, taken: set[int]) -> int:
    if last and last not in taken:
        with contextlib.suppress(EnvironmentFault):
            return require_free(last, "this stack")
    return free_ports(1, but=taken)[0]


def _last_ports(folder: Path) -> dict[str, int]:
    try:
        stored = json.loads((folder / _PORTS_FILE).read_bytes())
        return {name: int(stored[name]) for name in _SERVICE_NAMES}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def endpoints_for(settings: StackSettings, folder: Path, ports: Ports) -> Endpoints:
    """Where the stack in `folder` will answer; makes the passwords, and the key of users' hashes, the first time."""
    _password(folder / USER_KEY_FILE)
    _password(folder / CONSOLE_TOKEN_FILE)
    return Endpoints(
        state_dir=folder,
        kafka_bootstrap_servers=f"{LOOPBACK}:{ports.kafka}",
        clickhouse_url=f"http://{CLICKHOUSE_USER}@{LOOPBACK}:{ports.clickhouse}/causeline",
        clickhouse_user=CLICKHOUSE_USER,
        clickhouse_password_file=_password(folder / "clickhouse.password"),
        clickhouse_reader_password_file=_password(folder / "clickhouse.reader.password"),
        console_url=f"http://{LOOPBACK}:{ports.console}",
        otlp_url=f"http://{LOOPBACK}:{ports.otlp}",
        otlp_grpc_url=f"http://{LOOPBACK}:{ports.otlp_grpc}",
        artifacts=folder / "artifacts",
        topic_prefix=settings.topic_prefix,
    )


def _password(file: Path) -> Path:
    if not file.exists():
        write_private(file, secrets.token_urlsafe(24))
    return file

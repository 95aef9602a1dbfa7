"""Where Kafka and ClickHouse are: as said, else the running local stack's, else a sentence on how to say it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas.errors import Unreachable
from causeline.schemas.topics import DEFAULT_PREFIX

if TYPE_CHECKING:
    from causeline.stack.endpoints import Endpoints

STATE_DIR = "CAUSELINE_STATE_DIR"
KAFKA = "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS"
CLICKHOUSE = "CAUSELINE_CLICKHOUSE_URL"
CLICKHOUSE_PASSWORD = "CAUSELINE_CLICKHOUSE_PASSWORD"  # noqa: S105 - the variable's name
CLICKHOUSE_PASSWORD_FILE = "CAUSELINE_CLICKHOUSE_PASSWORD_FILE"  # noqa: S105 - the variable's name
ARTIFACTS = "CAUSELINE_ARTIFACTS"
TOPIC_PREFIX = "CAUSELINE_TOPIC_PREFIX"
READER_OF = "CAUSELINE_READER_OF"
READER = "reader"
"""The local stack's read-only ClickHouse user."""


def state_folder(option: Path | None = None) -> Path:
    """The folder of the local stack's state: the option, its variable, or `.causeline` here."""
    return (option or Path(os.environ.get(STATE_DIR) or ".causeline")).absolute()


def settle(
    *, state_dir: Path | None = None, clickhouse_url: str | None = None, kafka_servers: str | None = None
) -> None:
    """Make the environment say where everything is, so that every part's settings agree.

    What was said by option or variable stands; what was not is filled in from the running local stack, if there is
    one. Each service is settled by itself, and the stack's password goes to the stack's own ClickHouse only.
    """
    for variable, said in ((STATE_DIR, state_dir), (CLICKHOUSE, clickhouse_url), (KAFKA, kafka_servers)):
        if said:
            os.environ[variable] = str(said)
    local = _local_environment(state_folder(state_dir))
    if local and _is_what_env_gave(local):
        # For other programs: our own commands log in as they need to, see `reader`.
        for variable in (READER_OF, CLICKHOUSE, CLICKHOUSE_PASSWORD_FILE):
            os.environ.pop(variable, None)
    url = os.environ.get(CLICKHOUSE)
    ours = not url or _server(url) == _server(local.get(CLICKHOUSE, ""))
    for variable, value in local.items():
        if variable == CLICKHOUSE_PASSWORD_FILE and (not ours or os.environ.get(CLICKHOUSE_PASSWORD)):
            continue
        if not os.environ.get(variable):
            os.environ[variable] = value


def _is_what_env_gave(local: Mapping[str, str]) -> bool:
    """Whether the login to ClickHouse is what `causeline env` gave for this stack; one that a user chose stands."""
    return (os.environ.get(READER_OF), os.environ.get(CLICKHOUSE)) == (local[STATE_DIR], _as_reader(local[CLICKHOUSE]))


def clickhouse(state_dir: Path | None = None, clickhouse_url: str | None = None) -> ClickHouseConnection:
    """The ClickHouse to ask; raises Unreachable where none is named and none runs here."""
    settle(state_dir=state_dir, clickhouse_url=clickhouse_url)
    _require(CLICKHOUSE)
    return ClickHouseConnection.from_environment()


def reader(state_dir: Path | None = None, clickhouse_url: str | None = None) -> ClickHouseConnection:
    """The ClickHouse to ask on behalf of someone who may only read: the local stack's reader, where it is the one."""
    connection = clickhouse(state_dir, clickhouse_url)
    endpoints = local_endpoints(state_folder(state_dir))
    if endpoints is None or connection.url != endpoints.clickhouse_url:
        return connection
    return ClickHouseConnection.from_environment(
        {
            CLICKHOUSE: _as_reader(connection.url),
            CLICKHOUSE_PASSWORD_FILE: str(endpoints.clickhouse_reader_password_file),
        }
    )


def kafka(state_dir: Path | None = None, kafka_servers: str | None = None) -> KafkaConnection:
    """The Kafka to talk to; raises Unreachable where none is named and none runs here."""
    settle(state_dir=state_dir, kafka_servers=kafka_servers)
    _require(KAFKA)
    return KafkaConnection.from_environment()


def artifacts() -> str:
    """Where artifacts are kept: a folder or a URL; raises Unreachable where none is named and no stack runs here."""
    _require(ARTIFACTS)
    return os.environ[ARTIFACTS]


def topic_prefix() -> str:
    """What stands before the dot of every topic's name."""
    return os.environ.get(TOPIC_PREFIX) or DEFAULT_PREFIX


def local_policy(state_dir: Path | None = None) -> Path | None:
    """The policy file of the stack that is up here; None where none is."""
    endpoints = local_endpoints(state_folder(state_dir))
    return None if endpoints is None else endpoints.policy


def local_endpoints(folder: Path) -> "Endpoints | None":
    """Where the stack that is up in `folder` answers; None where none is."""
    if not (folder / "endpoints.json").exists():
        return None
    from causeline.stack.endpoints import Endpoints

    return Endpoints.load(folder)


def _local_environment(folder: Path) -> dict[str, str]:
    endpoints = local_endpoints(folder)
    return {} if endpoints is None else endpoints.environment()


def _server(url: str) -> str:
    """A URL without its database."""
    return url.rpartition("/")[0]


def _as_reader(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{READER}@{rest.rpartition('@')[2]}"


def _require(variable: str) -> None:
    if not os.environ.get(variable):
        raise Unreachable(f"No stack is running here and {variable} is not set.", hint="causeline up")


def set_topic_prefix(prefix: str) -> None:
    """Have every part use `prefix`."""
    os.environ[TOPIC_PREFIX] = prefix

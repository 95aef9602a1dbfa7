"""Where a running stack can be reached, kept in its state folder for those who come to use it."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas.errors import NotFound
from causeline.stack.supervisor.state import write_private

POLICY_FILE = "policy.toml"
ENDPOINTS_FILE = "endpoints.json"
USER_KEY_FILE = "user.key"
"""Key of the hash by which users are told apart: another key, other hashes."""
READER = "reader"
"""ClickHouse's user who may only read."""
CONSOLE_TOKEN_FILE = "console.token"  # noqa: S105 - the name of a file


class Endpoints(BaseModel):
    """Addresses and files of one stack; no secret is in here, only the names of the files that hold them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    state_dir: Path
    kafka_bootstrap_servers: str
    clickhouse_url: str
    clickhouse_user: str
    clickhouse_password_file: Path
    clickhouse_reader_password_file: Path
    console_url: str
    otlp_url: str
    otlp_grpc_url: str
    artifacts: Path
    topic_prefix: str

    def kafka(self) -> KafkaConnection:
        """How Kafka clients connect."""
        return KafkaConnection(bootstrap_servers=self.kafka_bootstrap_servers)

    def clickhouse(self) -> ClickHouseConnection:
        """How ClickHouse clients connect, password included; it is read from its file now."""
        return ClickHouseConnection.from_environment(self.environment())

    @property
    def policy(self) -> Path:
        """The policy file of this stack: of the demo workflows at first, and there to be edited."""
        return self.state_dir / POLICY_FILE

    @property
    def console_token_file(self) -> Path:
        """The file that holds the console's token: with it, `causeline open` signs its owner in."""
        return self.state_dir / CONSOLE_TOKEN_FILE

    def reading(self) -> dict[str, str]:
        """The same for programs that only read: they log in to ClickHouse as its reader. What says so is for our own
        commands, which tell this login by it from one that a user chose."""
        return {
            **self.environment(),
            "CAUSELINE_CLICKHOUSE_URL": self.clickhouse_url.replace(f"//{self.clickhouse_user}@", f"//{READER}@", 1),
            "CAUSELINE_CLICKHOUSE_PASSWORD_FILE": str(self.clickhouse_reader_password_file),
            "CAUSELINE_READER_OF": str(self.state_dir),
        }

    def environment(self) -> dict[str, str]:
        """The variables that point any of our commands at this stack, as its owner."""
        return {
            "CAUSELINE_STATE_DIR": str(self.state_dir),
            "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap_servers,
            "CAUSELINE_CLICKHOUSE_URL": self.clickhouse_url,
            "CAUSELINE_CLICKHOUSE_PASSWORD_FILE": str(self.clickhouse_password_file),
            "CAUSELINE_ARTIFACTS": str(self.artifacts),
            "CAUSELINE_TOPIC_PREFIX": self.topic_prefix,
            "CAUSELINE_POLICY": str(self.policy),
        }

    def save(self) -> None:
        """Write them to the state folder, readable by its owner only."""
        write_private(self.state_dir / ENDPOINTS_FILE, self.model_dump_json(indent=1))

    @classmethod
    def load(cls, state_dir: Path) -> Self:
        """Those of the stack that is up in `state_dir`; raises `NotFound` when none is."""
        try:
            return cls.model_validate_json((state_dir / ENDPOINTS_FILE).read_bytes())
        except (OSError, ValueError):
            raise NotFound(f"No stack is up in {state_dir}.", hint="Start it with `causeline up`.") from None

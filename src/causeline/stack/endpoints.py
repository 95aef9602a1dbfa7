"""Where a running stack can be reached, kept in its state folder for those who come to use it."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from causeline.schemas.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas.errors import NotFound
from causeline.stack.supervisor.state import write_private

POLICY_FILE = "policy.toml"
ENDPOINTS_FILE = "endpoints.json"


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

    def environment(self) -> dict[str, str]:
        """The variables that point any of our commands at this stack."""
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

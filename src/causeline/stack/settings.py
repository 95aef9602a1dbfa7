"""What a user may choose about the local stack."""

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from causeline.schemas.errors import UsageError
from causeline.schemas.topics import DEFAULT_PARTITIONS, DEFAULT_PREFIX


class StackSettings(BaseSettings):
    """Settings of the local stack, each also read from `CAUSELINE_<NAME>`.

    A port of 0 means a free one, kept from one `up` to the next as long as it stays free.
    """

    model_config = SettingsConfigDict(env_prefix="CAUSELINE_", extra="forbid", frozen=True)

    state_dir: Path = Path(".causeline")
    """Everything the stack keeps: data, logs, passwords. Private to its owner."""
    kafka_port: int = Field(default=0, ge=0, le=65535)
    """Kafka's port."""
    clickhouse_port: int = Field(default=0, ge=0, le=65535)
    """ClickHouse's HTTP port."""
    console_port: int = Field(default=0, ge=0, le=65535)
    """The console's port."""
    otlp_port: int = Field(default=0, ge=0, le=65535)
    """The receiver's port of OTLP/HTTP."""
    otlp_grpc_port: int = Field(default=0, ge=0, le=65535)
    """The receiver's port of OTLP/gRPC."""
    partitions: int = Field(default=DEFAULT_PARTITIONS, ge=1, le=1024)
    """Partitions of new topics."""
    workers: int = Field(default=1, ge=0, le=64)
    """How many workers join runs."""
    loaders: int = Field(default=1, ge=0, le=64)
    """How many loaders fill ClickHouse."""
    topic_prefix: str = Field(default=DEFAULT_PREFIX, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$")
    """What the topics' names start with."""
    ephemeral: bool = False
    """Keep the state in a temporary folder that goes with the stack or with the process that started it."""


def load_settings(**chosen: object) -> StackSettings:
    """`chosen` over the environment over the defaults; raises `UsageError` naming the first bad one."""
    try:
        return StackSettings(**chosen)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "the settings"
        raise UsageError(f"{name}: {first['msg']}.", hint=f"It may come from CAUSELINE_{name.upper()}.") from None

"""What a user may choose about the local stack."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from causeline.runtime.settings import Settings
from causeline.runtime.variables import FAMILIES, SINGLE
from causeline.schemas.topics import DEFAULT_PARTITIONS, DEFAULT_PREFIX, TopicPrefix


class StackSettings(Settings):
    """Settings of the local stack, each also read from `CAUSELINE_<NAME>`.

    A port of 0 means a free one, kept from one `up` to the next as long as it stays free.
    """

    prefix: ClassVar = "CAUSELINE_"
    beside: ClassVar = frozenset({*FAMILIES, *(variable.name for variable in SINGLE)})

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
    topic_prefix: TopicPrefix = DEFAULT_PREFIX
    """What the topics' names start with."""
    ephemeral: bool = False
    """Keep the state in a temporary folder that goes with the stack or with the process that started it."""

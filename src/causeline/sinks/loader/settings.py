"""The loader's settings, checked before anything is connected."""

import os
from typing import Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from causeline.schemas.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas.errors import UsageError
from causeline.schemas.health_port import HealthSettings
from causeline.schemas.topics import DEFAULT_PREFIX

_PREFIX = "CAUSELINE_LOADER_"


class LoaderSettings(BaseSettings):
    """Variables: `CAUSELINE_LOADER_…`, beside those of Kafka, ClickHouse and `CAUSELINE_TOPIC_PREFIX`."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        env_ignore_empty=True,
        use_attribute_docstrings=True,
    )

    kafka: KafkaConnection = Field(default_factory=KafkaConnection.from_environment)
    """Where the topics are; by default as `CAUSELINE_KAFKA_…` says."""
    clickhouse: ClickHouseConnection = Field(default_factory=ClickHouseConnection.from_environment)
    """Where the tables are; by default as `CAUSELINE_CLICKHOUSE_…` says."""
    health: HealthSettings = Field(default_factory=HealthSettings.from_environment)
    """Where it tells how it is; by default as `CAUSELINE_HEALTH_…` says."""
    topic_prefix: str = Field(default=DEFAULT_PREFIX, validation_alias="CAUSELINE_TOPIC_PREFIX", min_length=1)
    """What the topics' names start with."""

    registry_url: str | None = Field(default=None, validation_alias="CAUSELINE_REGISTRY_URL")
    """A Confluent-compatible registry whose schema ids are accepted beside the bundled ones."""

    group_id: str | None = Field(default=None, min_length=1)
    """Consumer group; by default the topic prefix and `.loader`. Loaders of one group share the partitions."""
    instance: str | None = Field(default=None, min_length=1)
    """A stable name of this loader, unique in its group: restarted soon enough, it takes up its own partitions."""
    session_timeout_s: float = Field(default=10, ge=6)
    """A loader silent for so long loses its partitions to the others."""
    max_block_rows: int = Field(default=100_000, ge=1, le=1_000_000)
    """Rows of one insert at most. One larger message still goes as one insert."""
    max_block_bytes: int = Field(default=16 * 1024 * 1024, ge=1)
    """Bytes of one insert at most, as they stand on the topic."""
    linger_s: float = Field(default=0.5, gt=0, le=60)
    """The longest that a message waits for others before it is inserted."""
    insert_threads: int = Field(default=2, ge=1, le=32)
    """Inserts that run at once, each of another partition."""
    max_buffer_bytes: int = Field(default=128 * 1024 * 1024, ge=1)
    """Bytes held over all partitions; past it, and past two blocks of one partition, reading pauses."""
    insert_timeout_s: float = Field(default=120, gt=0)
    """How long one insert may take before it is tried again."""
    backoff_min_s: float = Field(default=0.2, gt=0)
    """First pause before a retry; it doubles up to `backoff_max_s`, with jitter."""
    backoff_max_s: float = Field(default=15, gt=0)
    """Longest pause before a retry."""
    max_dead_ratio: float = Field(default=0.5, ge=0, le=1)
    """Share of unreadable messages past which the loader stops; 1 never stops."""
    dead_ratio_after: int = Field(default=200, ge=1)
    """Messages that must have been seen before that share counts."""
    stop_timeout_s: float = Field(default=20, gt=0)
    """How long what is buffered may take to be inserted when the loader is told to stop or loses a partition."""
    report_every_s: float = Field(default=60, gt=0)
    """Seconds between two lines of counters in the log."""

    @property
    def group(self) -> str:
        """The consumer group's name."""
        return self.group_id or f"{self.topic_prefix}.loader"

    @classmethod
    def from_environment(cls) -> Self:
        """From the environment; raises UsageError naming the variable that is wrong or that nothing reads."""
        known = {_PREFIX + name.upper() for name in cls.model_fields}
        for variable in os.environ:
            if variable.startswith(_PREFIX) and variable not in known:
                raise UsageError(f"{variable} is not a setting.", hint=f"Settings: {', '.join(sorted(known))}.")
        try:
            return cls()
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]).upper()
            variable = field if field.startswith("CAUSELINE_") else _PREFIX + field
            raise UsageError(f"{variable}: {first['msg']}.", hint="docs/operations.md lists every setting.") from None

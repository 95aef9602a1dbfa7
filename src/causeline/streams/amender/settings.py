"""The amender's settings."""

import os
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from causeline.schemas.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas.errors import UsageError
from causeline.schemas.topics import DEFAULT_PREFIX

_PREFIX = "CAUSELINE_AMENDER_"


class AmenderSettings(BaseSettings):
    """Variables: `CAUSELINE_AMENDER_…`, beside those of Kafka, ClickHouse and `CAUSELINE_TOPIC_PREFIX`."""

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
    """Where the events are; by default as `CAUSELINE_CLICKHOUSE_…` says."""
    topic_prefix: str = Field(default=DEFAULT_PREFIX, validation_alias="CAUSELINE_TOPIC_PREFIX", min_length=1)
    """What the topics' names start with."""
    registry_url: str | None = Field(default=None, validation_alias="CAUSELINE_REGISTRY_URL")
    """A Confluent-compatible registry whose schema ids are accepted beside the bundled ones."""

    policy: Path | None = Field(default=None, validation_alias="CAUSELINE_POLICY")
    """The policy to judge by (TOML), the workers' own; without it the built-in one. A changed file is read anew."""
    group_id: str | None = Field(default=None, min_length=1)
    """Consumer group; by default the topic prefix and `.amender`. Amenders of one group share the partitions."""
    instance: str | None = Field(default=None, min_length=1)
    """A stable name of this amender, unique in its group: restarted soon enough, it takes up its own partitions."""
    session_timeout_s: float = Field(default=10, ge=6)
    """An amender silent for so long loses its partitions to the others."""
    visible_wait_s: float = Field(default=900, gt=0)
    """How long late events may take to become visible in ClickHouse; after that a run is amended without them."""
    unjoined_wait_s: float = Field(default=420, ge=0)
    """How long a run of which nothing was published is left to the worker, which may have it open still."""
    watch_s: float = Field(default=3600, ge=0)
    """How long a run that was published without its start is looked at again, in case the start comes after all."""
    retry_min_s: float = Field(default=0.2, gt=0)
    """First pause before a run is looked at again; it doubles up to `retry_max_s`."""
    retry_max_s: float = Field(default=15, gt=0)
    """Longest pause before a run is looked at again."""
    max_run_events: int = Field(default=50_000, ge=1)
    """Events of one run that are read at most; a run with more is assembled of its first ones, and says so."""
    max_batch_runs: int = Field(default=200, ge=1, le=500)
    """Runs looked up at once at most."""
    max_batch_events: int = Field(default=200_000, ge=1)
    """Events read at once, about; one run may have more."""
    max_waiting_runs: int = Field(default=20_000, ge=1)
    """Runs that wait at once; past it reading pauses."""
    delivery_timeout_s: float = Field(default=300, gt=0)
    """How long a publication may take before the amender ends and is started again."""

    @property
    def group(self) -> str:
        """The consumer group's name."""
        return self.group_id or f"{self.topic_prefix}.amender"

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

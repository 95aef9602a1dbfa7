"""The worker's settings, and among them the assembler's limits."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from causeline.schemas.connections import KafkaConnection
from causeline.schemas.errors import UsageError
from causeline.schemas.health_port import HealthSettings
from causeline.schemas.topics import DEFAULT_PREFIX

_PREFIX_VARIABLE = "CAUSELINE_TOPIC_PREFIX"
_VARIABLES = "CAUSELINE_WORKER_"
_ELSEWHERE = frozenset({"kafka", "health", "topic_prefix", "registry_url", "policy"})


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run is closed that does not end by itself. Times are judged by when events arrive, never by what they say.

    A clock that is wrong on a producer can therefore neither close a run nor hold it open.
    """

    grace_s: float = 2.0
    """After its end was seen, a run waits so long for events that are missing."""
    idle_timeout_s: float = 60.0
    """A run without a new event for so long is closed."""
    max_open_s: float = 300.0
    """A run open for so long is closed."""
    max_run_events: int = 50_000
    """A run with so many events is closed as it is; what comes later is late."""
    max_open_events: int = 1_000_000
    """With more events open than this, the oldest runs are closed as they are."""

    @property
    def grace_us(self) -> int:
        """`grace_s` in microseconds."""
        return round(self.grace_s * 1e6)

    @property
    def idle_timeout_us(self) -> int:
        """`idle_timeout_s` in microseconds."""
        return round(self.idle_timeout_s * 1e6)

    @property
    def max_open_us(self) -> int:
        """`max_open_s` in microseconds."""
        return round(self.max_open_s * 1e6)


class WorkerSettings(BaseSettings):
    """A worker's settings, each a `CAUSELINE_WORKER_…` variable unless it says otherwise; unknown ones are refused.

    The connection is that of `CAUSELINE_KAFKA_…`, the topics' prefix that of `CAUSELINE_TOPIC_PREFIX`.
    """

    model_config = SettingsConfigDict(env_prefix=_VARIABLES, extra="forbid", frozen=True, populate_by_name=True)

    kafka: KafkaConnection = Field(default_factory=KafkaConnection.from_environment)
    health: HealthSettings = Field(default_factory=HealthSettings.from_environment)
    topic_prefix: str = Field(default=DEFAULT_PREFIX, validation_alias=_PREFIX_VARIABLE)
    registry_url: str | None = Field(default=None, validation_alias="CAUSELINE_REGISTRY_URL")
    policy: Path | None = Field(
        default=None,
        validation_alias="CAUSELINE_POLICY",
        description="The policy (TOML) that judges; a change is picked up within a second. None: the built-in one.",
    )
    group_id: str | None = Field(
        default=None, min_length=1, description="The consumer group that shares the work; else PREFIX.worker."
    )
    instance: str | None = Field(
        default=None, description="A stable name of this worker, unique in its group: a restart then moves nothing."
    )
    grace_s: float = Field(default=2.0, ge=0, description="Wait for missing events after a run's end.")
    idle_timeout_s: float = Field(default=60.0, gt=0, description="Close a run without an event for so long.")
    max_open_s: float = Field(default=300.0, gt=0, description="Close a run open for so long.")
    max_run_events: int = Field(default=50_000, ge=1, description="Close a run that has so many events.")
    max_open_events: int = Field(default=1_000_000, ge=1, description="Close the oldest runs beyond so many events.")
    batch_messages: int = Field(default=200, ge=1, description="Messages decoded at once at most.")
    batch_bytes: int = Field(default=4 * 1024 * 1024, ge=1, description="Bytes decoded at once, about.")
    linger_ms: int = Field(default=5, ge=0, description="How long a message waits for others to be decoded with.")
    close_interval_ms: int = Field(default=50, ge=1, le=200, description="How often due runs are published.")
    max_in_flight_bytes: int = Field(default=64 * 1024 * 1024, ge=1, description="Published, not yet delivered.")
    delivery_timeout_s: float = Field(default=300.0, gt=0, description="Give up a publication, and end, after this.")
    session_timeout_s: float = Field(default=10.0, ge=6, description="A worker silent for so long is left out.")
    stall_timeout_s: float = Field(default=60.0, gt=0, description="A worker that moves nothing for so long ends.")
    max_dead_ratio: float = Field(
        default=0.5, gt=0, le=1, description="With a larger share of unreadable messages the worker ends and says so."
    )

    @classmethod
    def from_environment(cls) -> Self:
        """From the environment; raises UsageError naming the variable that is wrong or that nothing reads."""
        known = {_VARIABLES + name.upper() for name in cls.model_fields if name not in _ELSEWHERE}
        for variable in os.environ:
            if variable.startswith(_VARIABLES) and variable not in known:
                raise UsageError(f"{variable} is not a setting.", hint=f"Settings: {', '.join(sorted(known))}.")
        try:
            return cls()
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]).upper()
            variable = field if field.startswith("CAUSELINE_") else _VARIABLES + field
            raise UsageError(f"{variable}: {first['msg']}.", hint="docs/operations.md lists every setting.") from None

    @property
    def group(self) -> str:
        """The consumer group's name."""
        return self.group_id or f"{self.topic_prefix}.worker"

    @property
    def limits(self) -> Limits:
        """The assembler's part of these settings."""
        return Limits(
            grace_s=self.grace_s,
            idle_timeout_s=self.idle_timeout_s,
            max_open_s=self.max_open_s,
            max_run_events=self.max_run_events,
            max_open_events=self.max_open_events,
        )

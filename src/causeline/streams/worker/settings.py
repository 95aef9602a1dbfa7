"""The worker's settings, and among them the assembler's limits."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from causeline.kafka.settings import GroupSettings
from causeline.runtime.health import HealthSettings


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
    max_run_events: int = 200_000
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


class WorkerSettings(GroupSettings):
    """How events are read and joined, and when a worker that gets nowhere ends."""

    prefix: ClassVar = "CAUSELINE_WORKER_"
    role: ClassVar = "worker"

    health: HealthSettings = Field(default_factory=HealthSettings)
    policy: Path | None = Field(
        default=None,
        validation_alias="CAUSELINE_POLICY",
        description="The policy (TOML) that judges; a change is picked up within a second. None: the built-in one.",
    )
    grace_s: float = Field(default=2.0, ge=0, description="Wait for missing events after a run's end.")
    idle_timeout_s: float = Field(default=60.0, gt=0, description="Close a run without an event for so long.")
    max_open_s: float = Field(default=300.0, gt=0, description="Close a run open for so long.")
    max_run_events: int = Field(default=200_000, ge=1, description="Close a run that has so many events.")
    max_open_events: int = Field(default=1_000_000, ge=1, description="Close the oldest runs beyond so many events.")
    batch_messages: int = Field(default=200, ge=1, description="Messages decoded at once at most.")
    batch_bytes: int = Field(default=4 * 1024 * 1024, ge=1, description="Bytes decoded at once, about.")
    linger_ms: int = Field(default=5, ge=0, description="How long a message waits for others to be decoded with.")
    close_interval_ms: int = Field(default=50, ge=1, le=200, description="How often due runs are published.")
    max_in_flight_bytes: int = Field(default=64 * 1024 * 1024, ge=1, description="Published, not yet delivered.")
    delivery_timeout_s: float = Field(default=300.0, gt=0, description="Give up a publication, and end, after this.")
    stall_timeout_s: float = Field(default=60.0, gt=0, description="A worker that moves nothing for so long ends.")
    max_dead_ratio: float = Field(
        default=0.5, gt=0, le=1, description="With a larger share of unreadable messages the worker ends and says so."
    )

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

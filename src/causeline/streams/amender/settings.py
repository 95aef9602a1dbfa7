"""The amender's settings."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from causeline.kafka.settings import GroupSettings
from causeline.runtime.connections import ClickHouseConnection


class AmenderSettings(GroupSettings):
    """How long late events are waited for, and how many runs are read at once."""

    prefix: ClassVar = "CAUSELINE_AMENDER_"
    role: ClassVar = "amender"

    clickhouse: ClickHouseConnection = Field(default_factory=ClickHouseConnection)
    """Where the events are; by default as `CAUSELINE_CLICKHOUSE_…` says."""
    policy: Path | None = Field(default=None, validation_alias="CAUSELINE_POLICY")
    """The policy to judge by (TOML), the workers' own; without it the built-in one. A changed file is read anew."""
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
    max_run_events: int = Field(default=200_000, ge=1)
    """Events of one run that are read at most; a run with more is assembled of its ends and first ones, and says so."""
    max_batch_runs: int = Field(default=200, ge=1, le=500)
    """Runs looked up at once at most."""
    max_batch_events: int = Field(default=200_000, ge=1)
    """Events read at once, about; one run may have more."""
    max_waiting_runs: int = Field(default=20_000, ge=1)
    """Runs that wait at once; past it reading pauses."""
    delivery_timeout_s: float = Field(default=300, gt=0)
    """How long a publication may take before the amender ends and is started again."""

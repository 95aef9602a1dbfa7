"""The diagnoser's settings."""

from typing import ClassVar

from pydantic import Field

from causeline.kafka.settings import GroupSettings
from causeline.runtime.connections import ClickHouseConnection


class DiagnoserSettings(GroupSettings):
    """How many runs are remembered as neighbours, when a run has its last word, and when some are passed over."""

    prefix: ClassVar = "CAUSELINE_DIAGNOSER_"
    role: ClassVar = "diagnoser"

    clickhouse: ClickHouseConnection = Field(default_factory=ClickHouseConnection)
    """Where runs and neighbours are read again; by default as `CAUSELINE_CLICKHOUSE_…` says."""
    max_batch_messages: int = Field(default=50, ge=1, le=1_000)
    """Messages of runs that are taken at once."""
    max_rows: int = Field(default=20_000, ge=1_000)
    """Runs remembered as neighbours over all workflows, about 6 KB each; workflows that rest are read again later."""
    settle_s: float = Field(default=60, ge=0)
    """The least time between a run's first word and its last, which has runs after it among its neighbours."""
    max_waiting_runs: int = Field(default=20_000, ge=1)
    """Runs that wait for their last word; past it the oldest keep their first."""
    max_lag_s: float = Field(default=1_800, gt=0)
    """So old may runs be when they are read; past it one in two is diagnosed, past twice of it one in four…"""
    delivery_timeout_s: float = Field(default=300, gt=0)
    """How long a publication may take before it is tried again."""

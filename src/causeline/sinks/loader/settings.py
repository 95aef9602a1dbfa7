"""The loader's settings, checked before anything is connected."""

from typing import ClassVar

from pydantic import Field

from causeline.kafka.settings import GroupSettings
from causeline.runtime.connections import ClickHouseConnection
from causeline.runtime.health import HealthSettings


class LoaderSettings(GroupSettings):
    """How blocks are gathered, inserted and tried again."""

    prefix: ClassVar = "CAUSELINE_LOADER_"
    role: ClassVar = "loader"

    clickhouse: ClickHouseConnection = Field(default_factory=ClickHouseConnection)
    """Where the tables are; by default as `CAUSELINE_CLICKHOUSE_…` says."""
    health: HealthSettings = Field(default_factory=HealthSettings)
    """Where it tells how it is; by default as `CAUSELINE_HEALTH_…` says."""
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

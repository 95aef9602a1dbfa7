"""The emitter's settings: `CAUSELINE_EMITTER_…`."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from causeline.runtime.settings import Settings
from causeline.schemas.topics import DEFAULT_PREFIX, TopicPrefix


class EmitterSettings(Settings):
    """How events are gathered, bounded and sent."""

    prefix: ClassVar = "CAUSELINE_EMITTER_"

    topic_prefix: TopicPrefix = Field(default=DEFAULT_PREFIX, validation_alias="CAUSELINE_TOPIC_PREFIX")
    """What the topics' names start with."""
    batch_events: Annotated[int, Field(ge=1, le=10_000)] = 1000
    """A batch of so many events is sent at once."""
    batch_bytes: Annotated[int, Field(ge=1024, le=2 * 1024 * 1024)] = 512 * 1024
    """So is one of so many encoded bytes."""
    batch_age_s: Annotated[float, Field(gt=0, le=60)] = 0.05
    """So is one whose first event has waited for so long."""
    buffer_events: Annotated[int, Field(ge=1)] = 250_000
    """Events that may wait or be under way; the next is dropped and counted."""
    buffer_bytes: Annotated[int, Field(ge=1024)] = 64 * 1024 * 1024
    """So with encoded bytes."""
    delivery_timeout_s: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """How long one attempt to deliver a batch may take."""
    delivery_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    """Attempts before a batch that the broker finds invalid is counted as lost; any other waits for as long as there is
    room."""
    close_timeout_s: Annotated[float, Field(ge=0, le=3600)] = 5.0
    """How long the end of the process may be held up for what is still under way."""
    sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the runs that is on record; runs with errors, gaps, fallbacks, reviews or eval cases always are."""
    held_events: Annotated[int, Field(ge=1)] = 50_000
    """Events of runs outside the sample that may wait for their run's end; past it the oldest run is put on record."""
    held_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    """So with encoded bytes."""
    spool: Path | None = None
    """Folder for events while the broker is away, which the next process takes over; without one they wait in memory
    only."""
    spool_bytes: Annotated[int, Field(ge=1024 * 1024)] = 1024 * 1024 * 1024
    """Bytes on disk that one process may take; past them the oldest events are dropped, and their runs say so."""
    spool_after_s: Annotated[float, Field(gt=0, le=3600)] = 3.0
    """So long nothing is delivered, though something waits, before events go to the spool."""
    compression: Annotated[str, Field(pattern="^(none|gzip|snappy|lz4|zstd)$")] = "zstd"
    """How batches are compressed: none, gzip, snappy, lz4 or zstd."""

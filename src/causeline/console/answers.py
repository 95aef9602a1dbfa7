"""What the console's questions are answered with, beside a run itself (`causeline.schemas.run`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

Record: TypeAlias = Mapping[str, object]
"""A row, by column name."""


@dataclass(frozen=True, slots=True)
class LiveGap:
    """A gap as told while the run was live, with the threshold it fell short of."""

    event_id: str
    kind: str
    field_path: str | None
    provenance_score: float | None
    threshold: float | None
    next_step: str
    decided_next_step: str | None


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Rows of each public view."""

    events: int
    runs: int
    steps: int
    gaps: int
    reviews: int
    causes: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that has events and no record yet: it is still open, or its worker is behind."""

    run_id: str
    events: int
    last_seen: datetime
    has_ended: bool = False
    """Whether its end is stored."""

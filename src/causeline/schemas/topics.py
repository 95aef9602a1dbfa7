"""The topics, as data: what each holds, how it is split and how long it is kept."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

_DAY_MS = 24 * 60 * 60 * 1000
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""Largest Kafka value of any topic; a batch is closed long before."""


class Cleanup(StrEnum):
    """What the broker does with old records."""

    DELETE = "delete"  # drop them when retention is over
    COMPACT = "compact"  # keep the newest of each key


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: `name` without its prefix, the schema subject of its values, and the broker's settings for it."""

    name: str
    subject: str
    description: str
    retention_ms: int
    cleanup: Cleanup = Cleanup.DELETE
    like_events: bool = True
    """Has the partition count of the events topic, so that partition N of one is partition N of the other."""

    def full_name(self, prefix: str) -> str:
        """The name on the broker, e.g. `causeline.events`."""
        return f"{prefix}.{self.name}"

    def config(self) -> dict[str, str]:
        """The broker's topic settings."""
        settings = {
            "cleanup.policy": self.cleanup.value,
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            "message.timestamp.type": "CreateTime",
        }
        if self.cleanup is Cleanup.DELETE:
            settings["retention.ms"] = str(self.retention_ms)
        return settings


EVENTS = Topic("events", "trace-batch", "What workflow steps publish, in batches.", 7 * _DAY_MS)
DECISIONS = Topic("decisions", "trace-batch", "Reviews and evals: who may write here decides.", 7 * _DAY_MS)
LATE = Topic("late", "trace-batch", "Events of runs already closed, for the amender.", 14 * _DAY_MS)
RUNS = Topic("runs", "run-batch", "Runs, joined; a higher revision replaces a lower.", 30 * _DAY_MS)
GAPS = Topic("gaps", "gap", "Evidence gaps, told while the run is live.", 30 * _DAY_MS)
REVIEWS = Topic("reviews", "review-item", "Reasons for a person to look at a run.", 90 * _DAY_MS)
DEAD = Topic("dead", "dead-letter", "What could not be read, with its bytes.", 90 * _DAY_MS, like_events=False)
POLICIES = Topic("policies", "policy-use", "Policies that judged, and from which message on.", 3650 * _DAY_MS)
ALERTS = Topic("alerts", "alert", "Drift alerts, as they open, go on and close.", 90 * _DAY_MS, like_events=False)
CAUSES = Topic("causes", "cause", "What went wrong in each run, as its record and its neighbours tell.", 30 * _DAY_MS)

TOPICS: tuple[Topic, ...] = (EVENTS, DECISIONS, LATE, RUNS, GAPS, REVIEWS, DEAD, POLICIES, ALERTS, CAUSES)
DEFAULT_PARTITIONS = 4
DEFAULT_PREFIX = "causeline"

TopicPrefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$")]
"""What all topics' names start with, before the dot."""

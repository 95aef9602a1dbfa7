"""Which topic fills which table."""

from collections.abc import Mapping
from dataclasses import dataclass

from causeline.schemas import tables, topics
from causeline.schemas.tables import Table
from causeline.schemas.topics import Topic

_FILLS: tuple[tuple[Topic, Table], ...] = (
    (topics.EVENTS, tables.EVENTS),
    (topics.DECISIONS, tables.DECISIONS),
    (topics.RUNS, tables.RUNS),
    (topics.GAPS, tables.GAPS),
    (topics.REVIEWS, tables.REVIEW_ITEMS),
    (topics.DEAD, tables.DEAD_LETTERS),
    (topics.POLICIES, tables.POLICIES),
    (topics.ALERTS, tables.ALERTS),
    (topics.CAUSES, tables.CAUSES),
)


@dataclass(frozen=True, slots=True)
class Route:
    """One topic, under its full name, and the table it fills."""

    topic: str
    table: Table
    is_dead: bool
    """Holds the dead letters themselves: what is bad here is told in the log only, or it would go round for ever."""


def routes(prefix: str) -> Mapping[str, Route]:
    """Every route by its topic's full name."""
    found = (Route(topic.full_name(prefix), table, topic is topics.DEAD) for topic, table in _FILLS)
    return {route.topic: route for route in found}

"""What a worker tells Prometheus: what it has done, how far behind it is, what it holds.

The figures are read off the joiner's own counters when somebody asks, so counting costs nothing on the way of an event.
No label can grow: kinds of gaps and reasons of dead letters are known words.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from causeline.schemas.errors import Reason
from causeline.schemas.vocabulary import GapKind
from causeline.streams.worker.joiner import Counters

_PREFIX: Final = "causeline_worker_"
_COUNTED: Final = {
    "messages": "Messages taken in.",
    "events": "Events read from them.",
    "runs": "Runs published.",
    "late_events": "Events that came after their run was published.",
    "skipped_events": "Events read again that are in a published run already.",
    "review_items": "Reasons for a person to look at a run, published.",
    "duplicates": "Events that came twice in one run.",
    "conflicting": "Those of them that said something else the second time.",
    "too_large": "Runs closed before their end since they have as many events as a run may have.",
    "crowded_out": "Runs closed before their end since more events were open than may be.",
    "acknowledged": "Messages of which all is safe elsewhere.",
}


@dataclass(frozen=True, slots=True)
class WorkerGauges:
    """How a worker stands, as its loop last saw it."""

    partitions: int = 0
    lag_messages: int = 0
    """On the broker and not taken in."""
    oldest_held_s: float = 0.0
    """Age of the oldest message of which something is still open or on its way."""
    watermark_s: float = 0.0
    """Unix time up to which all that has arrived is published."""
    open_runs: int = 0
    open_events: int = 0
    in_flight_bytes: int = 0
    rebalances: int = 0


_STANDS: Final = {
    "partitions": "Partitions that this worker has.",
    "lag_messages": "Messages on the broker that were not taken in yet.",
    "oldest_held_s": "Age of the oldest message of which something is open or on its way.",
    "watermark_s": "Unix time up to which all that has arrived is published.",
    "open_runs": "Runs that are open.",
    "open_events": "Events held for them.",
    "in_flight_bytes": "Bytes published and not delivered yet.",
}
_NAMES: Final = {"oldest_held_s": "lag_seconds", "watermark_s": "watermark_timestamp_seconds"}


class WorkerMetrics(Collector):
    """The figures of one worker; `standing` is asked by the thread that serves them."""

    def __init__(self, counters: Counters, standing: Callable[[], WorkerGauges]) -> None:
        self._counters = counters
        self._standing = standing
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """All figures as they stand now."""
        counters, standing = self._counters, self._standing()
        for name, text in _COUNTED.items():
            yield CounterMetricFamily(_PREFIX + name, text, value=getattr(counters, name))
        yield CounterMetricFamily(
            f"{_PREFIX}rebalances", "Times that the group was divided anew.", value=standing.rebalances
        )
        gaps = CounterMetricFamily(f"{_PREFIX}gaps", "Evidence gaps told, by kind.", labels=["kind"])
        for kind in GapKind:
            gaps.add_metric([kind.value], counters.gaps_by_kind.get(kind.value, 0))
        dead = CounterMetricFamily(f"{_PREFIX}dead_letters", "What could not be read, by reason.", labels=["reason"])
        for reason in Reason:
            dead.add_metric([reason.value], counters.dead_by_reason.get(reason.value, 0))
        yield from (gaps, dead)
        for name, text in _STANDS.items():
            yield GaugeMetricFamily(_PREFIX + _NAMES.get(name, name), text, value=getattr(standing, name))
        events = standing.lag_messages * counters.events / counters.messages if counters.messages else 0
        yield GaugeMetricFamily(
            f"{_PREFIX}lag_events", "The lag in messages times the events a message has had so far.", value=events
        )

"""What the loader tells Prometheus: rates, lag, insert times, failures, dead letters; by topic, never by content."""

import time
from collections import Counter as Count
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from causeline.runtime.clock import Clock, system_clock
from causeline.runtime.health import Pulse
from causeline.schemas.errors import Reason
from causeline.sinks.loader.dead_letters import DeadLetters
from causeline.sinks.loader.delivery import Delivered
from causeline.sinks.loader.encoding import Insert
from causeline.sinks.loader.inserting import RowsRefused, Sender, TryLater
from causeline.sinks.loader.units import BadMessage

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


@dataclass(frozen=True, slots=True)
class PartitionProgress:
    """How far a partition is: the broker's end of it, the next message to store, and what is held of it."""

    topic: str
    end: int | None
    """Offset after the last message, as last heard; None before the first fetch."""
    next_offset: int | None
    """Offset of the first message that is not stored; None before the first message."""
    oldest_at: int | None
    """When the oldest message that is held was produced, microseconds; None where nothing is held."""
    rows: int
    size: int


class LoaderMetrics:
    """The loader's figures, all under `causeline_loader_`; the labels are topics and reasons, both few and known."""

    def __init__(
        self,
        topics: Iterable[str],
        pulse: Pulse,
        *,
        registry: CollectorRegistry | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self.registry = registry or CollectorRegistry()
        self.pulse = pulse
        self._clock = clock
        self._messages = self._counter("messages", "Messages stored or buried.")
        self._rows = self._counter("rows", "Rows stored.")
        self._inserts = self._counter("inserts", "Inserts acknowledged.")
        self._failures = self._counter("insert_failures", "Inserts not taken, by whose fault: rows, service.", "fault")
        self._dead = self._counter("dead_letters", "Records buried, by reason.", "reason")
        self._seconds = Histogram(
            "causeline_loader_insert_seconds",
            "Time of one acknowledged insert.",
            ["topic"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._lag_messages = self._gauge("lag_messages", "Messages on the broker that are not stored yet.")
        self._lag_events = self._gauge("lag_events", "Those messages times the records a message has had so far.")
        self._lag_seconds = self._gauge("lag_seconds", "Age of the oldest message that was read and is not stored.")
        self._held_rows = self._gauge("held_rows", "Rows read and not stored.")
        self._held_bytes = self._gauge("held_bytes", "Bytes read and not stored.")
        self._partitions = self._gauge("partitions", "Partitions that this loader has.")
        self._stored: dict[str, tuple[int, int]] = {}
        for topic in topics:
            self._stored[topic] = (0, 0)
            for each in (self._messages, self._rows, self._inserts, self._seconds):
                each.labels(topic)
            for reason in Reason:
                self._dead.labels(topic, reason.value)
            for fault in ("rows", "service"):
                self._failures.labels(topic, fault)
        self.look(())

    def delivered(self, topic: str, delivered: Delivered) -> None:
        """Count what is stored; called by the loop."""
        self._messages.labels(topic).inc(delivered.messages)
        self._rows.labels(topic).inc(delivered.rows)
        self._inserts.labels(topic).inc(delivered.inserts)
        messages, rows = self._stored[topic]
        self._stored[topic] = (messages + delivered.messages, rows + delivered.rows)
        self.pulse.done()

    def look(self, standings: Sequence[PartitionProgress]) -> None:
        """Set the gauges by where every partition stands; called by the loop, about once a second."""
        now = self._clock()
        lag, rows, size, count = (Count[str]() for _ in range(4))
        age: dict[str, float] = {}
        for each in standings:
            count[each.topic] += 1
            rows[each.topic] += each.rows
            size[each.topic] += each.size
            if each.end is not None and each.next_offset is not None:
                lag[each.topic] += max(0, each.end - each.next_offset)
            if each.oldest_at is not None:
                age[each.topic] = max(age.get(each.topic, 0.0), (now - each.oldest_at) / 1e6)
        for topic, (messages, stored) in self._stored.items():
            self._partitions.labels(topic).set(count[topic])
            self._held_rows.labels(topic).set(rows[topic])
            self._held_bytes.labels(topic).set(size[topic])
            self._lag_messages.labels(topic).set(lag[topic])
            self._lag_events.labels(topic).set(lag[topic] * stored / messages if messages else lag[topic])
            self._lag_seconds.labels(topic).set(age.get(topic, 0.0))

    def sent(self, topic: str, seconds: float) -> None:
        """Note an acknowledged insert's time; called by any thread."""
        self._seconds.labels(topic).observe(seconds)

    def failed(self, topic: str, fault: str, name: str) -> None:
        """Count an attempt that failed; called by any thread."""
        self._failures.labels(topic, fault).inc()
        if fault == "service":
            self.pulse.hindered(name)

    def buried(self, bad: Sequence[BadMessage]) -> None:
        """Count dead letters that are kept for good; called by any thread."""
        for each in bad:
            self._dead.labels(each.origin.topic, each.reason.value).inc()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"causeline_loader_{name}", text, ["topic", *labels], registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"causeline_loader_{name}", text, ["topic"], registry=self.registry)


class MeteredSender:
    """A sender whose attempts are timed and counted."""

    def __init__(self, sender: Sender, metrics: LoaderMetrics, now: Callable[[], float] = time.monotonic) -> None:
        self._sender = sender
        self._metrics = metrics
        self._now = now

    def send(self, insert: Insert) -> None:
        """See `Sender`."""
        topic, began = insert.units[0].origin.topic, self._now()
        try:
            self._sender.send(insert)
        except RowsRefused as refusal:
            self._metrics.failed(topic, "rows", refusal.name)
            raise
        except TryLater as failure:
            self._metrics.failed(topic, "service", failure.name)
            raise
        self._metrics.sent(topic, self._now() - began)


class MeteredDeadLetters:
    """Dead letters that are counted once they are kept."""

    def __init__(self, dead_letters: DeadLetters, metrics: LoaderMetrics) -> None:
        self._dead_letters = dead_letters
        self._metrics = metrics

    def bury(self, bad: Sequence[BadMessage]) -> None:
        """See `DeadLetters`."""
        self._dead_letters.bury(bad)
        self._metrics.buried(bad)

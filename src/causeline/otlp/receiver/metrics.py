"""What the receiver tells Prometheus: requests, spans, refusals, and how its emitter stands. The only label that
grows is the attributes' key: 200 of a fate at most, and those that a program may have written."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from causeline.otlp.receiver.intake import Intake

_PREFIX: Final = "causeline_receiver_"
_COUNTED: Final = {
    "requests": "Requests read.",
    "spans": "Spans taken in.",
    "logs": "Log records taken in.",
    "events": "Events made of them, and delivered.",
    "rejected": "Spans and records that could not be used.",
    "refused": "Requests that were to be sent again.",
    "messages": "Messages read of the Kafka topic, those read again included.",
    "buried": "Messages of it that became dead letters.",
}
_EMITTED: Final = {
    "accepted": "Events that the emitter took.",
    "delivered": "Events that Kafka has.",
    "lost": "Events given up after all attempts.",
    "dropped": "Events refused because the buffer was full.",
    "spool_dropped": "Events dropped from a full spool; their runs say so.",
    "batches": "Batches delivered.",
}
_STANDS: Final = {
    "waiting": "Events not delivered yet, in memory or in the spool.",
    "in_flight": "Those of them that are handed to Kafka's client.",
    "spooled": "Those of them that are in the spool.",
}


class ReceiverMetrics(Collector):
    """The figures of one receiver, read when somebody asks."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """All figures as they stand now."""
        counts, stats = self._intake.counts, self._intake.stats()
        for name, text in _COUNTED.items():
            yield CounterMetricFamily(_PREFIX + name, text, value=getattr(counts, name))
        for name, text in _EMITTED.items():
            yield CounterMetricFamily(f"{_PREFIX}emitter_{name}", text, value=getattr(stats, name))
        for name, text in _STANDS.items():
            yield GaugeMetricFamily(f"{_PREFIX}emitter_{name}", text, value=getattr(stats, name))
        fates = CounterMetricFamily(
            f"{_PREFIX}attributes",
            "Attributes without a field or label of their own: `aside` is kept with its span, `dropped` nowhere.",
            labels=["fate", "key"],
        )
        for fate, keys in (("aside", self._intake.set_aside), ("dropped", self._intake.dropped)):
            for key, times in keys.items():
                fates.add_metric([fate, key], times)
        yield fates
        masked = self._intake.mask_failed
        yield CounterMetricFamily(
            f"{_PREFIX}mask_failed", "Texts that were not kept: their masking failed.", value=masked
        )


def complaint(intake: Intake, after_s: float, now: Callable[[], float] = time.monotonic) -> str | None:
    """Why the receiver isn't well: it has had to refuse everything for longer than `after_s`; None when it is."""
    since = intake.refusing_since
    if since is None or now() - since <= after_s:
        return None
    return (
        f"The receiver has had to refuse every request for {now() - since:.0f} s, because Kafka does not take events."
    )

"""The producer's side of the oracle: an emitter that keeps a ledger, and a load that is spread over time."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.settings import EmitterSettings
from causeline.stack.endpoints import Endpoints
from tests.faults.oracle import Ledger

T = TypeVar("T")


class RecordingEmitter(Emitter):
    """An emitter that notes what it was handed, before, and what the broker acknowledged, after."""

    def __init__(self, endpoints: Endpoints, **settings: object) -> None:
        self._lock = threading.Lock()
        self._noting: Callable[[str, str, bytes], bool] | None = None
        self._emitted: dict[str, str] = {}
        self._acknowledged: set[str] = set()
        super().__init__(
            EmitterSettings.model_validate({"topic_prefix": endpoints.topic_prefix, **settings}),
            kafka=endpoints.kafka(),
            on_delivered=self._note,
        )

    def emit(self, run_id: str, event_id: str, item: bytes) -> bool:
        """Note the event, then take it."""
        with self._lock:
            self._emitted[event_id] = run_id
        return super().emit(run_id, event_id, item)

    @property
    def decisions(self) -> Emitter:
        """What goes to the topic of decisions is noted too."""
        made = super().decisions
        if self._noting is None:
            take = made.emit

            def emit(run_id: str, event_id: str, item: bytes) -> bool:
                with self._lock:
                    self._emitted[event_id] = run_id
                return take(run_id, event_id, item)

            self._noting = emit
            made.emit = emit  # type: ignore[method-assign] # one emitter of many is watched
        return made

    def ledger(self) -> Ledger:
        """As of now."""
        with self._lock:
            return Ledger(dict(self._emitted), frozenset(self._acknowledged), frozenset(self._emitted.values()))

    def _note(self, event_ids: Sequence[str]) -> None:
        with self._lock:
            self._acknowledged.update(event_ids)


def spread(items: Iterator[T], count: int, span_s: float) -> Iterator[T]:
    """`count` items evenly over `span_s`: the load's own pace, so that what happens meanwhile happens under load."""
    began = time.monotonic()
    idle = threading.Event()
    for place, item in enumerate(items):
        idle.wait(max(0.0, began + place * span_s / count - time.monotonic()))
        yield item

"""The loop commits what is its own: partitions that share an insert may be taken away while it is on its way."""

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from confluent_kafka import OFFSET_INVALID, Consumer, TopicPartition

from causeline.runtime.health import Pulse
from causeline.sinks.loader.delivery import Batch, Delivered, Delivery
from causeline.sinks.loader.loop import Loader
from causeline.sinks.loader.metrics import LoaderMetrics
from causeline.sinks.loader.routes import Route, routes
from causeline.sinks.loader.settings import LoaderSettings
from tests.unit.sinks.loader.messages import SCHEMAS, batch, event

TOPIC = "t.events"
PATIENCE_S = 20.0


class Message:
    """What the consumer hands out."""

    def __init__(self, partition: int, offset: int) -> None:
        self._partition, self._offset = partition, offset

    def error(self) -> None: ...

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def key(self) -> None: ...

    def value(self) -> bytes:
        return batch([event(self._offset + 1)])

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_000


class ScriptedConsumer:
    """Each call of `consume` takes the next step of a script: messages, or something that happens to the loader."""

    def __init__(self, *script: Sequence[Message] | Callable[["ScriptedConsumer"], None]) -> None:
        self.script = list(script)
        self.committed_offsets: dict[int, int] = {}
        self.calls: dict[str, Callable[..., None]] = {}

    def subscribe(self, _topics: list[str], **calls: Callable[..., None]) -> None:
        self.calls = calls

    def consume(self, _most: int, _timeout_s: float) -> Sequence[Message]:
        if not self.script:
            return []
        step = self.script.pop(0)
        if callable(step):
            step(self)
            return []
        return step

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        del asynchronous
        self.committed_offsets |= {each.partition: each.offset for each in offsets}

    def committed(self, partitions: list[TopicPartition], timeout: float = 0) -> list[TopicPartition]:
        del timeout
        return [TopicPartition(each.topic, each.partition, OFFSET_INVALID) for each in partitions]

    def get_watermark_offsets(self, _place: TopicPartition, *, cached: bool) -> tuple[int, int]:
        del cached
        return 0, 1

    def incremental_assign(self, _places: list[TopicPartition]) -> None: ...

    def pause(self, _places: list[TopicPartition]) -> None: ...

    def resume(self, _places: list[TopicPartition]) -> None: ...

    def close(self) -> None: ...


class HeldDelivery:
    """Delivers when it is let, and says what it was given and how it ended."""

    def __init__(self) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()
        self.given: list[int] = []
        self.was_cancelled: bool | None = None

    def deliver(self, _route: Route, batches: Sequence[Batch], cancelled: threading.Event) -> Delivered:
        self.given += [each.units[0].origin.partition for each in batches]
        self.began.set()
        assert self.may_end.wait(PATIENCE_S)
        self.was_cancelled = cancelled.is_set()
        return Delivered(len(batches), len(batches), 1, 0, 0)


def places(*numbers: int) -> list[TopicPartition]:
    return [TopicPartition(TOPIC, number) for number in numbers]


@pytest.mark.parametrize("how", ["on_lost", "on_revoke"])
@pytest.mark.parametrize(
    ("gone", "committed", "is_cancelled"), [((1,), {0: 1}, False), ((0, 1), {}, True), ((), {0: 1, 1: 1}, False)]
)
def test_a_partition_that_went_while_its_rows_were_on_their_way_is_not_committed(
    how: str, gone: tuple[int, ...], committed: dict[int, int], is_cancelled: bool
) -> None:
    delivery, seconds = HeldDelivery(), itertools.count()
    loader: Loader

    def assign(consumer: ScriptedConsumer) -> None:
        consumer.calls["on_assign"](consumer, places(0, 1))

    def lose(consumer: ScriptedConsumer) -> None:
        assert delivery.began.wait(PATIENCE_S)
        consumer.calls[how](consumer, places(*gone))
        delivery.may_end.set()

    def end(consumer: ScriptedConsumer) -> None:
        if delivery.was_cancelled is None or len(consumer.committed_offsets) < len(committed):
            consumer.script.append(end)
        else:
            loader.stop()

    consumer = ScriptedConsumer(assign, [Message(0, 0), Message(1, 0)], [], lose, end)
    loader = Loader(
        LoaderSettings(linger_s=1, stop_timeout_s=0.05, topic_prefix="t"),
        consumer=cast("Consumer", consumer),
        routes={TOPIC: routes("t")[TOPIC]},
        delivery=cast("Delivery", cast("Any", delivery)),
        schemas=SCHEMAS,
        metrics=LoaderMetrics([TOPIC], Pulse("loader", 60)),
        now=lambda: float(next(seconds)),
    )
    loader.run()
    assert delivery.given == [0, 1]
    assert (consumer.committed_offsets, delivery.was_cancelled) == (committed, is_cancelled)
    assert loader.counters.messages == 2

"""The done-map, made again from what was published: the runs topic read backwards from its end.

Each batch of runs says how far its partition was counted when it was published (`causeline-reach`): no run in it, or
before it, reaches beyond. So the first batch, seen from the end, whose reach lies before the committed offset ends the
search, and only the window that matters is read.
"""

import logging
from collections.abc import Iterator
from typing import Final, cast

from causeline.kafka.client import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition
from causeline.kafka.identity import is_of_another
from causeline.kafka.offsets import watermarks
from causeline.runtime.connections import KafkaConnection
from causeline.schemas import catalogue, wire
from causeline.schemas.catalogue import AvroSchema
from causeline.schemas.errors import Unreachable, UnreadableMessage
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import RUNS
from causeline.streams.worker.done_map import DoneMap
from causeline.streams.worker.publications import REACH_HEADER, TOPIC_HEADER

log = logging.getLogger(__name__)

_COUNTED = ("run_id", "amended", "last_offset")
_FIRST_WINDOW = 64
_LARGEST_WINDOW = 4096
_TIMEOUT_S = 30.0


class RunsReader:
    """Reads the runs topic without being a member of any group; one a process, not for two threads at once."""

    def __init__(self, connection: KafkaConnection, topic: str, schemas: Schemas, *, topic_id: str = "") -> None:
        self._topic = topic
        self._topic_id = topic_id
        self._schemas = schemas
        self._consumer = Consumer(
            {
                **connection.client_config(),
                "group.id": "causeline-rebuild",  # named because the client wants a name; never joined, never committed
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            },
            logger=log,
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()

    def done_map(self, partition: int, committed: int) -> DoneMap:
        """The runs published of `partition` that were counted up to `committed` or beyond; raises Unreachable."""
        last_offsets: dict[str, int] = {}
        reach = committed - 1
        try:
            for batch_reach, lasts in self._backwards(partition):
                for run_id, last in lasts.items():
                    if last >= committed:
                        last_offsets[run_id] = max(last, last_offsets.get(run_id, -1))
                if batch_reach is None:
                    continue
                reach = max(reach, batch_reach)
                if batch_reach < committed:
                    break
        except KafkaException as error:
            raise Unreachable(f"The topic {self._topic} cannot be read: {error.args[0].str()}.") from error
        return DoneMap(last_offsets, reach)

    def _backwards(self, partition: int) -> Iterator[tuple[int | None, dict[str, int]]]:
        """(reach, run id → last offset) of each batch, the newest first."""
        low, high = watermarks(self._consumer, TopicPartition(self._topic, partition), timeout_s=_TIMEOUT_S)
        window = _FIRST_WINDOW
        while high > low and high != OFFSET_INVALID:
            start = max(low, high - window)
            for message in reversed(self._read(partition, start, high)):
                yield self._published(message)
            high = start
            window = min(window * 4, _LARGEST_WINDOW)

    def _read(self, partition: int, start: int, stop: int) -> list[Message]:
        self._consumer.assign([TopicPartition(self._topic, partition, start)])
        messages: list[Message] = []
        try:
            while True:
                message = self._consumer.poll(_TIMEOUT_S)
                if message is None:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001 - the client's public code
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                    return messages
                if error is not None:
                    raise KafkaException(error)
                offset = message.offset()
                if offset is None or offset >= stop:
                    return messages
                messages.append(message)
                if offset == stop - 1:
                    return messages
        finally:
            self._consumer.unassign()

    def _published(self, message: Message) -> tuple[int | None, dict[str, int]]:
        if is_of_another(_header(message, TOPIC_HEADER), self._topic_id):
            return None, {}  # its offsets are those of an events topic that is no more
        try:
            lasts = counted_offsets(message.value(), self._schemas)
        except UnreadableMessage as error:
            log.warning("offset %s of %s is not a batch of runs: %s", message.offset(), self._topic, error)
            return None, {}
        return _reach(message), lasts


def counted_offsets(value: bytes | None, schemas: Schemas) -> dict[str, int]:
    """By run of a batch, the last offset that a worker counted; raises what reading raises.

    An amended run has the offsets of the record before it, from whichever topic that was: the worker's own batch, which
    stands further back, says which, and tells all that there is to know.
    """
    runs = wire.decode_items(wire.read_block(value, RUNS.subject, schemas), _ONLY)
    counted = ((run["run_id"], run["last_offset"]) for run in runs if not run["amended"])
    return {str(run_id): cast("int", last) for run_id, last in counted if last is not None}


def _only(names: tuple[str, ...]) -> AvroSchema:
    item = catalogue.latest(RUNS.subject).item or {}
    return {**item, "fields": [field for field in item["fields"] if field["name"] in names]}


_ONLY: Final = _only(_COUNTED)


def _reach(message: Message) -> int | None:
    """What the batch says of itself; one that says nothing proves nothing about what stands before it."""
    said = _header(message, REACH_HEADER)
    return int(said) if said.isdecimal() else None


def _header(message: Message, name: str) -> str:
    said = dict(message.headers() or []).get(name)
    return said.decode("ascii", "replace") if isinstance(said, bytes) else ""

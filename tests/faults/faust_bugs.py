"""Workers without one of our counter-measures against what Faust does: each takes one thing back, and nothing else."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import faust
import faust.streams

from causeline.streams.worker import consumer
from causeline.streams.worker import process as worker
from causeline.streams.worker.acknowledge import Acknowledger, Entry
from causeline.streams.worker.joiner import Joiner
from causeline.streams.worker.process import Worker


def _replace(owner: object, name: str, value: object) -> None:
    setattr(owner, name, value)


def _with(**settings: object) -> Callable[[], None]:
    """The app with other settings than ours."""

    def change() -> None:
        build = consumer.build_app

        def builds_otherwise(*given: Any, **named: Any) -> faust.App:
            app = build(*given, **named)
            for name, value in settings.items():
                _replace(app.conf, name, value)
            return app

        _replace(worker, "build_app", builds_otherwise)

    return change


def _commit_as_faust_does() -> None:
    """What is committed follows from the acknowledgements, by Faust's own reckoning."""
    for name in ("_filter_tps_with_pending_acks", "_new_offset", "_add_gap"):
        delattr(consumer.LogConsumer, name)


def _ack_out_of_order() -> None:
    """A message is acknowledged as soon as nothing holds it, whatever is before it."""
    _commit_as_faust_does()

    def acknowledged(self: Acknowledger[Any]) -> list[Any]:
        free: list[Entry[Any]] = [entry for entry in self._entries if entry.holds == 0]
        for entry in free:
            self._entries.remove(entry)
            del self._by_offset[entry.offset]
        return [entry.token for entry in free]

    _replace(Acknowledger, "acknowledged", acknowledged)


def _ack_by_the_loop() -> None:
    """Faust acknowledges what its loop has gone past."""
    _commit_as_faust_does()
    _replace(faust.streams.Stream, "noack", lambda self: self)


def _read_by_take() -> None:
    """Batches as Faust's own `take_events` makes them, from a stream that is told not to acknowledge."""
    _commit_as_faust_does()

    async def events(self: Any) -> AsyncIterator[Any]:
        async for batch in self.take_events(20, within=0.2):
            for event in batch:
                yield event

    _replace(faust.streams.Stream, "events", events)


def _keep_state() -> None:
    """What a worker knows of a partition outlives a rebalance: it goes on where it was, whatever came in between."""
    _commit_as_faust_does()
    opened, handled, arrived = Joiner.open_partition, Joiner.handle, Acknowledger.arrive

    def opens_once(self: Joiner, partition: int, first_offset: int, done: Any) -> None:
        if partition not in self.partitions:
            opened(self, partition, first_offset, done)

    def handles_new(self: Joiner, incoming: Any) -> None:
        handled(self, [each for each in incoming if each.offset >= self.partitions[each.partition].acks.next_offset])

    def arrives_anywhere(self: Acknowledger[Any], offset: int, token: Any, now_us: int, **named: Any) -> Any:
        self.next_offset = offset
        return arrived(self, offset, token, now_us, **named)

    _replace(Worker, "_drop_all", lambda _self: None)
    _replace(Joiner, "open_partition", opens_once)
    _replace(Joiner, "handle", handles_new)
    _replace(Acknowledger, "arrive", arrives_anywhere)


def _raise_once() -> None:
    """The real code, with an error while joining, once in the life of the scenario."""
    handle = Joiner.handle

    def raises(self: Joiner, incoming: Any) -> None:
        mark = Path(os.environ["CAUSELINE_TEST_MARK"])
        if incoming and not mark.exists():
            mark.write_text("raised", "utf-8")
            raise RuntimeError("a bug in the joiner")
        handle(self, incoming)

    _replace(Joiner, "handle", raises)


def _raise_once_and_go_on() -> None:
    """So, and the worker takes the next message."""
    _raise_once()
    _replace(Worker, "_fail_of", lambda _self, _error: None)


def _let_clients_talk() -> None:
    """Loggers of the Kafka client as they are."""
    _replace(worker, "quieten", lambda: None)


def _swallow() -> None:
    """The real code, whenever a question of before a rebalance is answered after it: what it is given goes nowhere."""
    seek = consumer._LogThread._seek

    async def swallows_first(self: Any) -> Any:
        await self._ensure_consumer().getmany(timeout_ms=2000)
        return await seek(self)

    _replace(consumer._LogThread, "_seek", swallows_first)


def _swallow_and_stay() -> None:
    """So, and a partition without a commit is read on from where the client stands."""

    async def stays(*_given: Any) -> None:
        pass

    _swallow()
    _replace(consumer._LogThread, "_seek_to_the_start", stays)


FAUST_BUGS: dict[str, Callable[[], None]] = {
    "ack_out_of_order": _ack_out_of_order,
    "ack_by_the_loop": _ack_by_the_loop,
    "read_by_take": _read_by_take,
    "wait_empty": _with(stream_wait_empty=True),
    "commit_seldom": _with(broker_commit_interval=60.0),
    "standby_replicas": _with(table_standby_replicas=1),
    "web": _with(web_enabled=True),
    "keep_state": _keep_state,
    "swallow": _swallow,
    "swallow_and_stay": _swallow_and_stay,
    "raise_once": _raise_once,
    "raise_once_and_go_on": _raise_once_and_go_on,
    "let_clients_talk": _let_clients_talk,
}

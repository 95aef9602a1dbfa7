"""`python -m tests.faults.bugged BUG COMMAND…`: our own commands with a bug in them, or dying at the worst moment.

Only tests start this: nothing in the package can be told to misbehave. A process dies once, at its first chance, and
leaves the name of its bug in the file that CAUSELINE_TEST_MARK names, so that its successor works on as the bug would
have it and the test can tell where it died. A bug that kills nothing leaves its name when it first does harm.
"""

import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from causeline.sinks.loader.delivery import Delivery
from causeline.sinks.loader.encoding import Insert
from causeline.sinks.loader.inserting import ClickHouseSender
from causeline.sinks.loader.loop import Loader
from causeline.sinks.loader.partitions import PartitionBuffer
from causeline.streams.amender import amender
from causeline.streams.worker.acknowledge import Acknowledger
from causeline.streams.worker.done_map import DoneMap
from causeline.streams.worker.joiner import Joiner
from causeline.streams.worker.outbox import Outbox
from causeline.streams.worker.process import Worker
from causeline.streams.worker.publications import Publication
from causeline.streams.worker.rebuild import RunsReader
from tests.faults.faust_bugs import FAUST_BUGS

_DIED = 9


def _replace(owner: object, name: str, value: object) -> None:
    setattr(owner, name, value)


def _mark() -> Path:
    return Path(os.environ["CAUSELINE_TEST_MARK"])


def _leave_mark() -> None:
    half = _mark().with_suffix(f".{os.getpid()}")
    half.write_text(sys.argv[0], "utf-8")
    half.rename(_mark())  # whoever sees it sees all of it


def _die_once() -> None:
    if not _mark().exists():
        _leave_mark()
        os._exit(_DIED)


# --- the loader


def _crash_before_insert() -> None:
    deliver = Delivery.deliver

    def dies(self: Delivery, *given: Any) -> Any:
        _die_once()
        return deliver(self, *given)

    _replace(Delivery, "deliver", dies)


def _crash_after_insert() -> None:
    finish = Loader._finish

    def dies(self: Loader, load: Any, *, wait_for_broker: bool) -> None:
        _die_once()
        finish(self, load, wait_for_broker=wait_for_broker)

    _replace(Loader, "_finish", dies)


def _recut_after_insert() -> None:
    """The real code, dying after an insert of one message; its successor cuts the same messages into other inserts."""
    made = PartitionBuffer.__init__
    first_life = not _mark().exists()

    def cuts_small(self: PartitionBuffer, max_rows: int, *rest: Any) -> None:
        made(self, 1 if first_life else max_rows, *rest)

    _replace(PartitionBuffer, "__init__", cuts_small)
    _crash_after_insert()


def _token_made_anew() -> None:
    """Each attempt has a token of its own."""
    send = ClickHouseSender.send

    def sends_anew(self: ClickHouseSender, insert: Insert) -> None:
        send(self, replace(insert, token=secrets.token_hex(16)))

    _replace(ClickHouseSender, "send", sends_anew)


def _token_made_anew_after_insert() -> None:
    """So, and it dies after its insert."""
    _token_made_anew()
    _crash_after_insert()


def _commit_before_insert() -> None:
    """The offset is committed as soon as a batch is taken: what dies on its way to the store is never read again."""
    start = Loader._start

    def commits_first(self: Loader, now: float) -> None:
        waiting = [each for each in self._partitions.values() if each.batch is None and each.buffer]
        start(self, now)
        for each in waiting:
            if each.batch is not None:
                self._commit(each.place, each.batch.next_offset, wait_for_broker=True)
                _die_once()

    _hold_deliveries()
    _replace(Loader, "_start", commits_first)


def _hold_deliveries() -> None:
    """Until the process has died once, nothing reaches the store."""
    deliver = Delivery.deliver

    def waits(self: Delivery, route: Any, batches: Any, cancelled: Any) -> Any:
        if not _mark().exists():
            cancelled.wait(60)
        return deliver(self, route, batches, cancelled)

    _replace(Delivery, "deliver", waits)


# --- the worker


def _crash_before_publish() -> None:
    publish = Outbox.publish

    def dies(self: Outbox, outgoing: Publication) -> None:
        if outgoing.topic.name == "runs":
            _die_once()
        publish(self, outgoing)

    _replace(Outbox, "publish", dies)


def _ack_before_publish() -> None:
    """A run's messages are let go of when it is handed over, not when the broker has it."""
    publish = Outbox.publish

    def lets_go(self: Outbox, outgoing: Publication) -> None:
        if outgoing.topic.name == "runs" and not _mark().exists():
            outgoing.delivered()
            self._loop.call_later(4.0, _die_once)  # after the offset is committed, before the run would be sent
            return
        publish(self, outgoing)

    _replace(Outbox, "publish", lets_go)


def _fail_once(error: BaseException) -> None:
    """The real code, with a fault when messages have been taken in and nothing of them holds them yet."""
    admit = Joiner._admit

    def fails(self: Joiner, shares: Any) -> Any:
        if not _mark().exists():
            _leave_mark()
            raise error
        return admit(self, shares)

    _replace(Joiner, "_admit", fails)


def _let_go_of_what_failed() -> None:
    """Messages arrive held by nobody, and what is delivered after a fault acknowledges them."""
    arrive = Acknowledger.arrive

    def arrives_free(self: Acknowledger[Any], *given: Any, **named: Any) -> Any:
        entry = arrive(self, *given, **named)
        entry.holds = 0
        return entry

    def handles(self: Joiner, incoming: Any) -> None:
        """As the real one does, but with nothing to let go of."""
        now_us = self._clock()
        for each in incoming:
            self.partitions[each.partition].acks.arrive(each.offset, each.token, now_us, since=each.since)
        self._join(incoming, now_us)
        for partition in {each.partition for each in incoming}:
            self._acknowledge(partition, self.partitions[partition])

    _replace(Acknowledger, "arrive", arrives_free)
    _replace(Joiner, "handle", handles)
    _replace(Joiner, "end", lambda _self: None)


def _error_once_lets_go() -> None:
    """So, and the worker ends for it, with deliveries on their way."""
    _fail_once(RuntimeError("a bug in the joiner"))
    _let_go_of_what_failed()


class _Panic(BaseException):
    """As a native part panics: no `Exception`."""


def _panic_once() -> None:
    """The real code, with a panic of a native part."""
    _fail_once(_Panic("a bug in a native part"))


def _panic_once_and_go_on() -> None:
    """So, and the worker takes the next message, as an event loop does whose callback panics."""
    _panic_once()
    _let_go_of_what_failed()
    _replace(Worker, "_fail_of", lambda _self, _error: None)


def _count_reads() -> None:
    """The real code; how many messages it takes in goes to the file that CAUSELINE_TEST_READS names."""
    handle = Joiner.handle
    file = os.open(os.environ["CAUSELINE_TEST_READS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def counts(self: Joiner, incoming: Any) -> Any:
        os.write(file, f"{len(incoming)}\n".encode())
        return handle(self, incoming)

    _replace(Joiner, "handle", counts)


def _no_done_map() -> None:
    """What was published before a rebalance is not looked up."""
    _count_reads()
    _replace(RunsReader, "done_map", lambda *_given: DoneMap())


# --- the amender


def _lose_revision() -> None:
    """The late batch is committed though its run's next revision was not published."""
    _replace(amender, "publish_runs", lambda *_given, **_named: _leave_mark())


BUGS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "crash_before_insert": _crash_before_insert,
    "crash_after_insert": _crash_after_insert,
    "recut_after_insert": _recut_after_insert,
    "token_made_anew": _token_made_anew,
    "token_made_anew_after_insert": _token_made_anew_after_insert,
    "commit_before_insert": _commit_before_insert,
    "crash_before_publish": _crash_before_publish,
    "ack_before_publish": _ack_before_publish,
    "error_once": lambda: _fail_once(RuntimeError("a bug in the joiner")),
    "error_once_lets_go": _error_once_lets_go,
    "panic_once": _panic_once,
    "panic_once_and_go_on": _panic_once_and_go_on,
    "count_reads": _count_reads,
    "no_done_map": _no_done_map,
    "lose_revision": _lose_revision,
    **FAUST_BUGS,
}


if __name__ == "__main__":
    sys.argv = sys.argv[1:]  # the command's name is the bug's, which is what a mark says
    BUGS[sys.argv[0]]()
    from causeline.cli import main

    main()

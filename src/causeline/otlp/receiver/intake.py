"""The way in, whichever door it comes by: a request's bytes become events that the broker has.

In this order: decode; map; keep the content; encode; emit; wait until all is delivered. Only then is a request
answered, so that a client that is told "yes" may forget its spans.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from causeline.otlp.receiver.content_store import Keeper
from causeline.otlp.receiver.encoding import Item, encoded, kept
from causeline.otlp.receiver.rules import Rules
from causeline.otlp.receiver.telemetry import Received
from causeline.otlp.receiver.waiting import Awaited
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.emitter.stats import Stats

log = logging.getLogger(__name__)
_INLINE_BYTES = 64 * 1024
"""Larger requests are worked on in a thread, so that others are not kept waiting."""
_THREADS = 2
"""One of them works while the other stores; more would only fight for the interpreter."""

Read = Callable[[bytes], Received]


class Busy(Exception):
    """Events cannot be taken now; the client should send the request again."""


@dataclass(slots=True)
class IntakeCounts:
    """What the receiver has done since it began."""

    requests: int = 0
    spans: int = 0
    logs: int = 0
    events: int = 0
    rejected: int = 0
    refused: int = 0
    """Requests that were to be sent again."""
    messages: int = 0
    """Messages read of the Kafka topic, those read again included."""
    buried: int = 0
    """Of them, those that became dead letters."""


@dataclass(slots=True)
class _Prepared:
    received: Received
    items: list[Item]


class Intake:
    """Takes requests in. One a process; its `delivered` is the emitter's `on_delivered`."""

    def __init__(
        self,
        emitter: Callable[[Callable[..., None]], Emitter],
        keeper: Keeper,
        *,
        rules: Rules,
        durable_timeout_s: float,
        decisions: bool = False,
    ) -> None:
        self._awaited = Awaited()
        self._emitter = emitter(self._awaited.delivered)
        self._keeper = keeper
        self._rules = rules
        self._decides = decisions
        self._durable_timeout_s = durable_timeout_s
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="intake")
        self.counts = IntakeCounts()
        self.refusing_since: float | None = None
        """When the first of the requests was refused that were all refused since; None when the last was taken."""

    def stats(self) -> Stats:
        """How the emitter stands."""
        return self._emitter.stats()

    @property
    def mask_failed(self) -> int:
        """Texts that were not kept because their masking failed."""
        return self._keeper.mask_failed

    @property
    def dropped(self) -> dict[str, int]:
        """Attributes that were kept nowhere, by key."""
        return dict(self._keeper.dropped)

    @property
    def set_aside(self) -> dict[str, int]:
        """Attributes that have no field or label of their own and are kept with the rest of their span, by key."""
        return dict(self._keeper.set_aside)

    async def take(self, body: bytes, read: Read) -> Received:
        """Take in a request; gives what of it was rejected. Raises Malformed, and Busy where it must be sent again."""
        if len(body) > _INLINE_BYTES:
            loop = asyncio.get_running_loop()
            prepared = await loop.run_in_executor(self._threads, self._prepare, body, read)
        else:
            prepared = self._prepare(body, read)
        self.counts.requests += 1
        self.counts.rejected += prepared.received.rejected
        await self._deliver(prepared.items)
        self.counts.spans += len(prepared.received.spans)
        self.counts.logs += len(prepared.received.logs)
        self.counts.events += len(prepared.items)
        return prepared.received

    def close(self, timeout_s: float | None = None) -> None:
        """Flush and stop."""
        self._threads.shutdown()
        self._emitter.close(timeout_s)

    def _prepare(self, body: bytes, read: Read) -> _Prepared:
        received = read(body)
        drafts = kept(received, self._rules, self._keeper)
        return _Prepared(received, encoded(drafts, received))

    async def _deliver(self, items: list[Item]) -> None:
        waiter = self._awaited.expect([item.event_id for item in items])
        try:
            if not all(item.emit(self._emitter, decides=self._decides) for item in items):
                raise self._refusal("The buffer is full.")
            if not await waiter.wait(self._durable_timeout_s):
                raise self._refusal("Kafka does not take events.")
            self.refusing_since = None
        finally:
            self._awaited.give_up(waiter)

    def _refusal(self, why: str) -> Busy:
        self.counts.refused += 1
        if self.refusing_since is None:
            self.refusing_since = time.monotonic()
        return Busy(why)

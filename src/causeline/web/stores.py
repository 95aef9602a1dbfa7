"""The store behind the pages: one client for all threads, opened when it is first needed, and anew after a failure."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Lock

from clickhouse_connect.driver.client import Client

from causeline.console.answers import Record
from causeline.console.read_only_sql import Bounds, SqlResult, ask
from causeline.console.store import ClickHouseStore
from causeline.drift.store import DriftStore
from causeline.ops.lag import Lag, read_lags
from causeline.reviews.store import ClickHouseLeases
from causeline.runtime.clickhouse import open_client
from causeline.runtime.connections import ClickHouseConnection, KafkaConnection
from causeline.schemas.errors import Unreachable
from causeline.sinks.dead.messages import DeadMessage, DeadMessages
from causeline.sinks.dead.replay import Fate, KafkaOutlet, replay, replayable
from causeline.web.patience import left_s
from causeline.web.turns import Turns

log = logging.getLogger(__name__)
_ANSWER_S = 20
"""How long a page waits for one answer."""
_SERVER_S = _ANSWER_S + 2
"""How long the server works at one: a little longer, so that it is the page that says what happened."""


class Absence:
    """Says in the log when the store stops to answer and when it answers again, once each."""

    def __init__(self) -> None:
        self._is_away = False

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tells how the block ends; what it raises goes on."""
        try:
            yield
        except Unreachable as error:
            if not self._is_away:
                self._is_away = True
                log.warning("%s Pages say so until it does.", error.message)
            raise
        if self._is_away:
            self._is_away = False
            log.info("ClickHouse answers again.")


class SharedStore(ClickHouseStore):
    """The store behind a client that many pages use: their questions take turns, within the patience of each page."""

    def __init__(self, client: Client, connection: ClickHouseConnection, turns: Turns, absence: Absence) -> None:
        super().__init__(client, connection, most_s=_SERVER_S)
        self._turns = turns
        self._absence = absence

    def ask(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, is_small: bool = False
    ) -> Sequence[Record]:
        """The rows of a SELECT, by column name; others may be given the same."""
        question = (sql, repr(sorted((parameters or {}).items())))
        return self._turns.take(question, partial(self._put, sql, parameters, is_small), within_s=left_s())

    def _put(self, sql: str, parameters: Mapping[str, object] | None, is_small: bool) -> Sequence[Record]:
        with self._absence.told():
            return super().ask(sql, parameters, is_small=is_small)


class Stores:
    """Gives the stores of a connection; each raises Unreachable while ClickHouse is away.

    A client that was opened outlives restarts of its server.
    """

    def __init__(self, connection: ClickHouseConnection, topic_prefix: str) -> None:
        self._connection = connection
        self._topic_prefix = topic_prefix
        self._lock = Lock()
        self._turns = Turns()
        self._absence = Absence()
        self._client: Client | None = None

    def store(self) -> ClickHouseStore:
        """What answers questions."""
        return SharedStore(self._opened(), self._connection, self._turns, self._absence)

    def leases(self) -> ClickHouseLeases:
        """What takes leases."""
        return ClickHouseLeases(self._opened(), self._connection)

    def marks(self) -> DriftStore:
        """What takes marks on alerts."""
        return DriftStore(self._opened(), self._connection)

    def sql(self, text: str, parameters: Mapping[str, str], bounds: Bounds) -> SqlResult:
        """The answer to one statement, over a connection of its own."""
        return ask(self._connection, text, parameters, bounds)

    def dead(self) -> DeadMessages:
        """The dead messages."""
        return DeadMessages(self._opened(), self._connection)

    def replay(self, messages: Sequence[DeadMessage]) -> int:
        """Send messages again; how many Kafka took. Raises Unreachable when it does not take one."""
        outlet = KafkaOutlet(KafkaConnection.from_environment())
        done = replay(messages, self.dead(), outlet, topics=replayable(self._topic_prefix))
        return sum(each.fate is Fate.SENT for each in done)

    def lags(self) -> list[Lag]:
        """How far each group is behind; raises Unreachable while Kafka is away."""
        return read_lags(KafkaConnection.from_environment(), self._topic_prefix)

    def _opened(self) -> Client:
        if self._client is None:
            with self._lock:
                if self._client is None:
                    with self._absence.told():
                        self._client = open_client(self._connection, timeout_s=_ANSWER_S)
        return self._client

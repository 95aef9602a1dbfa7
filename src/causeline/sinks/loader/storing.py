"""Storing units: sent until acknowledged, and when the rows are refused, narrowed down to the bad ones."""

import logging
import threading
from collections.abc import Callable, Sequence

from causeline.schemas.registry import Schemas
from causeline.sinks.loader.encoding import Encoder
from causeline.sinks.loader.retrying import Patience, RowsRefused, TryLater, until_done
from causeline.sinks.loader.sending import Sender
from causeline.sinks.loader.units import BadMessage, Unit, refused, sift, split
from causeline.sinks.tables import Table

_log = logging.getLogger(__name__)
_TELL_EVERY = 10
"""Failures in a row between two lines in the log, after the first."""


class Persistence:
    """Repeats an attempt until it is done or cancelled, and tells the log what it waits for."""

    def __init__(self, patience: Patience, cancelled: threading.Event) -> None:
        self._patience = patience
        self._cancelled = cancelled
        self.retries = 0

    def insist(self, attempt: Callable[[], None], complaint: str) -> None:
        """Raises Cancelled, and what `attempt` raises other than TryLater."""

        def tell(error: TryLater, failures: int) -> None:
            self.retries += 1
            if failures == 1 or failures % _TELL_EVERY == 0:
                _log.warning("%s (%s); attempt %d failed, trying again", complaint, error.name, failures)

        until_done(attempt, self._patience, self._cancelled, tell)


class Storing:
    """Stores the units of one batch; `bad` is what cannot be."""

    def __init__(
        self, table: Table, encoder: Encoder, sender: Sender, schemas: Schemas, persistence: Persistence
    ) -> None:
        self._table = table
        self._encoder = encoder
        self._sender = sender
        self._schemas = schemas
        self._persistence = persistence
        self.bad: list[BadMessage] = []
        self.rows = 0
        self.inserts = 0

    def store(self, units: Sequence[Unit]) -> None:
        """When this returns, every record is stored or in `bad`; raises Cancelled."""
        self._store(units, self._store_sifted)

    def _store(self, units: Sequence[Unit], when_refused: Callable[[Sequence[Unit], str], None]) -> None:
        for insert in self._encoder.inserts(units):
            try:
                self._persistence.insist(lambda: self._sender.send(insert), f"{self._table.rows} takes no rows")  # noqa: B023 - called at once
            except RowsRefused as refusal:
                when_refused(insert.units, refusal.name)
            else:
                self.rows += insert.rows
                self.inserts += 1

    def _store_sifted(self, units: Sequence[Unit], _name: str) -> None:
        good: list[Unit] = []
        for unit in units:
            for each in sift(unit, self._table, self._schemas):
                if isinstance(each, Unit):
                    good.append(each)
                else:
                    self.bad.append(each)
        self._store(good, self._store_halves)

    def _store_halves(self, units: Sequence[Unit], name: str) -> None:
        parts = split(units[0], self._schemas) if len(units) == 1 else units
        if len(parts) == 1:
            self.bad.append(refused(parts[0], name))
            return
        middle = len(parts) // 2
        for half in (parts[:middle], parts[middle:]):
            self._store(half, self._store_halves)

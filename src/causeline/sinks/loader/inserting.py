"""An insert, from its rows to the acknowledgement: what a failure means, how long it is tried again, and what is bad.

1. Only codes that rows can cause are the rows' fault (ADR 13). Whatever else a server or a network says (too many
   parts, memory, read-only, disk full, a missing table, a login refused) heals in time or by an operator: the same
   insert is sent again until it is acknowledged or cancelled, and no message dies of it.
2. Rows that are refused are narrowed down to the bad ones, which the caller buries (`Delivery`).
3. The token says that it is the same insert: what the server already has is stored once.
"""

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

from clickhouse_connect.driver.exceptions import ClickHouseError

from causeline.runtime.clickhouse_errors import code_and_name
from causeline.schemas.registry import Schemas
from causeline.schemas.tables import Table
from causeline.sinks.loader.encoding import Encoder, Insert
from causeline.sinks.loader.units import BadMessage, Unit, refused, sift, split

log = logging.getLogger(__name__)
_TELL_EVERY = 10
"""Failures in a row between two lines in the log, after the first."""

ROWS_AT_FAULT: Mapping[int, str] = {
    6: "CANNOT_PARSE_TEXT",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    32: "ATTEMPT_TO_READ_AFTER_EOF",
    33: "CANNOT_READ_ALL_DATA",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    128: "TOO_LARGE_ARRAY_SIZE",
    131: "TOO_LARGE_STRING_SIZE",
    190: "SIZES_OF_ARRAYS_DONT_MATCH",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    395: "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO",
    407: "DECIMAL_OVERFLOW",
    467: "CANNOT_PARSE_BOOL",
    748: "AVRO_EXCEPTION",
}
"""ClickHouse's codes that say something about the rows; 395 is our own rule in the INSERT."""


class Fault(StrEnum):
    """Whose fault a failed insert is."""

    ROWS = "rows"  # look at them: what is bad becomes a dead letter
    SERVICE = "service"  # wait, and send the same again


def fault_of(code: int | None) -> Fault:
    """Whose fault an error of this code is; None is an error that did not come from ClickHouse itself."""
    return Fault.ROWS if code in ROWS_AT_FAULT else Fault.SERVICE


class RowsRefused(Exception):
    """ClickHouse read the rows and does not take them; `name` is its word for why."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class TryLater(Exception):
    """A service did not do its part; `name` is the word for it, and nothing is known of the rows."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Cancelled(Exception):
    """The partition was given up, or time is over, before the attempt succeeded."""


class Patience(Protocol):
    """How long to wait between attempts."""

    def pause(self, failures: int, cancelled: threading.Event) -> bool:
        """Wait after the given count of failures in a row; True when cancelled meanwhile."""
        ...


class Backoff:
    """Exponential pauses with full jitter, so that loaders that failed together do not come back together."""

    def __init__(self, shortest_s: float, longest_s: float, randomness: random.Random | None = None) -> None:
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self._random = randomness or random.SystemRandom()

    def seconds(self, failures: int) -> float:
        """A pause after `failures` in a row, the first being 1."""
        ceiling = min(self._longest_s, self._shortest_s * 2 ** min(failures - 1, 30))
        return self._random.uniform(self._shortest_s / 2, ceiling)

    def pause(self, failures: int, cancelled: threading.Event) -> bool:
        """See `Patience`."""
        return cancelled.wait(self.seconds(failures))


INSERT_SETTINGS = {
    # One insert is one block: one thread reads, and the data stays below the size at which a block is cut.
    "max_threads": 1,
    "max_insert_threads": 1,
    "async_insert": 0,
    # Broken clocks may say many months at once; the partition key bounds how many.
    "max_partitions_per_insert_block": 0,
    "input_format_null_as_default": 1,
    # An insert that died between a table and what is derived from it is done again for both.
    "deduplicate_blocks_in_dependent_materialized_views": 1,
}


class Sender(Protocol):
    """Where inserts go."""

    def send(self, insert: Insert) -> None:
        """Returns when every row is stored, all or none; the same token again stores nothing twice.

        Raises RowsRefused when the rows are at fault, TryLater for everything else; both mean that the insert may be
        sent again. May block for as long as the transport's time-out. Called from several threads.
        """
        ...


class RawInserts(Protocol):
    """The one method that is used of a clickhouse-connect client."""

    def raw_insert(self, table: str, *, insert_block: bytes, settings: dict[str, Any]) -> object:
        """Posts the block under the settings; raises ClickHouseError."""
        ...


class ClickHouseSender:
    """Sends through clickhouse-connect: the body is the statement and its data, so its raw insert is given no table.

    The client sends again by itself after a connection that the server closed; the token makes that harmless.
    """

    def __init__(self, client: RawInserts) -> None:
        self._client = client

    def send(self, insert: Insert) -> None:
        """See `Sender`."""
        settings = {**INSERT_SETTINGS, "insert_deduplication_token": insert.token}
        try:
            self._client.raw_insert("", insert_block=insert.body, settings=settings)
        except (ClickHouseError, OSError) as error:
            code, name = code_and_name(error)
            if fault_of(code) is Fault.ROWS:
                raise RowsRefused(name) from error
            raise TryLater(name) from error


class Persistence:
    """Repeats an attempt while it raises TryLater, and tells the log what it waits for."""

    def __init__(self, patience: Patience, cancelled: threading.Event) -> None:
        self._patience = patience
        self._cancelled = cancelled
        self.retries = 0

    def insist(self, attempt: Callable[[], None], complaint: str) -> None:
        """Raises Cancelled, and what `attempt` raises other than TryLater."""
        failures = 0
        while not self._cancelled.is_set():
            try:
                return attempt()
            except TryLater as error:
                failures += 1
                self.retries += 1
                if failures == 1 or failures % _TELL_EVERY == 0:
                    log.warning("%s (%s); attempt %d failed, trying again", complaint, error.name, failures)
                if self._patience.pause(failures, self._cancelled):
                    break
        raise Cancelled


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

"""Sending an insert: once, over HTTP, with what came of it in two words."""

from typing import Any, Protocol

from clickhouse_connect.driver.exceptions import ClickHouseError

from causeline.sinks.clickhouse import code_and_name
from causeline.sinks.loader.encoding import Insert
from causeline.sinks.loader.retrying import Fault, RowsRefused, TryLater, fault_of

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

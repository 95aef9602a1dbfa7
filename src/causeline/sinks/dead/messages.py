"""Unreadable messages as the store has them: each once, however many letters tell of it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clickhouse_connect.driver.client import Client

from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.clickhouse_errors import translated
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.dead_letter import LARGEST_KEY, LARGEST_VALUE
from causeline.schemas.errors import NotFound, UsageError
from causeline.schemas.tables import REPLAYS_TABLE

_ID = re.compile(r"[0-9a-f]{4,32}", re.ASCII)
_COLUMNS = (
    "message_id, topic, partition, offset, reason, detail, schema_id, stages, letters, first_seen_at, last_seen_at,"
    " replays, replayed_at, state, hex(key) AS key_hex, isNull(key) AS keyless, length(value) AS bytes"
)
_LIST = """
SELECT {columns} FROM dead_messages
WHERE ({{states:Array(String)}} = [] OR has({{states:Array(String)}}, state))
  AND ({{reason:String}} = '' OR reason = {{reason:String}})
  AND ({{topic:String}} = '' OR topic = {{topic:String}})
  AND last_seen_at >= fromUnixTimestamp64Micro({{since:Int64}}, 'UTC')
ORDER BY {order} LIMIT {{limit:UInt32}}
"""
_ONE = "SELECT {columns} FROM dead_messages WHERE startsWith(message_id, {{id:String}}) LIMIT 2"
_VALUE = "SELECT hex(any(value)) AS value_hex FROM dead_messages WHERE message_id = {id:String}"


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A message that could not be read; times in UTC, `bytes` of what is kept of its value."""

    message_id: str
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    schema_id: int | None
    stages: Sequence[str]
    letters: int
    first_seen_at: datetime
    last_seen_at: datetime
    replays: int
    replayed_at: datetime | None
    state: str
    key: bytes | None
    bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether its letters hold all of it: one too large for a letter was cut."""
        return self.bytes < LARGEST_VALUE and len(self.key or b"") < LARGEST_KEY


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages: of these states, this reason, this topic's full name, seen since (microseconds)."""

    states: Sequence[str] = ()
    reason: str = ""
    topic: str = ""
    since_us: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to send a message again; `sent_offset` is where the broker put it, -1 before."""

    message_id: str
    attempt: int
    sent_offset: int = -1


class DeadMessages:
    """The store's view of them, behind a ClickHouse client."""

    def __init__(self, client: Client, connection: ClickHouseConnection) -> None:
        self._client = client
        self._connection = connection

    def find(self, wanted: Wanted, *, limit: int, oldest_first: bool = False) -> list[DeadMessage]:
        """What matches, the newest first; oldest first is the order of their partitions."""
        order = "topic, partition, offset" if oldest_first else "last_seen_at DESC, message_id"
        parameters = {
            "states": list(wanted.states),
            "reason": wanted.reason,
            "topic": wanted.topic,
            "since": wanted.since_us,
            "limit": limit,
        }
        return [_message(row) for row in self._ask(_LIST.format(columns=_COLUMNS, order=order), parameters)]

    def get(self, message_id: str) -> DeadMessage:
        """The one whose id is or begins so; raises UsageError, or NotFound when none or several are."""
        if not _ID.fullmatch(message_id.lower()):
            raise UsageError(
                f"{message_id[:40]!r} is not the id of a dead letter's message.", hint="causeline dead list"
            )
        found = self._ask(_ONE.format(columns=_COLUMNS), {"id": message_id.lower()})
        if len(found) != 1:
            how_many = "Several dead messages begin" if found else "No dead message begins"
            raise NotFound(f"{how_many} with {message_id}.", hint="causeline dead list shows whole ids.")
        return _message(found[0])

    def value(self, message_id: str) -> bytes:
        """Its original bytes, as far as they were kept; `message_id` is a whole one."""
        [row] = self._ask(_VALUE, {"id": message_id})
        return bytes.fromhex(row["value_hex"])

    def note(self, attempts: Sequence[Attempt]) -> None:
        """Keep attempts; kept again, they stand once."""
        rows = "\n".join(
            json.dumps({"message_id": each.message_id, "attempt": each.attempt, "sent_offset": each.sent_offset})
            for each in attempts
        )
        with translated(self._connection):
            self._client.raw_insert(
                REPLAYS_TABLE, fmt="JSONEachRow", insert_block=rows.encode(), settings={"async_insert": 0}
            )

    def _ask(self, sql: str, parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        with translated(self._connection):
            return list(self._client.query(sql, parameters=dict(parameters)).named_results())


@contextmanager
def dead_messages(connection: ClickHouseConnection) -> Iterator[DeadMessages]:
    """The dead messages behind `connection`, for the length of the block; raises Unreachable."""
    with clickhouse_client(connection) as client:
        yield DeadMessages(client, connection)


def _message(row: Mapping[str, Any]) -> DeadMessage:
    values = {name: row[name] for name in DeadMessage.__dataclass_fields__ if name != "key"}
    return DeadMessage(**values, key=None if row["keyless"] else bytes.fromhex(row["key_hex"] or ""))

"""What a failure means, and how long it is waited."""

import random
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from causeline.schemas import tables
from causeline.sinks.loader.encoding import Encoder, Insert
from causeline.sinks.loader.inserting import (
    ROWS_AT_FAULT,
    Backoff,
    ClickHouseSender,
    Fault,
    RowsRefused,
    TryLater,
    fault_of,
)
from tests.unit.sinks.loader.messages import batch, event, unit

SERVICE_CODES = {
    "TOO_MANY_PARTS": 252,
    "MEMORY_LIMIT_EXCEEDED": 241,
    "READONLY": 164,
    "TABLE_IS_READ_ONLY": 242,
    "NOT_ENOUGH_SPACE": 243,
    "TIMEOUT_EXCEEDED": 159,
    "SOCKET_TIMEOUT": 209,
    "NETWORK_ERROR": 210,
    "TOO_MANY_SIMULTANEOUS_QUERIES": 202,
    "UNKNOWN_TABLE": 60,
    "UNKNOWN_DATABASE": 81,
    "AUTHENTICATION_FAILED": 516,
    "ACCESS_DENIED": 497,
    "KEEPER_EXCEPTION": 999,
    "NO_SUCH_COLUMN_IN_TABLE": 16,
    "SYNTAX_ERROR": 62,
    "QUERY_WAS_CANCELLED": 394,
}


@pytest.mark.parametrize("code", sorted(ROWS_AT_FAULT))
def test_codes_that_rows_can_cause_are_the_rows_fault(code: int) -> None:
    assert fault_of(code) is Fault.ROWS


@pytest.mark.parametrize("code", [*SERVICE_CODES.values(), None, 123_456])
def test_every_other_code_is_the_services_fault(code: int | None) -> None:
    assert fault_of(code) is Fault.SERVICE


class Refusing:
    """A client whose raw insert fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def raw_insert(self, table: str, *, insert_block: bytes, settings: dict[str, Any]) -> object:
        raise self._error


def an_insert() -> Insert:
    [insert] = Encoder(tables.EVENTS).inserts([unit(batch([event(1)]))])
    return insert


@pytest.mark.parametrize(
    ("error", "means"),
    [
        (DatabaseError("x", code=748, name="AVRO_EXCEPTION"), RowsRefused),
        (DatabaseError("x", code=252, name="TOO_MANY_PARTS"), TryLater),
        (OperationalError("no route"), TryLater),
        (DatabaseError("HTTP driver received HTTP status 503"), TryLater),
        (ConnectionResetError(), TryLater),
    ],
)
def test_the_sender_says_it_in_two_words(error: Exception, means: type[Exception]) -> None:
    with pytest.raises(means):
        ClickHouseSender(Refusing(error)).send(an_insert())


def test_pauses_double_up_to_the_longest_with_jitter() -> None:
    backoff = Backoff(0.2, 5, random.Random(1))
    for failures, ceiling in ((1, 0.2), (2, 0.4), (4, 1.6), (6, 5), (1000, 5)):
        pauses = [backoff.seconds(failures) for _ in range(200)]
        assert min(pauses) >= 0.1
        assert ceiling * 0.9 < max(pauses) <= ceiling

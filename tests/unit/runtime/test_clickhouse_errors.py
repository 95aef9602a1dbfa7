"""One code of ClickHouse's, one class of ours, whoever asks; the server's own text only for who reads."""

from unittest.mock import create_autospec

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from causeline.drift.store import DriftStore
from causeline.reviews.store import ClickHouseLeases
from causeline.runtime.clickhouse_errors import in_our_words
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import CauselineError, CheckFailed, EnvironmentFault, NotFound, Unreachable, UsageError

TEXT = "Code: 1. DB::Exception: near 'secret' (NAME) (version 26.1)"


@pytest.mark.parametrize(
    ("code", "writing", "reading"),
    [
        (None, Unreachable, Unreachable),
        (516, Unreachable, Unreachable),
        (202, Unreachable, Unreachable),
        (241, CheckFailed, CheckFailed),
        (243, EnvironmentFault, EnvironmentFault),
        (81, NotFound, NotFound),
        (497, UsageError, UsageError),
        (164, UsageError, UsageError),
        (60, NotFound, UsageError),
        (62, CheckFailed, UsageError),
    ],
)
def test_a_code_means_the_same_whoever_asks_but_for_what_a_reader_typed(
    code: int | None, writing: type[Exception], reading: type[Exception]
) -> None:
    error = DatabaseError(TEXT, code=code, name="NAME")
    assert type(in_our_words(error, ClickHouseConnection())) is writing
    assert type(in_our_words(error, ClickHouseConnection(), reading=True)) is reading


@pytest.mark.parametrize("code", [None, 516, 202, 241, 243, 81, 497, 164, 60, 62])
def test_who_writes_is_told_nothing_that_may_quote_a_row(code: int | None) -> None:
    ours = in_our_words(DatabaseError(TEXT, code=code, name="NAME"), ClickHouseConnection())
    assert "secret" not in str(ours)
    assert str(ours).count(". ") == 0


def test_who_reads_is_told_what_is_wrong_with_the_sql() -> None:
    ours = in_our_words(DatabaseError(TEXT, code=62, name="NAME"), ClickHouseConnection(), reading=True)
    assert ours.message == "ClickHouse says NAME: near 'secret'."


def test_rows_that_the_console_and_the_watch_write_are_not_quoted() -> None:
    client = create_autospec(Client, instance=True, server_settings={})
    client.raw_insert.side_effect = DatabaseError(TEXT, code=27, name="CANNOT_PARSE_INPUT")
    with pytest.raises(CauselineError) as leases:
        ClickHouseLeases(client, ClickHouseConnection()).put("leases", b"{}", token="t")
    with pytest.raises(CauselineError) as drift:
        DriftStore(client, ClickHouseConnection()).put_rows("judgements", [{"a": 1}])
    assert [each.value.message for each in (leases, drift)] == [
        "ClickHouse refuses the statement: CANNOT_PARSE_INPUT (code 27)."
    ] * 2

"""The store that pages share: its absence is said once in the log, in our words, and so is its return."""

import logging
from collections.abc import Mapping

import pytest
from clickhouse_connect.driver.exceptions import OperationalError
from pydantic import SecretStr

from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import Unreachable
from causeline.web.stores import Absence, SharedStore
from causeline.web.turns import Turns


class Client:
    """A client of ClickHouse, which may be away."""

    server_settings: Mapping[str, object] = {}
    is_away = False

    def query(self, sql: str, **_: object) -> "Client":
        if self.is_away:
            raise OperationalError("Error HTTPConnectionPool executing HTTP request attempt 1")
        return self

    def named_results(self) -> list[dict[str, object]]:
        return [{"one": 1}]


def test_an_absence_and_a_return_are_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client, connection = Client(), ClickHouseConnection(url="http://u@there:1/d", password=SecretStr(""))
    store = SharedStore(client, connection, Turns(), Absence())  # type: ignore[arg-type]

    for _ in range(2):
        for client.is_away in (True, True, False, False):
            if client.is_away:
                with pytest.raises(Unreachable):
                    store.ask("SELECT 1")
            else:
                assert store.ask("SELECT 1") == [{"one": 1}]

    away, back = "ClickHouse at there:1 does not answer. Pages say so until it does.", "ClickHouse answers again."
    assert [record.message for record in caplog.records] == [away, back, away, back]
    assert not [record for record in caplog.records if record.exc_info]

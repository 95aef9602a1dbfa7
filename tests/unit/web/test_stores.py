"""The store that pages share: what it asks of the server, and that the log says once, in our words, when it is away."""

import logging
from collections.abc import Mapping
from types import SimpleNamespace

import pytest
from clickhouse_connect.driver.exceptions import OperationalError
from pydantic import SecretStr

from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import Unreachable
from causeline.web.stores import Absence, SharedStore
from causeline.web.turns import Turns


class Client:
    """A client of ClickHouse, which may be away."""

    is_away = False

    def __init__(self, server_settings: Mapping[str, object]) -> None:
        self.server_settings = server_settings
        self.settings: list[object] = []

    def query(self, sql: str, *, settings: object, **_: object) -> "Client":
        self.settings.append(settings)
        if self.is_away:
            raise OperationalError("Error HTTPConnectionPool executing HTTP request attempt 1")
        return self

    def named_results(self) -> list[dict[str, object]]:
        return [{"one": 1}]


def shared(client: Client) -> SharedStore:
    connection = ClickHouseConnection(url="http://u@there:1/d", password=SecretStr(""))
    return SharedStore(client, connection, Turns(), Absence())  # type: ignore[arg-type]


@pytest.mark.parametrize("readonly", [0, 1])
def test_the_server_gives_up_with_the_page_and_says_nothing_before_it_has_the_answer(readonly: int) -> None:
    client = Client({"max_threads": SimpleNamespace(readonly=readonly)})
    store = shared(client)
    store.ask("SELECT 1")
    store.ask("SELECT 1", is_small=True)

    bounds = {"max_execution_time": 22, "send_progress_in_http_headers": 0}
    assert client.settings == ([{}, {}] if readonly else [bounds, {**bounds, "max_threads": 1}])


def test_an_absence_and_a_return_are_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client = Client({})
    store = shared(client)

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

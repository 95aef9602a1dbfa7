"""ClickHouse behind TLS: the engine with a real TLS listener in front of it, trusted by its authority and else not."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from causeline.console.health import Health, clickhouse_probe
from causeline.schemas.connections import ClickHouseConnection
from causeline.schemas.errors import Unreachable
from causeline.sinks.clickhouse import clickhouse_client
from tests.integration.security.certificates import Certificates, make_certificates

pytestmark = pytest.mark.stack


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    writer.close()


@contextlib.contextmanager
def tls_in_front_of(port: int, certificates: Certificates) -> Iterator[int]:
    """A port that speaks TLS and hands on to `port`."""
    loop = asyncio.new_event_loop()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, to_writer), pump(to_reader, writer))

    server = loop.run_until_complete(asyncio.start_server(connect, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever, name="tls")
    thread.start()
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(_cancel_all, loop)
        thread.join(10)
        loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    ended = asyncio.gather(*tasks, return_exceptions=True)
    ended.add_done_callback(lambda _: loop.stop())


@pytest.fixture
def secured(clickhouse: ClickHouseConnection, tmp_path: Path) -> Iterator[ClickHouseConnection]:
    """The session's engine by way of TLS."""
    certificates = make_certificates(tmp_path / "certificates")
    with tls_in_front_of(clickhouse.port, certificates) as port:
        url = f"https://{clickhouse.user}@localhost:{port}/system"
        yield ClickHouseConnection(url=url, password=clickhouse.password, ca_cert=str(certificates.authority))


def is_reachable(connection: ClickHouseConnection) -> bool:
    """As `causeline health` asks."""
    return asyncio.run(Health({"clickhouse": clickhouse_probe(connection)}).reachable())["clickhouse"]


def test_our_clients_speak_tls_with_an_authority_of_ones_own(secured: ClickHouseConnection) -> None:
    with clickhouse_client(secured) as client:
        assert client.query("SELECT 1").result_rows == [(1,)]
    assert is_reachable(secured)


def test_an_authority_that_is_not_trusted_is_told_in_a_sentence(secured: ClickHouseConnection) -> None:
    stranger = secured.model_copy(update={"ca_cert": None})
    with pytest.raises(Unreachable) as caught, clickhouse_client(stranger):
        pass
    assert str(caught.value) == f"ClickHouse at localhost:{secured.port} and this client do not agree on TLS."
    assert "CAUSELINE_CLICKHOUSE_CA_CERT" in str(caught.value.hint)
    assert secured.password.get_secret_value() not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    assert not is_reachable(stranger)


def test_a_file_that_holds_no_authority_is_told_in_a_sentence(secured: ClickHouseConnection, tmp_path: Path) -> None:
    wrong = secured.model_copy(update={"ca_cert": str(tmp_path / "none.pem")})
    with pytest.raises(Unreachable, match="do not agree on TLS"), clickhouse_client(wrong):
        pass
    assert not is_reachable(wrong)

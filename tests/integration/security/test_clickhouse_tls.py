"""ClickHouse behind TLS: the engine with a real TLS listener in front of it, trusted by its authority and else not."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import Unreachable
from causeline.web.health import Health, clickhouse_probe
from tests.integration.security.certificates import Certificates, make_certificates

pytestmark = pytest.mark.stack


class Ending:
    """Speaks TLS and hands on to `target`; each task owns its sockets, so none is open once it has ended."""

    def __init__(self, target: int, certificates: Certificates) -> None:
        self._target = target
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(certificates.certificate, certificates.key)
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, server: socket.socket) -> None:
        """Serve until cancelled."""
        server.setblocking(False)
        try:
            while True:
                near, _ = await asyncio.get_running_loop().sock_accept(server)
                task = asyncio.create_task(self._serve(near))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, near: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        with near, socket.socket() as far, contextlib.suppress(OSError):
            far.setblocking(False)
            await loop.sock_connect(far, ("127.0.0.1", self._target))
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, near, ssl=self._context)
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            back = asyncio.create_task(self._back(far, writer))
            try:
                while piece := await reader.read(1 << 16):
                    await loop.sock_sendall(far, piece)
            finally:
                transport.abort()  # first: the wait below may be cancelled
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)

    @staticmethod
    async def _back(far: socket.socket, writer: asyncio.StreamWriter) -> None:
        while piece := await asyncio.get_running_loop().sock_recv(far, 1 << 16):
            writer.write(piece)
            await writer.drain()
        writer.close()


@contextlib.contextmanager
def tls_in_front_of(port: int, certificates: Certificates) -> Iterator[int]:
    """A port that speaks TLS and hands on to `port`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        loop = asyncio.new_event_loop()
        accepting = loop.create_task(Ending(port, certificates).accept(server))

        def run() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(accepting)
            loop.run_until_complete(asyncio.sleep(0))  # what was aborted last is closed in the loop's next turn

        thread = threading.Thread(target=run, name="tls")
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            loop.call_soon_threadsafe(accepting.cancel)
            thread.join(10)
            assert not thread.is_alive()
            loop.close()


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

"""The proxy does what the fault tests believe it does."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.proxy import LOOPBACK, Proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that answers each line with itself."""
    server = socket.create_server((LOOPBACK, 0))

    def serve(one: socket.socket) -> None:
        with one, one.makefile("rwb") as stream:
            try:
                for line in stream:
                    stream.write(line)
                    stream.flush()
            except OSError:
                return  # hung up on

    def accept() -> None:
        while True:
            try:
                one, _ = server.accept()
            except OSError:
                return  # closed at the end
            threading.Thread(target=serve, args=(one,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def ask(one: socket.socket, line: bytes) -> bytes:
    one.sendall(line)
    return one.recv(100)


def test_it_passes_on_and_takes_the_time_it_is_told(echo: int) -> None:
    with Proxy(echo) as proxy, socket.create_connection((LOOPBACK, proxy.port), timeout=5) as one:
        assert ask(one, b"a\n") == b"a\n"
        proxy.delay_s = 0.2
        began = time.monotonic()
        assert ask(one, b"b\n") == b"b\n"
        assert time.monotonic() - began >= 0.4


def test_it_is_deaf_and_after_healing_the_connection_is_reset(echo: int) -> None:
    with Proxy(echo) as proxy, socket.create_connection((LOOPBACK, proxy.port), timeout=0.3) as one:
        assert ask(one, b"a\n") == b"a\n"
        proxy.is_deaf = True
        with pytest.raises(TimeoutError):
            ask(one, b"b\n")
        proxy.heal()
        one.settimeout(5)
        with pytest.raises(ConnectionResetError):
            one.recv(100)


def test_when_it_is_gone_all_connections_are_reset(echo: int) -> None:
    with Proxy(echo) as proxy, socket.create_connection((LOOPBACK, proxy.port), timeout=5) as one:
        assert ask(one, b"a\n") == b"a\n"
        proxy.go_away()
        with pytest.raises(ConnectionResetError):
            one.recv(100)
        with (  # the reset may come before connect() has returned, or after
            pytest.raises(ConnectionResetError),
            socket.create_connection((LOOPBACK, proxy.port), timeout=5) as another,
        ):
            another.recv(100)
        proxy.heal()
        with socket.create_connection((LOOPBACK, proxy.port), timeout=5) as third:
            assert ask(third, b"c\n") == b"c\n"


def test_it_hangs_up_on_the_answer_to_what_it_is_told_and_only_so_often(echo: int) -> None:
    with Proxy(echo) as proxy:
        proxy.hang_up(1, b"INSERT")
        with socket.create_connection((LOOPBACK, proxy.port), timeout=5) as one:
            assert ask(one, b"SELECT\n") == b"SELECT\n"
            with pytest.raises(ConnectionResetError):
                ask(one, b"INSERT\n")
        with socket.create_connection((LOOPBACK, proxy.port), timeout=5) as another:
            assert ask(another, b"INSERT\n") == b"INSERT\n"
        assert proxy.hung_up == 1

"""Clients that say nothing, or not all, hold a listener for so long and no longer, and keep nobody else out."""

import asyncio
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from causeline.runtime.bounded_http import bounded_http
from causeline.runtime.bounded_listener import BoundedListener, Bounds, Phase, listen
from causeline.runtime.health import HealthSettings, health_port

QUICK = Bounds(
    head_timeout_s=1, body_timeout_s=1, body_bytes_per_s=1000, idle_timeout_s=1, send_timeout_s=1, connections=8,
    connections_per_peer=8,
)  # fmt: skip


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body and answers with its size; `/at-once` before it, `/large` with 64 MB."""
    if scope["type"] != "http":
        return
    size, more = 0, scope["path"] != "/at-once"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"x" * (64 << 20) if scope["path"] == "/large" else str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for start in range(0, len(body), 1 << 20):
        await send({"type": "http.response.body", "body": body[start : start + (1 << 20)], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@contextmanager
def serving(bounds: Bounds = QUICK) -> Iterator[tuple[BoundedListener, int]]:
    listener = listen("127.0.0.1", 0, bounds)
    config = uvicorn.Config(
        answering, http=bounded_http(listener), lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        yield listener, listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def seconds_until_closed(client: socket.socket, trickle: bytes = b"") -> float:
    """How long the server keeps the connection while `trickle` comes a byte each 0.2 s."""
    began = time.monotonic()
    client.settimeout(0.2)
    while time.monotonic() - began < 20:
        try:
            if trickle:
                client.sendall(trickle[:1])
                trickle = trickle[1:] + trickle[:1]
            if not client.recv(65536):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


def is_answered(port: int, path: str = "/") -> bool:
    with connect(port) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return client.recv(64).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("opening", "trickle"),
    [
        pytest.param(b"", b"", id="silent"),
        pytest.param(b"GET / HTTP/1.1\r\nX: ", b"a", id="a head that trickles"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"", id="silent after an answer"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /", b"a", id="a second head that trickles"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", b"", id="half a body"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", b"a", id="a body that trickles"),
        pytest.param(
            b"POST /at-once HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", b"a", id="a body nobody reads"
        ),
    ],
)
def test_what_is_silent_or_trickles_ends_in_its_time(opening: bytes, trickle: bytes) -> None:
    with serving() as (_, port), connect(port) as client:
        client.sendall(opening)

        assert seconds_until_closed(client, trickle) < 6


def test_a_connection_is_idle_for_as_long_as_its_bounds_say_and_not_as_long_as_uvicorn_does() -> None:
    loop = asyncio.new_event_loop()
    with closing(loop), listen("127.0.0.1", 0, Bounds(idle_timeout_s=75)) as listener:
        config = uvicorn.Config(answering, http=bounded_http(listener), lifespan="off", log_config=None)
        config.load()
        protocol = bounded_http(listener)(config, ServerState(), {}, loop)  # type: ignore[call-arg]
        assert protocol.timeout_keep_alive == 75  # type: ignore[attr-defined]


def test_who_takes_nothing_of_an_answer_ends_in_its_time() -> None:
    with serving() as (listener, port), connect(port) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        began = time.monotonic()
        while not listener.sweep() and time.monotonic() - began < 5:
            threading.Event().wait(0.05)
        while listener.sweep() and time.monotonic() - began < 15:
            threading.Event().wait(0.05)

        assert time.monotonic() - began < 8


def test_a_body_that_comes_fast_enough_may_take_longer() -> None:
    bounds = Bounds(head_timeout_s=1, body_timeout_s=1, body_bytes_per_s=1000)
    with serving(bounds) as (_, port), connect(port) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n")
        for _ in range(5):
            threading.Event().wait(0.5)
            client.sendall(b"x" * 10_000)

        assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_silent_connections_keep_nobody_out_and_are_the_ones_that_go() -> None:
    bounds = Bounds(connections=20, connections_per_peer=20)  # a silent one would have ten seconds
    with serving(bounds) as (_, port), ExitStack() as held:
        silent = [held.enter_context(connect(port)) for _ in range(60)]
        began = time.monotonic()

        assert all(is_answered(port) for _ in range(20))
        assert time.monotonic() - began < 5
        assert seconds_until_closed(silent[0]) < 1


def test_a_body_half_sent_goes_before_one_that_is_answered() -> None:
    now = 0.0
    with listen("127.0.0.1", 0, Bounds(connections=2, connections_per_peer=2)) as listener, ExitStack() as held:
        listener.now = lambda: now
        taken = []
        for phase in (Phase.ANSWERING, Phase.RECEIVING):
            held.enter_context(connect(listener.getsockname()[1]))
            taken.append(held.enter_context(listener.accept()[0]))
            found = listener.connection(taken[-1].fileno())
            assert found
            found.phase = phase
            now += 1
        held.enter_context(connect(listener.getsockname()[1]))
        third = held.enter_context(listener.accept()[0])

        assert taken[1].recv(1) == b""  # shut down
        assert listener.connection(taken[0].fileno())
        found = listener.connection(third.fileno())
        assert found
        found.phase = Phase.ANSWERING
        held.enter_context(connect(listener.getsockname()[1]))
        with pytest.raises(BlockingIOError):  # all are being answered: the new one goes
            listener.accept()


def test_a_peer_has_its_share_and_no_more() -> None:
    with listen("127.0.0.1", 0, Bounds(connections=100, connections_per_peer=3)) as listener, ExitStack() as held:
        port = listener.getsockname()[1]
        for _ in range(5):
            held.enter_context(connect(port))
            held.enter_context(listener.accept()[0])
        other = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0))
        held.enter_context(other)
        held.enter_context(listener.accept()[0])

        assert listener.sweep() == 4


def test_it_stays_calm_without_file_descriptors() -> None:
    """In a process of its own: the bound is of the whole process."""
    code = """
import resource, socket, sys
from causeline.runtime.bounded_listener import Bounds, listen
import logging; logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
listener = listen("127.0.0.1", 0)
port = listener.getsockname()[1]
clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
resource.setrlimit(resource.RLIMIT_NOFILE, (clients[-1].fileno() + 11, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
listener.setblocking(False)
taken, turned_away = [], 0
for _ in range(40):
    try:
        taken.append(listener.accept()[0])
    except BlockingIOError:
        turned_away += 1
ended = sum(one.recv(1) == b"" for one in taken[:5])
print("taken", len(taken), "turned away", turned_away, "ended", ended)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    first, *rest = done.stdout.splitlines()
    assert first.endswith("(Too many open files): waiting ones are closed.")
    assert rest == ["taken 10 turned away 30 ended 5"]  # said once, however often it happened


def test_health_is_told_past_clients_that_say_nothing() -> None:
    settings = HealthSettings(port=0, token=SecretStr("x"))
    before = threading.active_count()
    with health_port(settings, CollectorRegistry(), lambda: None) as port, ExitStack() as held:
        assert port
        silent = [held.enter_context(connect(port)) for _ in range(300)]
        with connect(port) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert client.recv(64).startswith(b"HTTP/1.0 200")
        assert threading.active_count() - before < 80
        assert seconds_until_closed(silent[0]) < 1


@pytest.mark.slow
def test_health_ends_a_request_that_trickles(caplog: pytest.LogCaptureFixture) -> None:
    with health_port(HealthSettings(port=0), CollectorRegistry(), lambda: None) as port:
        assert port
        with connect(port) as client, caplog.at_level(logging.WARNING):
            client.sendall(b"GET /healthz HTTP/1.1\r\nX: ")

            assert seconds_until_closed(client, b"a") < 14
    assert not caplog.records

"""A receiver under hostile load: half-sent requests, bombs, huge bodies, garbage, and one client that means well.

The doors, bounds and intake are the real ones on a real socket; what is published is kept in memory. Nothing that is
sent costs more than the bounds allow, every request gets an answer or its connection's end, and the client that means
well loses nothing.
"""

import gzip
import json
import resource
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import uvicorn

from causeline.otlp.receiver.budget import Budget
from causeline.otlp.receiver.http_endpoint import create_app
from causeline.otlp.receiver.settings import ReceiverSettings
from causeline.runtime.bounded_http import bounded_http
from causeline.runtime.bounded_listener import Bounds, listen
from causeline.stack.waiting import wait_until
from tests.unit.otlp.endpoint import Door
from tests.unit.otlp.requests import Recorded, answer_a_question, span_json, traces_json

_MIB: Final = 1024 * 1024
_HALF_OPEN: Final = 400
_MOST_MB: Final = 300
"""What the process may grow by: 128 requests of 1 MiB and what is made of them, and far less than the bombs' 6 GiB."""
_SETTINGS: Final = ReceiverSettings(
    max_body_bytes=_MIB, max_pending_bytes=16 * _MIB, body_timeout_s=3, durable_timeout_s=5
)
_BOUNDS: Final = Bounds(head_timeout_s=1, body_timeout_s=3, idle_timeout_s=5)


@dataclass(frozen=True)
class Server:
    """A receiver on a port, and what it holds."""

    port: int
    door: Door
    budget: Budget

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def _serving(folder: Path) -> Iterator[Server]:
    door, budget = Door(folder, _SETTINGS), Budget(_SETTINGS.max_pending_bytes)
    listener = listen("127.0.0.1", 0, bounds=_BOUNDS)
    config = uvicorn.Config(
        create_app(_SETTINGS, door.intake, budget),
        http=bounded_http(listener),
        log_config=None,
        access_log=False,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, timeout_s=180, what="the receiver does not start")
        yield Server(listener.getsockname()[1], door, budget)
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
        door.close()


def _half_open(port: int, number: int) -> socket.socket:
    """A connection whose request never ends: nothing, half a head, or a head and a piece of a body."""
    made = socket.create_connection(("127.0.0.1", port), timeout=30)
    head = b"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\n"
    said = (b"", head, head + b"Content-Length: 100000\r\n\r\nhalf of it")[number % 3]
    with suppress(OSError):  # it was closed to make room
        made.sendall(said)
    return made


def _ended(made: socket.socket) -> bool:
    """Whether the server ended the connection, after whatever it answered."""
    try:
        while made.recv(4096):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    finally:
        made.close()
    return True


def _hostile() -> list[tuple[str, bytes, dict[str, str]]]:
    bomb = gzip.compress(b"\0" * (200 * _MIB), 1)
    nested = b"[" * 200_000
    deep = {"key": "a", "value": {}}
    for _ in range(90):
        deep = {"key": "a", "value": {"kvlistValue": {"values": [deep]}}}
    deep_span = span_json("deep") | {"attributes": [deep]}
    zipped = {"content-encoding": "gzip"}
    return [
        ("protobuf", bomb, zipped),
        ("json", bomb, zipped),
        ("protobuf", b"\x0a" * (3 * _MIB), {}),
        ("protobuf", b"\xff\xfe" * 1000, {}),
        ("protobuf", bomb[: len(bomb) // 2], zipped),
        ("json", nested, {}),
        ("json", traces_json(deep_span), {}),
        ("json", traces_json(span_json("x" * 500_000)), {}),
        ("json", traces_json(*(span_json("many", span=place + 1) for place in range(2_000))), {}),
        ("json", json.dumps({"resourceSpans": [{}] * 5_000}).encode(), {}),
    ]


def _answered(url: str, kind: str, body: bytes, more: dict[str, str]) -> int:
    """The status of a hostile request; 0 where its connection was ended in place of an answer."""
    media = "application/json" if kind == "json" else "application/x-protobuf"
    try:
        return httpx.post(
            f"{url}/v1/traces", content=body, headers={"content-type": media, **more}, timeout=60
        ).status_code
    except httpx.TransportError:
        return 0


def _taken(url: str, body: bytes) -> bool:
    """A client that means well: it sends again what was not taken."""
    try:
        answer = httpx.post(
            f"{url}/v1/traces", content=body, headers={"content-type": "application/x-protobuf"}, timeout=30
        )
    except httpx.TransportError:
        return False
    assert answer.status_code in (200, 408, 503), answer.text
    return answer.status_code == 200


def test_a_flood_costs_what_the_bounds_allow_and_a_good_client_loses_nothing(tmp_path: Path) -> None:
    apps = [Recorded() for _ in range(20)]
    traces = {answer_a_question(app) for app in apps}
    hostile = _hostile() * 3
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with _serving(tmp_path) as server, ThreadPoolExecutor(12) as pool:
        silent = [_half_open(server.port, number) for number in range(_HALF_OPEN)]
        statuses = [pool.submit(_answered, server.url, *each) for each in hostile]
        for app in apps:
            wait_until(partial(_taken, server.url, app.body()), timeout_s=180, what="a good request is not taken")
        counted = Counter(status.result() for status in statuses)
        assert all(pool.map(_ended, silent)), "a half-sent request holds its connection"
        wait_until(
            lambda: server.budget.held_bytes == 0, timeout_s=180, what="bytes are held for requests that are gone"
        )
        assert httpx.get(f"{server.url}/healthz").json()["status"] == "ok"
        runs = server.door.runs
    grown_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb
    assert traces <= runs.keys()
    assert all(len(runs[trace].steps) == 4 for trace in traces)
    assert set(counted) <= {0, 200, 400, 408, 413, 503}, counted
    assert counted[200] <= len(hostile) * 4 // 10, "a bomb or garbage was taken"
    assert grown_mb < _MOST_MB

"""The webhook: where it posts to, where it never does, and what it does when nobody listens."""

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from causeline.drift import webhook
from causeline.drift.webhook import Target, allowed, post
from causeline.schemas.errors import CheckFailed, Unreachable, UsageError

SECRET = "open sesame"
DOCUMENT = {"alert_id": "a1", "state": "open", "headline": "route moved → more"}
NOW_S = 1_700_000_000


class Waits(threading.Event):
    """Never waits, and tells how long it was asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.append(timeout or 0.0)
        return self.is_set()


@contextmanager
def receiver(*statuses: int) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A server that answers with these, the last for ever; its URL, and what it got."""
    got: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((dict(self.headers), body))
            status = statuses[min(len(got), len(statuses)) - 1]
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://alerts.example:{server.server_port}/hook?x=1", got
        finally:
            server.shutdown()
            thread.join()


def loopback(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def send(url: str, waits: Waits | None = None, *, private: bool = True) -> Waits:
    waits = waits or Waits()
    target = Target(url, SECRET, private=private)
    post(target, DOCUMENT, delivery="a1-3", clock=lambda: NOW_S, stop=waits, resolve=loopback)
    return waits


def test_what_is_posted_is_signed_and_says_which_delivery_it_is() -> None:
    with receiver(204) as (url, got):
        send(url)
    [(headers, body)] = got
    assert json.loads(body) == DOCUMENT
    expected = hmac.new(SECRET.encode(), f"{NOW_S}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["Causeline-Signature"] == f"t={NOW_S},v1={expected}"
    assert headers["Causeline-Delivery"] == "a1-3"


def test_a_busy_receiver_is_asked_again_with_growing_waits() -> None:
    with receiver(503, 429, 200) as (url, got):
        waits = send(url)
    assert (len(got), waits.asked) == (3, [1.0, 4.0])


def test_after_three_attempts_it_is_left_for_the_next_pass() -> None:
    with receiver(500) as (url, got), pytest.raises(Unreachable, match="status 500"):
        send(url)
    assert len(got) == 3


def test_being_told_to_stop_ends_the_attempts() -> None:
    waits = Waits()
    waits.set()
    with receiver(500) as (url, got), pytest.raises(Unreachable):
        send(url, waits)
    assert len(got) == 1


@pytest.mark.parametrize("status", [301, 307, 400, 404])
def test_a_redirect_and_a_refusal_are_final(status: int) -> None:
    with receiver(status) as (url, got), pytest.raises(CheckFailed, match=str(status)):
        send(url)
    assert len(got) == 1


def test_nobody_there_is_unreachable() -> None:
    with receiver(200) as (url, _):
        pass
    with pytest.raises(Unreachable, match="ConnectionRefusedError"):
        send(url)


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("93.184.216.34", True, True),
        ("2606:2800:220:1:248:1893:25c8:1946", True, True),
        ("10.1.2.3", False, True),
        ("192.168.0.9", False, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("fd00::1", False, True),
        ("::ffff:10.1.2.3", False, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("fe80::1%eth0", False, False),
        ("0.0.0.0", False, False),  # noqa: S104 - refused, which is the point
        ("224.0.0.1", False, False),
    ],
)
def test_only_public_addresses_unless_private_ones_are_allowed(address: str, *, public: bool, private: bool) -> None:
    assert (allowed(address, private=False), allowed(address, private=True)) == (public, private)


def test_a_host_with_one_forbidden_address_is_not_connected_to() -> None:
    def both(_host: str, _port: int) -> Sequence[str]:
        return ["93.184.216.34", "169.254.169.254"]

    target = Target("http://alerts.example/", SECRET, private=True)
    with pytest.raises(CheckFailed, match=r"169\.254\.169\.254"):
        post(target, DOCUMENT, delivery="d", clock=lambda: NOW_S, stop=Waits(), resolve=both)


def test_a_private_address_is_refused_where_it_was_not_allowed() -> None:
    with receiver(200) as (url, got), pytest.raises(CheckFailed, match="may not be posted to"):
        send(url, private=False)
    assert got == []


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "https://user:pw@x/", "alerts"])
def test_what_is_no_webhook_is_said(url: str) -> None:
    with pytest.raises(UsageError, match="WEBHOOK_URL"):
        post(Target(url, SECRET), DOCUMENT, delivery="d", clock=lambda: NOW_S, stop=Waits())


def test_without_a_secret_nothing_is_posted() -> None:
    with pytest.raises(UsageError, match="secret"):
        post(Target("https://x/", ""), DOCUMENT, delivery="d", clock=lambda: NOW_S, stop=Waits())


def test_the_system_knows_loopback() -> None:
    assert "127.0.0.1" in webhook.addresses("127.0.0.1", 80)


@pytest.mark.parametrize(
    "address",
    [
        "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::a00:1",  # NAT64 to metadata, loopback, a private network
        "2002:7f00:1::", "2002:a9fe:a9fe::1", "::127.0.0.1", "::ffff:169.254.169.254",  # 6to4, compatible, mapped
        "fec0::1", "fe80::1%eth0", "2001:0:4136:e378::1", "100.64.0.1", "192.0.0.8",
        "169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16",
        "0.0.0.1", "::", "224.0.0.1", "ff02::1", "240.0.0.1",
    ],
)  # fmt: skip
def test_what_leads_to_an_address_within_is_none_to_post_to(address: str) -> None:
    assert not allowed(address, private=False)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fd00:ec2::254", "168.63.129.16", "64:ff9b::a9fe:a9fe", "fec0::1"]
)
def test_metadata_is_not_private(address: str) -> None:
    assert not allowed(address, private=True)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_public_addresses_are_posted_to_by_whatever_way(address: str) -> None:
    assert allowed(address, private=False)


def test_an_answer_that_trickles_ends_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes well within the time-out of a socket; together they would take for ever."""
    monkeypatch.setattr(webhook, "ATTEMPT_S", 0.5)
    stop = threading.Event()

    def trickle(listener: socket.socket) -> None:
        while not stop.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1000:
                    try:
                        client.send(bytes([byte]))
                    except OSError:
                        break
                    if stop.wait(0.05):
                        return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=(listener,), daemon=True)
        thread.start()
        target = Target(f"http://127.0.0.1:{listener.getsockname()[1]}/", SECRET, private=True)
        began = time.monotonic()
        with pytest.raises(Unreachable):
            post(target, DOCUMENT, delivery="d", clock=lambda: NOW_S, stop=Waits())
        assert time.monotonic() - began < 5
        stop.set()
    thread.join(5)

"""A long-running part's health and metrics over HTTP, and the watch that knows whether the part gets on.

Off unless `CAUSELINE_HEALTH_PORT` is set. `GET /healthz` answers 200, or 503 with one sentence that says why not; `GET
/metrics` is Prometheus's text. Needs prometheus-client: the parts that import this module have it in their extra.
"""

import hmac
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from pydantic import Field, SecretStr

from causeline.runtime.bounded_listener import Bounds, listen
from causeline.runtime.settings import ListenerSettings
from causeline.schemas.errors import EnvironmentFault

_REQUEST_TIMEOUT_S = 5.0
_BOUNDS = Bounds(head_timeout_s=10, connections=64, connections_per_peer=32)
"""A request is one connection: so long from its first moment to its last, so many at a time."""
_STOP_WITHIN_S = 0.1
log = logging.getLogger(__name__)


class HealthSettings(ListenerSettings):
    """Where a worker, loader or receiver tells how it is. Variables: `CAUSELINE_HEALTH_…`."""

    prefix: ClassVar = "CAUSELINE_HEALTH_"

    port: int | None = Field(default=None, ge=0, le=65535)
    """Port of /healthz and /metrics, one for each process; 0 is a free one, which the log names; unset means none."""
    token: SecretStr | None = None
    """Asked as a bearer token for /metrics; /healthz is open, and says no more than one sentence."""
    stall_after_s: float = Field(default=60, gt=0)
    """So long without a step forward while work waits, and /healthz answers 503."""

    def check(self) -> None:
        """Raises UsageError for an address that others can reach, without a token; without a port nothing listens."""
        if self.port is not None:
            super().check()


class Pulse:
    """Whether a loop gets on: it goes round, and what waits gets done. Written by the loop, read by any thread.

    A loop without work is well as long as it goes round. One with work must also get something done from time to time.
    """

    def __init__(self, name: str, stall_after_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._stall_after_s = stall_after_s
        self._now = now
        self._beat_at: float | None = None
        self._busy_since: float | None = None
        self._hindrance = ""

    def beat(self, *, busy: bool) -> None:
        """The loop is ready and went round; `busy` says whether work waits or is under way."""
        self._beat_at = self._now()
        if not busy:
            self._busy_since = None
        elif self._busy_since is None:
            self._busy_since = self._beat_at

    def done(self) -> None:
        """Something got done: whatever waits still has its full time again."""
        self._busy_since = None
        self._hindrance = ""

    def hindered(self, why: str) -> None:
        """What the last attempt failed of, as a word or two; told with the complaint until something gets done."""
        self._hindrance = why

    def complaint(self) -> str | None:
        """Why it isn't well, as a sentence; None when it is."""
        beat_at, busy_since, now = self._beat_at, self._busy_since, self._now()
        if beat_at is None:
            return f"The {self._name} is not consuming yet."
        if now - beat_at > self._stall_after_s:
            return f"The {self._name} has stood still for {now - beat_at:.0f} s."
        if busy_since is not None and now - busy_since > self._stall_after_s:
            why = f" ({self._hindrance})" if self._hindrance else ""
            return f"The {self._name} has work and got nothing of it done for {now - busy_since:.0f} s{why}."
        return None


@contextmanager
def health_port(
    settings: HealthSettings, registry: CollectorRegistry, complaint: Callable[[], str | None]
) -> Iterator[int | None]:
    """Serves health and `registry` while the block runs, from a thread of its own; gives the port, None when off.

    `complaint` is called by that thread for each request to /healthz. Raises EnvironmentFault when the port is taken.
    """
    if settings.port is None:
        yield None
        return
    try:
        server = _Server((settings.host, settings.port), settings.secret() or "", registry, complaint)
    except OSError as error:
        raise EnvironmentFault(
            f"Health cannot be served on {settings.host}:{settings.port}: {error.strerror}.",
            hint="CAUSELINE_HEALTH_PORT needs a port of its own for each process; 0 takes a free one.",
        ) from error
    port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(_STOP_WITHIN_S,), name="health", daemon=True)
    thread.start()
    log.info("health and metrics on http://%s:%d", settings.host, port)
    try:
        yield port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def part_health(part: str, counts: Callable[[], Mapping[str, float]], *, stall_after_s: float = 0.0) -> Iterator[Pulse]:
    """Health and metrics of a part as `CAUSELINE_HEALTH_…` says, for the block; gives the pulse that it must feel.

    `counts` are told as `causeline_PART_NAME_total`, asked at each scrape. `stall_after_s` is the least time that the
    part's own rhythm needs. Raises as `health_port`.
    """
    settings = HealthSettings.from_environment()
    pulse = Pulse(part, max(settings.stall_after_s, stall_after_s))
    registry = CollectorRegistry()
    registry.register(_Counts(part, counts))
    with health_port(settings, registry, pulse.complaint):
        yield pulse


class _Counts(Collector):
    def __init__(self, part: str, counts: Callable[[], Mapping[str, float]]) -> None:
        self._part, self._counts = part, counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        for name, value in self._counts().items():
            said = f"{name.replace('_', ' ').capitalize()} since the start."
            yield CounterMetricFamily(f"causeline_{self._part}_{name}", said, value=value)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        token: str,
        registry: CollectorRegistry,
        complaint: Callable[[], str | None],
    ) -> None:
        super().__init__(address, _Handler, bind_and_activate=False)
        self.socket.close()
        self.listener = listen(*address, _BOUNDS)
        self.socket, self.server_address = self.listener, self.listener.getsockname()
        self.token = token
        self.registry = registry
        self.complaint = complaint

    def service_actions(self) -> None:
        """Called between requests: connections past their time end."""
        self.listener.sweep()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is gone, or was made to go, is no news; anything else is a fault of ours."""
        if not isinstance(sys.exception(), OSError):
            log.exception("health was not answered")  # noqa: LOG004 - called while one is handled


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _REQUEST_TIMEOUT_S
    server_version = "causeline"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/healthz":
            complaint = self.server.complaint()
            status = HTTPStatus.OK if complaint is None else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, f"{complaint or 'ok'}\n".encode())
        elif path != "/metrics":
            self._answer(HTTPStatus.NOT_FOUND, b"GET /healthz or /metrics.\n")
        elif self._is_let_in():
            self._answer(HTTPStatus.OK, generate_latest(self.server.registry), CONTENT_TYPE_LATEST)
        else:
            self._answer(HTTPStatus.UNAUTHORIZED, b"The metrics need a bearer token.\n")

    def _is_let_in(self) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        return not self.server.token or hmac.compare_digest(given.encode(), self.server.token.encode())

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
        """Scrapes come every few seconds: they're no news."""

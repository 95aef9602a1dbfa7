"""Runs the console's HTTP service until it is told to stop."""

import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable

import uvicorn

from causeline.runtime.bounded_http import bounded_http
from causeline.runtime.bounded_listener import BoundedListener, Bounds, listen
from causeline.runtime.connections import ClickHouseConnection
from causeline.runtime.garbage import seldom_collect
from causeline.runtime.health import Pulse, part_health
from causeline.schemas.errors import EnvironmentFault
from causeline.schemas.topics import DEFAULT_PREFIX
from causeline.web.app import create_app
from causeline.web.health import Health, probes_from_environment
from causeline.web.live import Live
from causeline.web.settings import ServeSettings
from causeline.web.stores import Stores

log = logging.getLogger(__name__)
_BOUNDS = Bounds(idle_timeout_s=75)
"""A proxy keeps its connections for a minute or so, and must not be the last to know that one is closed."""
_STOP_GRACE_S = 5
_BEAT_EVERY_S = 1


class _Server(uvicorn.Server):
    """Lets pages go that follow what happens, which would be waited for in vain, before it waits for the others."""

    def __init__(self, config: uvicorn.Config, live: Live | None) -> None:
        super().__init__(config)
        self._live = live

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop in order."""
        if self._live is not None:
            self._live.end()
        await super().shutdown(sockets)


def run_server(settings: ServeSettings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. Raises EnvironmentFault when the address cannot be had."""
    prefix = os.environ.get("CAUSELINE_TOPIC_PREFIX") or DEFAULT_PREFIX
    has_tables = bool(os.environ.get("CAUSELINE_CLICKHOUSE_URL"))
    stores = Stores(ClickHouseConnection.from_environment(), prefix) if has_tables else None
    app = create_app(settings, Health(probes_from_environment()), prefix, stores=stores)
    seldom_collect()  # the runs that are kept are many small objects
    listener = _listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    config = uvicorn.Config(
        app,
        http=bounded_http(listener),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_GRACE_S,
    )
    server = _Server(config, app.state.site.live if stores else None)
    # uvicorn raises the signal again once it has stopped in order; a stop in order is not a death by signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    shown = f"[{host}]" if ":" in host else host
    log.info("console ready at http://%s:%d", shown, port)
    with listener, part_health("console", lambda: {"requests": server.server_state.total_requests}) as pulse:
        config.callback_notify, config.timeout_notify = _beating(pulse), _BEAT_EVERY_S
        server.run(sockets=[listener])
    return 0


def _listen(host: str, port: int) -> BoundedListener:
    try:
        return listen(host, port, _BOUNDS)
    except OSError as error:
        raise EnvironmentFault(
            f"The console cannot listen on {host} port {port}: {error.strerror}.",
            hint="Choose another --port, or 0 for a free one.",
        ) from error


def _beating(pulse: Pulse) -> Callable[[], Awaitable[None]]:
    async def beat() -> None:
        pulse.beat(busy=False)

    return beat

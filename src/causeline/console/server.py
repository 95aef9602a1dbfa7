"""The console's HTTP service: health, and the bundled schemas as a read-only registry."""

import logging
import os
import signal
import socket
from importlib.metadata import version

import uvicorn
from fastapi import FastAPI

from causeline.console.gate import LOOPBACK_NAMES, Gate
from causeline.console.health import Health, probes_from_environment
from causeline.console.registry_api import install_errors, registry_routes
from causeline.console.settings import ServeSettings
from causeline.schemas.errors import EnvironmentFault
from causeline.schemas.topics import DEFAULT_PREFIX

_log = logging.getLogger(__name__)
_STOP_GRACE_S = 5


def create_app(settings: ServeSettings, health: Health, topic_prefix: str = DEFAULT_PREFIX) -> FastAPI:
    """The service as an ASGI app."""
    app = FastAPI(title="Causeline", version=version("causeline"), docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(registry_routes(topic_prefix))
    install_errors(app)

    @app.get("/")
    def _index() -> dict[str, str]:
        return {"service": "causeline", "health": "/healthz", "schemas": "/subjects"}

    @app.get("/healthz")
    async def _healthz() -> dict[str, object]:
        return {"status": "ok", "version": app.version, "reachable": await health.reachable()}

    hosts = LOOPBACK_NAMES | set(settings.allowed_hosts) if settings.is_loopback else settings.allowed_hosts
    app.add_middleware(Gate, allowed_hosts=hosts, token=settings.secret())
    return app


def run_server(settings: ServeSettings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. Raises EnvironmentFault when the address cannot be had."""
    prefix = os.environ.get("CAUSELINE_TOPIC_PREFIX") or DEFAULT_PREFIX
    app = create_app(settings, Health(probes_from_environment()), prefix)
    listener = _listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=_STOP_GRACE_S
    )
    server = uvicorn.Server(config)
    # uvicorn raises the signal again once it has stopped in order; a stop in order is not a death by signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    shown = f"[{host}]" if ":" in host else host
    _log.info("console ready at http://%s:%d", shown, port)
    with listener:
        server.run(sockets=[listener])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        raise EnvironmentFault(
            f"The console cannot listen on {host} port {port}: {error.strerror}.",
            hint="Choose another --port, or 0 for a free one.",
        ) from error
    return listener

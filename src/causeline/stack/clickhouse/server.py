"""The server process: settings, fences of the process, engine, then one uvicorn worker until SIGTERM."""

import asyncio
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from causeline.runtime.bounded_http import bounded_http
from causeline.runtime.bounded_listener import BoundedListener, Bounds, listen
from causeline.schemas.errors import CauselineError
from causeline.stack.clickhouse import landlock
from causeline.stack.clickhouse.app import ClickHouseApp, User
from causeline.stack.clickhouse.engine import Engine, prepare_folder
from causeline.stack.clickhouse.settings import ServerSettings, read_password
from causeline.stack.faults import environment_fault

_LAST_CALLS_S: Final = 10.0

log = logging.getLogger("causeline.clickhouse")


def main() -> int:
    """Runs the server; returns the process's exit code."""
    os.umask(0o077)  # rows, and the passwords that come with questions, are nobody else's
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        serve(ServerSettings.from_environment())
    except CauselineError as error:
        log.error("%s %s", error.message, error.hint or "")  # noqa: TRY400 - one sentence, no traceback
        return error.exit_code
    return 0


def serve(settings: ServerSettings) -> None:
    """Serves until SIGTERM or SIGINT: running requests end, new ones are refused, the engine is closed."""
    users = [User(settings.user, read_password(settings.password_file), may_write=True)]
    if settings.reader_password_file:
        users.append(User(settings.reader_user, read_password(settings.reader_password_file), may_write=False))
    prepare_folder(settings.server_path)
    temporary = _fresh_temporary_folder(settings.server_path)
    listener = _listen(settings)
    landlock.fence(writable=settings.server_path)
    engine = Engine(settings.server_path)
    app = ClickHouseApp(engine, settings, users, temporary)
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops at them, then raises them again for the handler that was there before: this one, not the end.
        signal.signal(number, _already_stopping)
    try:
        asyncio.run(_run(app, settings, listener))
    finally:
        if not app.close(timeout_s=_LAST_CALLS_S):
            # Every acknowledged insert is on disk; a call that cannot be ended would keep the process for ever.
            log.error("stopped, leaving a statement that does not end")
            logging.shutdown()
            os._exit(1)
        engine.close()
    log.info("stopped")


async def _run(app: ClickHouseApp, settings: ServerSettings, listener: BoundedListener) -> None:
    config = uvicorn.Config(
        app,
        http=bounded_http(listener),
        lifespan="off",
        log_config=None,
        access_log=False,
        log_level="warning",
        server_header=False,
        h11_max_incomplete_event_size=1 << 20,
        timeout_graceful_shutdown=int(settings.stop_timeout_s) + 5,
        backlog=256,
    )
    host, port = listener.getsockname()[:2]
    log.info("ready on http://%s:%d", host, port)
    await _Server(config, app, settings.stop_timeout_s).serve(sockets=[listener])


class _Server(uvicorn.Server):
    """A server that ends the SELECTs which are still running `stop_timeout_s` seconds after it was told to stop."""

    def __init__(self, config: uvicorn.Config, app: ClickHouseApp, stop_timeout_s: float) -> None:
        super().__init__(config)
        self._app, self._stop_timeout_s = app, stop_timeout_s

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("stopping: running requests end, new ones are refused")
        timer = asyncio.get_running_loop().call_later(self._stop_timeout_s, self._app.stop_queries)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()


def _already_stopping(number: int, frame: FrameType | None) -> None:
    log.debug("signal %d while stopping", number)


def _listen(settings: ServerSettings) -> BoundedListener:
    bounds = Bounds(body_timeout_s=2 * settings.body_timeout_s, send_timeout_s=settings.send_timeout_s)
    try:
        listener = listen(settings.server_host, settings.server_port, bounds)
    except OSError as error:
        raise environment_fault(error, f"{settings.server_host}:{settings.server_port} for ClickHouse") from error
    listener.set_inheritable(True)
    return listener


def _fresh_temporary_folder(path: Path) -> Path:
    """An empty private folder for spooled bodies and the engine's own; what a crash left in it is removed."""
    folder = path / "causeline-tmp"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise environment_fault(error, f"the folder for temporary files {folder}") from error
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = str(folder)
    return folder

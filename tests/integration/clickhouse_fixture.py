"""The embedded ClickHouse as a process of its own, for tests: started on a free port, in a folder of the test."""

import os
import secrets
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from causeline.stack.launch import launcher
from causeline.stack.ports import free_ports
from causeline.stack.waiting import wait_until


@dataclass(frozen=True)
class ClickHouseEndpoint:
    """A ClickHouse server: `url` is `http://host:port`, without user and database."""

    url: str
    user: str
    password: str
    database: str = "causeline"

    @property
    def host(self) -> str:
        """The host in the URL."""
        return self.url.split("//", 1)[1].rsplit(":", 1)[0]

    @property
    def port(self) -> int:
        """The port in the URL."""
        return int(self.url.rsplit(":", 1)[1])

    @property
    def connection_url(self) -> str:
        """As CAUSELINE_CLICKHOUSE_URL has it."""
        return f"http://{self.user}@{self.host}:{self.port}/{self.database}"


class ClickHouseProcess:
    """A server over `folder/data`; `start`, `stop`, `kill` and start again keep the data and the address."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "clickhouse.log"
        [port] = free_ports(1)
        folder.mkdir(parents=True, exist_ok=True)
        self.endpoint = ClickHouseEndpoint(f"http://127.0.0.1:{port}", "causeline", self._password("owner"))
        self.reader = ClickHouseEndpoint(self.endpoint.url, "reader", self._password("reader"))
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CAUSELINE_")},
            "CAUSELINE_ENGINE_PATH": str(self.data),
            "CAUSELINE_ENGINE_PORT": str(port),
            "CAUSELINE_ENGINE_PASSWORD_FILE": str(folder / "owner.password"),
            "CAUSELINE_ENGINE_READER_PASSWORD_FILE": str(folder / "reader.password"),
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise RuntimeError("the server has not been started")
        return self._process.pid

    def start(self) -> ClickHouseEndpoint:
        """Starts the server and waits until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                launcher([sys.executable, "-m", "causeline.stack.clickhouse"]),
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        wait_until(self._answers, timeout_s=60, what=f"the embedded ClickHouse to answer, see {self.log}")
        return self.endpoint

    def stop(self, *, timeout_s: float = 60) -> int:
        """SIGTERM; returns the exit code."""
        return self._end(signal.SIGTERM, timeout_s)

    def kill(self) -> int:
        """SIGKILL; returns the exit code."""
        return self._end(signal.SIGKILL, 60)

    def ended(self) -> int:
        """The exit code, once it has ended as it was told: another signal would meet an interpreter that shuts down."""
        return self._end(None, 60)

    def _end(self, number: signal.Signals | None, timeout_s: float) -> int:
        if self._process is None:
            raise RuntimeError("the server has not been started")
        process, self._process = self._process, None
        if number is not None:
            process.send_signal(number)
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def __enter__(self) -> Self:
        """Starts the server."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops it, if it still runs."""
        if self.is_running:
            self.stop()

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"the embedded ClickHouse ended at once: {self.log.read_text('utf-8')[-2000:]}")
        try:
            with urllib.request.urlopen(f"{self.endpoint.url}/ping", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _password(self, name: str) -> str:
        path = self.folder / f"{name}.password"
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24), "utf-8")
        return path.read_text("utf-8")


@contextmanager
def running_clickhouse(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[ClickHouseEndpoint]:
    """The owner's endpoint of a fresh server in `folder`, stopped afterwards."""
    with ClickHouseProcess(folder, environment) as server:
        yield server.endpoint

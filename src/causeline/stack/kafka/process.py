"""A broker for the length of a `with` block: tests, benchmarks, experiments."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import EnvironmentFault
from causeline.stack.launch import launcher
from causeline.stack.ports import LOOPBACK, free_ports
from causeline.stack.waiting import wait_until

_READY_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 20.0


class BrokerProcess:
    """One broker on fixed ports and a fixed folder, so that it comes back as itself after `kill` and `start`."""

    def __init__(self, folder: Path, *, partitions: int = 4) -> None:
        self.port, self._controller_port = free_ports(2)
        self.folder = folder
        self._partitions = partitions
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def connection(self) -> KafkaConnection:
        """How clients reach it."""
        return KafkaConnection(bootstrap_servers=f"{LOOPBACK}:{self.port}")

    def start(self) -> None:
        """Start it and wait until it listens; raises `EnvironmentFault` with its last line when it ends instead."""
        options = ["--state-dir", str(self.folder), "--port", str(self.port)]
        options += ["--controller-port", str(self._controller_port), "--partitions", str(self._partitions)]
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        output = self.folder / "output.log"
        with output.open("wb") as file:
            self._process = subprocess.Popen(
                launcher([sys.executable, "-m", "causeline.stack.kafka", *options]),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._listens_or_ended, timeout_s=_READY_TIMEOUT_S, what="Kafka does not listen")
        if self._process.poll() is not None:
            last = output.read_text(errors="replace").strip().splitlines()[-1:]
            raise EnvironmentFault(f"Kafka ended while starting: {''.join(last)}", hint=f"See {output}.")

    def stop(self) -> None:
        """Stop it cleanly; a broker that does not end in time is killed."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            os.killpg(process.pid, number)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _listens_or_ended(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            return True
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1):
            return True
        return False


@contextlib.contextmanager
def running_broker(folder: Path, *, partitions: int = 4) -> Iterator[BrokerProcess]:
    """A broker that lives as long as the block, with its data in `folder`."""
    broker = BrokerProcess(folder, partitions=partitions)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()

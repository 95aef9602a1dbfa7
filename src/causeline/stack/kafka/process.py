"""A broker for the length of a `with` block: tests, benchmarks, experiments."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import EnvironmentFault
from causeline.stack.kafka.broker import new_cluster_id
from causeline.stack.launch import launcher
from causeline.stack.ports import LOOPBACK, free_ports
from causeline.stack.waiting import wait_until

_READY_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 20.0


class BrokerProcess:
    """One broker on fixed ports and a fixed folder, so that it comes back as itself after `kill` and `start`."""

    def __init__(self, folder: Path, *, partitions: int = 4, node: Sequence[str] = (), port: int = 0) -> None:
        """`node` has the options of a node of a cluster, which come with its controller's port."""
        self.port = port or free_ports(1)[0]
        self.folder = folder
        controller = node or ("--controller-port", str(free_ports(1, but=[self.port])[0]))
        self._options = ["--port", str(self.port), "--partitions", str(partitions), *controller]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def connection(self) -> KafkaConnection:
        """How clients reach it."""
        return KafkaConnection(bootstrap_servers=f"{LOOPBACK}:{self.port}")

    def start(self) -> None:
        """Start it and wait until it listens; raises `EnvironmentFault` with its last line when it ends instead."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it, and go on: a node of a cluster listens when most of them are there."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._output.open("wb") as file:
            self._process = subprocess.Popen(
                launcher(
                    [sys.executable, "-m", "causeline.stack.kafka", "--state-dir", str(self.folder), *self._options]
                ),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it listens."""
        wait_until(self._listens_or_ended, timeout_s=_READY_TIMEOUT_S, what="Kafka does not listen")
        if self._process is None or self._process.poll() is not None:
            last = self._output.read_text(errors="replace").strip().splitlines()[-1:]
            raise EnvironmentFault(f"Kafka ended while starting: {''.join(last)}", hint=f"See {self._output}.")

    def stop(self) -> None:
        """Stop it cleanly; a broker that does not end in time is killed."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Have it do nothing, and keep its connections, until `thaw`."""
        self._tell(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        self._tell(signal.SIGCONT)

    @property
    def _output(self) -> Path:
        return self.folder / "output.log"

    def _tell(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, number)

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


class BrokerCluster:
    """Brokers that keep copies of each other's partitions, each on its own rack: `rack-1`, `rack-2`…"""

    def __init__(self, folder: Path, *, brokers: int = 3, partitions: int = 4) -> None:
        ports = free_ports(2 * brokers)
        controllers, clients = ports[:brokers], ports[brokers:]
        options = ("--nodes", ",".join(map(str, controllers)), "--cluster-id", new_cluster_id())
        self.nodes = tuple(
            BrokerProcess(
                folder / str(number),
                partitions=partitions,
                node=(*options, "--node", str(number), "--rack", f"rack-{number}"),
                port=port,
            )
            for number, port in enumerate(clients, 1)
        )

    @property
    def connection(self) -> KafkaConnection:
        """How clients reach it, whichever of them is away."""
        return KafkaConnection(bootstrap_servers=",".join(each.connection.bootstrap_servers for each in self.nodes))

    def node(self, number: int) -> BrokerProcess:
        """The broker that clients know by this number."""
        return self.nodes[number - 1]


@contextlib.contextmanager
def running_cluster(folder: Path, *, brokers: int = 3, partitions: int = 4) -> Iterator[BrokerCluster]:
    """A cluster that lives as long as the block, with its data in `folder`."""
    cluster = BrokerCluster(folder, brokers=brokers, partitions=partitions)
    try:
        for each in cluster.nodes:
            each.launch()
        for each in cluster.nodes:
            each.wait()
        yield cluster
    finally:
        for each in cluster.nodes:  # all at once: the last of them would wait for a quorum that is gone
            each.thaw()
            each.kill()

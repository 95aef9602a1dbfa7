"""One Apache Kafka node in KRaft mode: its configuration, its storage, and the command that runs it.

Sized for one machine: alone it keeps one copy of everything in a heap of 384 MiB, as a node of a cluster its share of
three in 256; loopback listeners only. Everything that a client can notice (protocol, group coordination, retention,
transactions) is the real broker's.
"""

import os
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from causeline.schemas.errors import EnvironmentFault
from causeline.schemas.topics import MAX_MESSAGE_BYTES
from causeline.stack.faults import environment_fault
from causeline.stack.kafka.learnt import learning, with_learnt

_LOG_CONFIG = Path(__file__).with_name("log4j2.properties")
_FORMAT_TIMEOUT_S = 180
_LOOPBACK = "127.0.0.1"
_FOREIGN_OPTIONS = frozenset({"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"})


@dataclass(frozen=True)
class Listener:
    """A further listener for clients, beside the PLAINTEXT one.

    `name` is free; `protocol` is Kafka's (`SSL`, `SASL_PLAINTEXT`, …); `options` are broker properties that the
    protocol needs, written as `listener.name.<name>.<option>`.
    """

    name: str
    protocol: str
    port: int
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Membership:
    """Which node of a cluster a broker is: `number` counts from 1, `controller_ports` has every node's in order.

    All of them are broker and controller. `rack` is where the node says that it stands; clients that name the same
    one read from it what others lead.
    """

    number: int
    controller_ports: tuple[int, ...]
    cluster_id: str
    rack: str = ""


@dataclass(frozen=True)
class BrokerConfig:
    """Where the broker keeps its data (`folder`) and the ports it listens on; ports are never 0 here."""

    folder: Path
    port: int
    controller_port: int
    partitions: int = 4
    listeners: tuple[Listener, ...] = ()
    member: Membership | None = None
    """None: it is alone."""

    @property
    def copies(self) -> int:
        """Of everything, unless a topic says otherwise."""
        return 1 if self.member is None else min(3, len(self.member.controller_ports))

    @property
    def bootstrap_servers(self) -> str:
        """The PLAINTEXT listener, as clients name it."""
        return f"{_LOOPBACK}:{self.port}"

    @property
    def data_dir(self) -> Path:
        """Topics, offsets and the metadata log."""
        return self.folder / "data"

    @property
    def properties_file(self) -> Path:
        """The configuration that the broker is started with."""
        return self.folder / "server.properties"

    @property
    def log_file(self) -> Path:
        """The broker's own log, bounded by rotation."""
        return self.folder / "broker.log"


def server_properties(config: BrokerConfig) -> dict[str, str]:
    """The broker's configuration as Kafka's property names and values."""
    clients = [Listener("PLAINTEXT", "PLAINTEXT", config.port), *config.listeners]
    controller = Listener("CONTROLLER", "PLAINTEXT", config.controller_port)
    copies, in_sync = str(config.copies), str(max(1, config.copies - 1))
    member = config.member or Membership(1, (config.controller_port,), "")
    voters = (f"{number}@{_LOOPBACK}:{port}" for number, port in enumerate(member.controller_ports, 1))
    properties = {
        "process.roles": "broker,controller",
        "node.id": str(member.number),
        "controller.quorum.voters": ",".join(voters),
        "controller.listener.names": controller.name,
        "inter.broker.listener.name": "PLAINTEXT",
        "listeners": ",".join(_address(each) for each in [*clients, controller]),
        "advertised.listeners": ",".join(_address(each) for each in clients),
        "listener.security.protocol.map": ",".join(f"{each.name}:{each.protocol}" for each in [*clients, controller]),
        "log.dirs": str(config.data_dir),
        "auto.create.topics.enable": "false",
        "num.partitions": str(config.partitions),
        "message.max.bytes": str(MAX_MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
        # A group that has to wait three seconds for members that will not come makes every start slow.
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": "1",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "num.network.threads": "2",
        "num.io.threads": "4",
        # One index file of 10 MiB for every partition is preallocated otherwise.
        "log.index.size.max.bytes": str(2 * 1024 * 1024),
        "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
        # After a kill -9 the controller refuses the new process until the old one's session has run out.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }
    if member.rack:
        properties["broker.rack"] = member.rack
        properties["replica.selector.class"] = "org.apache.kafka.common.replica.RackAwareReplicaSelector"
    for each in config.listeners:
        for option, value in each.options:
            properties[f"listener.name.{each.name.lower()}.{option}"] = value
    return properties


def prepare(config: BrokerConfig, java: Path, jars: Sequence[Path], *, learnt: Path | None = None) -> None:
    """Write the configuration and, the first time, format the storage; both are safe to repeat.

    `learnt` is where Java keeps what it learns of Kafka's classes, made here where it is not.
    Raises `EnvironmentFault` when the folder cannot be written or the storage is not this broker's.
    """
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        _temporary_dir(config).mkdir(exist_ok=True, mode=0o700)
        config.properties_file.write_text(_as_text(server_properties(config)))
    except OSError as error:
        raise environment_fault(error, f"the broker's folder {config.folder}") from error
    if not (config.data_dir / "meta.properties").exists():
        _format(config, java, jars, learnt)


def command(config: BrokerConfig, java: Path, jars: Sequence[Path], *, learnt: Path | None = None) -> list[str]:
    """The command line of the broker; it runs in the foreground and stops cleanly on SIGTERM."""
    options = [*with_learnt(learnt), "-XX:+ExitOnOutOfMemoryError"]
    heap_mb = 384 if config.member is None else 256
    return [*_jvm(config, java, jars, options, heap_mb=heap_mb), "kafka.Kafka", str(config.properties_file)]


def environment() -> dict[str, str]:
    """The caller's environment without the options that some other Java program is meant to get."""
    return {name: value for name, value in os.environ.items() if name not in _FOREIGN_OPTIONS}


def new_cluster_id() -> str:
    """A name for a cluster, as Kafka makes them."""
    first, *rest = uuid.uuid4().bytes
    # Without its top bit, the first byte never becomes a "-", which Kafka's tool would read as an option.
    return urlsafe_b64encode(bytes([first & 0x7F, *rest])).decode().rstrip("=")


def _format(config: BrokerConfig, java: Path, jars: Sequence[Path], learnt: Path | None) -> None:
    cluster_id = config.member.cluster_id if config.member else new_cluster_id()
    arguments = ["format", "--ignore-formatted", "--cluster-id", cluster_id]
    arguments += ["--config", str(config.properties_file)]

    def run(options: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        argv = [*_jvm(config, java, jars, options, heap_mb=128), "kafka.tools.StorageTool", *arguments]
        return subprocess.run(
            argv, capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S, env=environment(), check=False
        )

    try:
        done = learning(learnt, run)
    except subprocess.TimeoutExpired as error:
        raise EnvironmentFault(
            f"Formatting Kafka's storage took longer than {_FORMAT_TIMEOUT_S} s.",
            hint="The machine may be overloaded; try again.",
        ) from error
    except OSError as error:
        raise environment_fault(error, f"the Java runtime {java}") from error
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise EnvironmentFault(
            f"Kafka could not format its storage in {config.data_dir}: {lines[-1] if lines else 'no reason given'}",
            hint="Check free space and permissions there.",
        )


def _jvm(config: BrokerConfig, java: Path, jars: Sequence[Path], options: Sequence[str], *, heap_mb: int) -> list[str]:
    return [
        str(java),
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        # The first compiler is enough: one machine's events cost the second one more than it saves.
        "-XX:TieredStopAtLevel=1",
        "-XX:+IgnoreUnrecognizedVMOptions",
        *options,
        "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={_temporary_dir(config)}",
        f"-Dlog4j2.configurationFile={_LOG_CONFIG}",
        f"-Dcauseline.kafka.log={config.log_file}",
        "-cp",
        os.pathsep.join(map(str, jars)),
    ]


def _temporary_dir(config: BrokerConfig) -> Path:
    return config.folder / "tmp"


def _address(listener: Listener) -> str:
    return f"{listener.name}://{_LOOPBACK}:{listener.port}"


def _as_text(properties: dict[str, str]) -> str:
    escaped = ((name, value.replace("\\", "\\\\")) for name, value in properties.items())
    return "".join(f"{name}={value}\n" for name, value in escaped)

"""The receivers that are measured, each a process on ports of its own: ours, the least, the Collector, Phoenix."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import httpx
import psutil

from benchmarks.peers.environments import python_of
from causeline.stack.ports import free_ports
from causeline.stack.waiting import wait_until

TRACES = "/v1/traces"
PROTOBUF = {"content-type": "application/x-protobuf"}
OTELCOL = "CAUSELINE_BENCHMARKS_OTELCOL"
"""Names the binary of a Collector, such as `python -m interop.collector` builds."""
_START_S = 300
_COLLECTOR = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: 127.0.0.1:{port}}}}}}}}}
processors: {{batch: {{}}}}
exporters: {{debug: {{verbosity: basic}}}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines: {{traces: {{receivers: [otlp], processors: [batch], exporters: [debug]}}}}
"""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver that runs: where it is, and its process."""

    url: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """CPU seconds of the process so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def most_resident_mb(self) -> float:
        """The high-water mark of its resident memory, MB."""
        said = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        [kilobytes] = [line.split()[1] for line in said.splitlines() if line.startswith("VmHWM:")]
        return int(kilobytes) * 1024 / 1e6


Started: TypeAlias = Callable[[Path, str], AbstractContextManager[Receiver]]
"""Given a folder and Kafka's address, starts one."""


@contextmanager
def _started(command: list[str], port: int, environment: Mapping[str, str], folder: Path) -> Iterator[Receiver]:
    """A receiver's process, once it answers."""
    url = f"http://127.0.0.1:{port}"
    with (folder / f"{secrets.token_hex(4)}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)

        def answers() -> bool:
            try:
                httpx.get(url, timeout=1)
            except httpx.HTTPError:
                return False
            return True

        try:
            wait_until(answers, timeout_s=_START_S, what=f"{command[:4]} does not answer")
            yield Receiver(url, psutil.Process(process.pid))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@contextmanager
def ours(folder: Path, bootstrap: str) -> Iterator[Receiver]:
    """`causeline receive` on a real broker."""
    [port] = free_ports(1)
    command = [sys.executable, "-m", "causeline.cli", "receive", "--port", str(port), "--grpc-port", "-1"]
    environment = {
        **os.environ,
        "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "CAUSELINE_STATE_DIR": str(folder / "state"),
        "CAUSELINE_ARTIFACTS": str(folder / "artifacts"),
    }
    with _started(command, port, environment, folder) as receiver:
        yield receiver


@contextmanager
def flatten(folder: Path, _: str) -> Iterator[Receiver]:
    """The least that a receiver can do."""
    [port] = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.receivers.flatten", str(port)]
    with _started(command, port, {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}, folder) as receiver:
        yield receiver


def collector(binary: str, gogc: str | None) -> Started:
    """The Collector, which parses, batches and counts, and sends nothing on; with its default GOGC or another."""

    @contextmanager
    def start(folder: Path, _: str) -> Iterator[Receiver]:
        [port] = free_ports(1)
        file = folder / f"otelcol-{port}.yaml"
        file.write_text(_COLLECTOR.format(port=port), "utf-8")
        environment = {**os.environ, **({"GOGC": gogc} if gogc else {})}
        with _started([binary, "--config", str(file)], port, environment, folder) as receiver:
            yield receiver

    return start


def phoenix(binary: str) -> Started:
    """Arize Phoenix on SQLite, in a folder of its own."""

    @contextmanager
    def start(folder: Path, _: str) -> Iterator[Receiver]:
        port, grpc = free_ports(2)
        data = folder / "phoenix"
        data.mkdir()
        environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},  # its packages are its own
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(port),
            "PHOENIX_GRPC_PORT": str(grpc),
            "PHOENIX_WORKING_DIR": str(data),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        }
        with _started([binary, "serve"], port, environment, folder) as receiver:
            yield receiver

    return start


def installed(*, make: bool) -> dict[str, Started]:
    """The peers that are there, or can be had where `make` allows it."""
    found: dict[str, Started] = {}
    if otelcol := os.environ.get(OTELCOL):
        found |= {"collector": collector(otelcol, None), "collector_gogc_800": collector(otelcol, "800")}
    if python := python_of("phoenix", make=make):
        found["phoenix"] = phoenix(str(python.with_name("phoenix")))
    return found

"""What it costs to receive a span by OTLP: ours until Kafka has its events, and the least that a receiver can do.

Requests of 512 GenAI spans with 2 KB of content each, protobuf, from several clients at once. CPU is that of the
receiver's process, its threads included. Ours parses, maps, stores the content, encodes, and answers when the broker
has the events; `flatten` is Starlette and protobuf and keeps nothing. The Collector and Phoenix are not measured yet:
null. `rss_mb` is the most that the receiver held at any time.
"""

import argparse
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from benchmarks.harness import Report, main, spread
from causeline.stack.kafka import running_broker
from causeline.stack.ports import free_ports
from causeline.stack.waiting import wait_until

SPANS = 512
CONTENT_BYTES = 1024
_START_NS = 1_790_000_000_000_000_000


def body(spans: int = SPANS) -> bytes:
    """A request of model calls, eight to a trace; no two spans have the same content."""
    wire = []
    for place in range(spans):
        if place % 8 == 0:
            trace_id, root_id = secrets.token_bytes(16), secrets.token_bytes(8)
        root = place % 8 == 0
        wire.append(
            Span(
                trace_id=trace_id,
                span_id=root_id if root else secrets.token_bytes(8),
                parent_span_id=b"" if root else root_id,
                name="answer" if root else "chat gpt-x",
                kind=Span.SPAN_KIND_CLIENT,
                start_time_unix_nano=_START_NS + place * 1_000_000,
                end_time_unix_nano=_START_NS + place * 1_000_000 + 900_000,
                attributes=attributes(),
            )
        )
    resource = Resource(attributes=[pair("service.name", "shop"), pair("telemetry.sdk.name", "opentelemetry")])
    group = ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=wire)])
    return ExportTraceServiceRequest(resource_spans=[group]).SerializeToString()


def attributes() -> list[KeyValue]:
    """What the GenAI conventions ask of a model call, with its messages."""
    text = secrets.token_hex(CONTENT_BYTES // 2)
    said: dict[str, str | int | float | list[str]] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.response.model": "gpt-x-2026",
        "gen_ai.response.id": secrets.token_hex(8),
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.seed": 7,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 1834,
        "gen_ai.usage.output_tokens": 212,
        "openai.response.system_fingerprint": "fp_a17",
        "gen_ai.prompt.name": "extract",
        "gen_ai.prompt.version": "7",
        "server.address": "api.example",
        "server.port": 443,
        "gen_ai.input.messages": '[{"role":"user","content":"' + text + '"}]',
        "gen_ai.output.messages": '[{"role":"assistant","content":"' + text[::-1] + '"}]',
    }
    return [pair(key, value) for key, value in said.items()]


def pair(key: str, value: str | float | list[str]) -> KeyValue:
    """One attribute."""
    if isinstance(value, list):
        items = ArrayValue(values=[AnyValue(string_value=item) for item in value])
        return KeyValue(key=key, value=AnyValue(array_value=items))
    if isinstance(value, str):
        return KeyValue(key=key, value=AnyValue(string_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    return KeyValue(key=key, value=AnyValue(double_value=value))


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver that runs: where it is, and its process."""

    url: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """CPU seconds of the process so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def started(command: list[str], url: str, environment: Mapping[str, str], folder: Path) -> Iterator[Receiver]:
    """A receiver's process, once it answers."""
    with (folder / f"{secrets.token_hex(4)}.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **environment}, cwd=folder, stdout=log, stderr=log)

        def answers() -> bool:
            try:
                httpx.get(url, timeout=1)
            except httpx.HTTPError:
                return False
            return True

        try:
            wait_until(answers, timeout_s=60, what=f"{command[:4]} does not answer")
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
        "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "CAUSELINE_STATE_DIR": str(folder / "state"),
        "CAUSELINE_ARTIFACTS": str(folder / "artifacts"),
    }
    with started(command, f"http://127.0.0.1:{port}", environment, folder) as receiver:
        yield receiver


@contextmanager
def flatten(folder: Path, _: str) -> Iterator[Receiver]:
    """The least that a receiver can do."""
    [port] = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.receivers.flatten", str(port)]
    root = {"PYTHONPATH": str(Path(__file__).parents[1])}
    with started(command, f"http://127.0.0.1:{port}", root, folder) as receiver:
        yield receiver


def us_per_span(receiver: Receiver, bodies: list[bytes], clients: int) -> float:
    """CPU of the receiver for each span of `bodies`, sent by so many clients at once until all is answered."""
    before = receiver.cpu_s()
    with httpx.Client(base_url=receiver.url, timeout=60) as client:

        def post(content: bytes) -> int:
            answer = client.post("/v1/traces", content=content, headers={"content-type": "application/x-protobuf"})
            return answer.status_code

        with ThreadPoolExecutor(clients) as pool:
            statuses = list(pool.map(post, bodies))
    if set(statuses) != {200}:
        raise RuntimeError(f"the receiver answered {sorted(set(statuses))}")
    return (receiver.cpu_s() - before) / (len(bodies) * SPANS) * 1e6


def _most_resident_mb(pid: int) -> float:
    """The high-water mark of a process's resident memory, MB."""
    said = Path(f"/proc/{pid}/status").read_text("ascii")
    [kilobytes] = [line.split()[1] for line in said.splitlines() if line.startswith("VmHWM:")]
    return int(kilobytes) * 1024 / 1e6


def measure(options: argparse.Namespace) -> Report:
    """Rounds of each in turns."""
    rounds = options.rounds or (2 if options.quick else 5)
    requests = 8 if options.quick else 40
    costs: dict[str, list[float]] = {"ours": [], "flatten": []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="causeline-otlp-")))
        broker = stack.enter_context(running_broker(folder / "kafka"))
        bootstrap = broker.connection.bootstrap_servers
        admin = AdminClient(dict(broker.connection.client_config()))
        [created] = admin.create_topics([NewTopic("causeline.events", 4, 1)]).values()
        created.result(30)
        receivers = {
            "ours": stack.enter_context(ours(folder, bootstrap)),
            "flatten": stack.enter_context(flatten(folder, bootstrap)),
        }
        for receiver in receivers.values():
            us_per_span(receiver, [body() for _ in range(2)], 2)  # warm
        for _ in range(rounds):
            for name, receiver in receivers.items():
                costs[name].append(us_per_span(receiver, [body() for _ in range(requests)], 8))
        many = [body(8) for _ in range(64)]
        started_at = time.perf_counter()
        us_per_span(receivers["ours"], many * 4, 64)
        rss_mb = _most_resident_mb(receivers["ours"].process.pid)
    ratio = [mine / theirs for mine, theirs in zip(costs["ours"], costs["flatten"], strict=True)]
    report = Report("otlp")
    report.rows = {
        "us_per_span": spread(costs["ours"]),
        "flatten_us_per_span": spread(costs["flatten"]),
        "vs_flatten": spread(ratio),
        "vs_phoenix": None,
        "vs_collector": None,
        "rss_mb": rss_mb,
    }
    report.extra = {"clients_64_wall_s": time.perf_counter() - started_at}
    report.notes = [
        "targets: vs_flatten <= 2, rss_mb <= 400",
        "vs_phoenix and vs_collector are null: not measured",
    ]
    return report


if __name__ == "__main__":
    sys.exit(main("otlp", measure))

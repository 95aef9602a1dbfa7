"""What it costs to receive a span by OTLP: ours until Kafka has its events, and the least that a receiver can do.

Requests of 512 GenAI spans with 2 KB of content each, protobuf, from several clients at once. CPU is that of the
receiver's process, its threads included. Ours parses, maps, stores the content, encodes, and answers when the broker
has the events; `flatten` is Starlette and protobuf and keeps nothing; the Collector parses, batches and counts; Phoenix
keeps spans in SQLite. A peer that is not there is null. `rss_mb` is the most that our receiver held at any time.
"""

import argparse
import secrets
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from benchmarks.harness import Report, Spread, main, spread
from benchmarks.receivers.processes import OTELCOL, PROTOBUF, TRACES, Receiver, flatten, installed, ours
from causeline.stack.kafka import running_broker
from interop.phoenix import wait_for_all

_PHOENIX_REQUESTS = 2
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


def us_per_span(receiver: Receiver, bodies: list[bytes], clients: int) -> float:
    """CPU of the receiver for each span of `bodies`, sent by so many clients at once until all is answered."""
    before = receiver.cpu_s()
    send(receiver, bodies, clients)
    return (receiver.cpu_s() - before) / (len(bodies) * SPANS) * 1e6


def send(receiver: Receiver, bodies: list[bytes], clients: int) -> None:
    """Post all of them; raises RuntimeError where one is not taken."""
    with httpx.Client(base_url=receiver.url, timeout=60) as client:

        def post(content: bytes) -> int:
            return client.post(TRACES, content=content, headers=PROTOBUF).status_code

        with ThreadPoolExecutor(clients) as pool:
            statuses = list(pool.map(post, bodies))
    if set(statuses) != {200}:
        raise RuntimeError(f"the receiver answered {sorted(set(statuses))}")


def phoenix_us_per_span(receiver: Receiver, requests: int) -> float:
    """The same of Phoenix, which answers before it has stored: until it shows a span that was sent last."""
    before = receiver.cpu_s()
    with httpx.Client(base_url=receiver.url, timeout=60) as client:
        for _ in range(requests):
            client.post(TRACES, content=body(), headers=PROTOBUF).raise_for_status()
        wait_for_all(client, f"mark {secrets.token_hex(8)}")
    return (receiver.cpu_s() - before) / (requests * SPANS) * 1e6


def measure(options: argparse.Namespace) -> Report:
    """Rounds of each in turns."""
    rounds = options.rounds or (2 if options.quick else 5)
    requests = 8 if options.quick else 40
    found = {"ours": ours, "flatten": flatten, **installed(make=options.peers)}
    costs: dict[str, list[float]] = {name: [] for name in found}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="causeline-otlp-")))
        broker = stack.enter_context(running_broker(folder / "kafka"))
        bootstrap = broker.connection.bootstrap_servers
        admin = AdminClient(dict(broker.connection.client_config()))
        [created] = admin.create_topics([NewTopic("causeline.events", 4, 1)]).values()
        created.result(30)
        receivers = {name: stack.enter_context(start(folder, bootstrap)) for name, start in found.items()}
        for receiver in receivers.values():
            us_per_span(receiver, [body() for _ in range(2)], 2)  # warm
        if "phoenix" in receivers:
            phoenix_us_per_span(receivers["phoenix"], 1)  # and done with that
        for _ in range(rounds):
            for name, receiver in receivers.items():
                if name == "phoenix":
                    costs[name].append(phoenix_us_per_span(receiver, _PHOENIX_REQUESTS))
                else:
                    costs[name].append(us_per_span(receiver, [body() for _ in range(requests)], 8))
        many = [body(8) for _ in range(64)]
        started_at = time.perf_counter()
        send(receivers["ours"], many * 4, 64)
        clients_64_wall_s = time.perf_counter() - started_at
        rss_mb = receivers["ours"].most_resident_mb()
    report = Report("otlp")
    report.rows = {
        "us_per_span": spread(costs["ours"]),
        **{f"{name}_us_per_span": spread(cost) for name, cost in costs.items() if name != "ours"},
        "vs_flatten": _ratio(costs["ours"], costs["flatten"]),
        "vs_phoenix": _ratio(costs["phoenix"], costs["ours"]) if "phoenix" in costs else None,
        "vs_collector": _ratio(costs["ours"], costs["collector"]) if "collector" in costs else None,
        "rss_mb": rss_mb,
    }
    report.extra = {"clients_64_wall_s": clients_64_wall_s}
    report.notes = ["targets: vs_flatten <= 2, vs_phoenix >= 100 (Phoenix over ours), rss_mb <= 400"]
    if "phoenix" not in costs:
        report.notes.append("Phoenix is not installed here and not measured; --peers installs it.")
    if "collector" not in costs:
        report.notes.append(f"No Collector is measured: {OTELCOL} names no binary.")
    return report


def _ratio(mine: list[float], theirs: list[float]) -> Spread:
    return spread([a / b for a, b in zip(mine, theirs, strict=True)])


def options(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--peers", action="store_true", help="make the environment of Phoenix first (600 MB)")


if __name__ == "__main__":
    sys.exit(main("otlp", measure, options))

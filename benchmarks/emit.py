"""What it costs an application to put a step on record: ours, the OpenTelemetry SDK, and AvroSerializer per event.

All emit the same run of ten steps with the wide set of fields that the demo uses. Each contender runs in a process of
its own against a real broker or a local OTLP sink, in turns; CPU is that of the whole process, its threads included,
until everything is delivered. OpenTelemetry has its batch processor with a queue that never drops and batches of 512;
AvroSerializer has librdkafka's idempotent producer with the same compression and linger as ours.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.harness import Report, main, spread

STEPS = 10
CONTENDERS = ("ours", "otel_sdk", "avro_serializer")
_REF = "artifact:sha256/ab/" + "c" * 62
FIELDS: dict[str, Any] = {
    "prompt_id": "invoice-extract",
    "prompt_version": "7",
    "model_provider": "acme",
    "model_name": "acme-large-2",
    "model_policy": "default",
    "temperature": 0.0,
    "top_p": 1.0,
    "seed": 42,
    "system_fingerprint": "fp_a17",
    "confidence": 0.91,
    "refusal": False,
    "retry_count": 0,
    "input_tokens": 1834,
    "output_tokens": 212,
    "cost_usd": 0.00412,
    "input_ref": _REF,
    "context_refs": (_REF + "#chunk=1", _REF + "#chunk=2"),
    "raw_output_ref": _REF,
    "labels": {"model.finish_reason": "stop"},
}
"""What a model call of the demo says."""

Latencies = list[int]
EmitRun = Callable[[Latencies], None]


def _ours(target: str) -> tuple[EmitRun, Callable[[], None]]:
    from causeline.producers.emitter import Emitter  # noqa: PLC0415 - each contender loads its own only
    from causeline.producers.settings import EmitterSettings  # noqa: PLC0415
    from causeline.producers.tracer import Tracer  # noqa: PLC0415
    from causeline.schemas.connections import KafkaConnection  # noqa: PLC0415

    settings = EmitterSettings(buffer_events=10_000_000, buffer_bytes=2**31)
    tracer = Tracer("bench", emitter=Emitter(settings, kafka=KafkaConnection(bootstrap_servers=target)))

    def emit_run(latencies: Latencies) -> None:
        with tracer.run("invoice") as run:
            for _ in range(STEPS):
                began = time.perf_counter_ns()
                with run.model_call("extract") as step:
                    step.set(**FIELDS)
                latencies.append(time.perf_counter_ns() - began)

    def finish() -> None:
        if left := tracer.close(60):
            raise RuntimeError(f"{left.events} events were not delivered")

    return emit_run, finish


def _otel_sdk(target: str) -> tuple[EmitRun, Callable[[], None]]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=f"{target}/v1/traces")
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=10_000_000, max_export_batch_size=512, schedule_delay_millis=50)
    )
    tracer = provider.get_tracer("bench")
    attributes = {f"gen_ai.{name}": value for name, value in FIELDS.items() if name != "labels"}
    attributes |= {"workflow": "invoice", "project": "bench", **FIELDS["labels"]}

    def emit_run(latencies: Latencies) -> None:
        with tracer.start_as_current_span("invoke_workflow invoice"):
            for _ in range(STEPS):
                began = time.perf_counter_ns()
                with tracer.start_as_current_span("chat acme-large-2") as span:
                    span.set_attributes(attributes)
                latencies.append(time.perf_counter_ns() - began)

    return emit_run, provider.shutdown


def _avro_serializer(target: str) -> tuple[EmitRun, Callable[[], None]]:
    from confluent_kafka import Producer  # noqa: PLC0415
    from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: PLC0415
    from confluent_kafka.schema_registry.avro import AvroSerializer  # noqa: PLC0415
    from confluent_kafka.serialization import MessageField, SerializationContext  # noqa: PLC0415

    from causeline.schemas import catalogue, ids, wire  # noqa: PLC0415

    text = wire.item_schema_text(catalogue.latest("trace-batch"))
    serializer = AvroSerializer(SchemaRegistryClient.new_client({"url": "mock://bench"}), text)
    context = SerializationContext("bench.events", MessageField.VALUE)
    producer = Producer(
        {
            "bootstrap.servers": target,
            "enable.idempotence": True,
            "compression.type": "zstd",
            "linger.ms": 5,
            "queue.buffering.max.messages": 10_000_000,
        }
    )
    labels = [{"key": key, "value": value} for key, value in FIELDS["labels"].items()]
    lists: dict[str, list[str]] = {
        "evidence_refs": [],
        "validation_errors": [],
        "conflicting_refs": [],
        "expected_steps": [],
    }

    def emit_run(latencies: Latencies) -> None:
        run_id, started = ids.new_run_id(), time.time_ns() // 1000
        identity = {"run_id": run_id, "project": "bench", "workflow": "invoice", "emitter_id": "e"}
        for seq in range(STEPS):
            began = time.perf_counter_ns()
            now = time.time_ns() // 1000
            event = {
                **identity, **FIELDS, **lists, "labels": labels, "context_refs": list(FIELDS["context_refs"]),
                "event_id": ids.new_event_id(), "seq": seq, "event_type": "step_finished", "run_started_at": started,
                "occurred_at": now, "started_at": now, "step_id": ids.new_step_id(), "step_kind": "model_call",
                "step_name": "extract", "status": "ok",
            }  # fmt: skip
            producer.produce("bench.events", serializer(event, context), key=run_id)
            producer.poll(0)
            latencies.append(time.perf_counter_ns() - began)

    def finish() -> None:
        if left := producer.flush(60):
            raise RuntimeError(f"{left} events were not delivered")

    return emit_run, finish


_MAKE = {"ours": _ours, "otel_sdk": _otel_sdk, "avro_serializer": _avro_serializer}


def contend(name: str, target: str, runs: int) -> dict[str, float]:
    """Emit `runs` runs in this process; CPU µs a step until all is delivered, and the caller's latencies in µs."""
    emit_run, finish = _MAKE[name](target)
    warm: Latencies = []
    for _ in range(50):
        emit_run(warm)
    latencies: Latencies = []
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(runs):
        emit_run(latencies)
    finish()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    latencies.sort()
    return {
        "us_per_step": cpu_s * 1e6 / (runs * STEPS),
        "p50_us": latencies[len(latencies) // 2] / 1000,
        "p99_us": latencies[len(latencies) * 99 // 100] / 1000,
    }


class _Sink(BaseHTTPRequestHandler):
    """Reads what is posted and says thank you."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """OTLP/HTTP."""
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _sink() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    print(server.server_port, flush=True)
    server.serve_forever()


def _in_a_process(name: str, target: str, runs: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.emit", "--contender", name, "--target", target, "--runs", str(runs)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=300).stdout
    figures: dict[str, float] = json.loads(said.strip().splitlines()[-1])
    return figures


def measure(options: argparse.Namespace) -> Report:
    """All contenders in turns, round after round."""
    from causeline.stack.kafka import running_broker  # noqa: PLC0415 - the contenders' processes need no stack

    runs, rounds = (300, 2) if options.quick else (2000, options.rounds or 5)
    results: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    with tempfile.TemporaryDirectory(prefix="causeline-emit-") as folder, running_broker(Path(folder)) as broker:
        kafka = broker.connection.bootstrap_servers
        admin = AdminClient({"bootstrap.servers": kafka})
        topics = [NewTopic(name, 4, 1) for name in ("causeline.events", "bench.events")]
        for made in admin.create_topics(topics).values():
            made.result(30)
        sink = subprocess.Popen(
            [sys.executable, "-c", "from benchmarks.emit import _sink; _sink()"], stdout=subprocess.PIPE, text=True
        )
        try:
            port = (sink.stdout.readline() if sink.stdout else "").strip()
            for _ in range(rounds):
                for name in CONTENDERS:
                    target = f"http://127.0.0.1:{port}" if name == "otel_sdk" else kafka
                    results[name].append(_in_a_process(name, target, runs))
        finally:
            sink.terminate()
            sink.wait(10)
            if sink.stdout:
                sink.stdout.close()

    def against(name: str, figure: str) -> list[float]:
        pairs = zip(results[name], results["ours"], strict=True)
        return [theirs[figure] / ours[figure] for theirs, ours in pairs]

    report = Report("emit")
    report.rows["us_per_step"] = spread([one["us_per_step"] for one in results["ours"]])
    report.rows["vs_otel_sdk"] = spread(against("otel_sdk", "us_per_step"))
    report.rows["vs_avro_serializer"] = spread(against("avro_serializer", "us_per_step"))
    report.rows["caller_p50_us"] = spread([one["p50_us"] for one in results["ours"]])
    report.rows["caller_p99_us"] = spread([one["p99_us"] for one in results["ours"]])
    report.rows["caller_p99_vs_otel"] = spread([1 / ratio for ratio in against("otel_sdk", "p99_us")])
    for name in CONTENDERS[1:]:
        report.rows[f"{name}_us_per_step"] = spread([one["us_per_step"] for one in results[name]])
        report.rows[f"{name}_p99_us"] = spread([one["p99_us"] for one in results[name]])
    return report


def options(parser: argparse.ArgumentParser) -> None:
    """One contender's own process is this benchmark too."""
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--target", help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, default=1000, help=argparse.SUPPRESS)


def run(chosen: argparse.Namespace) -> Report:
    """A contender's share, or the whole."""
    if chosen.contender is None:
        return measure(chosen)
    print(json.dumps(contend(chosen.contender, chosen.target, chosen.runs)))
    sys.stdout.flush()
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main("emit", run, options))

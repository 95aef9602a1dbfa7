"""What the benchmark of emission compares: each contender and yardstick, made in a process of its own.

A contender emits the same runs of ten steps to a broker or an OTLP sink. What a step says is drawn from one pool, made
before the clock starts and the same for all: names and versions recur as they do in a workflow; references, tokens,
costs and confidences are different from step to step. A yardstick does one part of the work and nothing else.
"""

import itertools
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

STEPS = 10
_POOL = 4096
_DIGITS = 62
_MODELS = (("invoice-extract", "7", "acme-large-2"), ("invoice-check", "3", "acme-small-1"))
_STEPS = ("extract", "classify", "summarise", "check")

Latencies = list[int]
"""Of each step, nanoseconds."""
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Contender:
    """Something that emits runs: one run, all that is under way, and the end."""

    emit_run: Callable[[Latencies], None]
    flush: Callable[[], None]
    close: Callable[[], None]


def pool() -> list[tuple[str, Fields]]:
    """(step's name, what it says): the wide set of fields of a model call as the demo has it."""
    chance = random.Random(7)

    def ref() -> str:
        return f"artifact:sha256/ab/{chance.getrandbits(4 * _DIGITS):0{_DIGITS}x}"

    def one(number: int) -> tuple[str, Fields]:
        prompt_id, prompt_version, model = _MODELS[number % len(_MODELS)]
        document = ref()
        return _STEPS[number % len(_STEPS)], {
            "prompt_id": prompt_id,
            "prompt_version": prompt_version,
            "model_provider": "acme",
            "model_name": model,
            "model_policy": "default",
            "temperature": 0.0,
            "top_p": 1.0,
            "seed": 42,
            "system_fingerprint": "fp_a17",
            "confidence": chance.random(),
            "refusal": False,
            "retry_count": 0,
            "input_tokens": chance.randrange(200, 6000),
            "output_tokens": chance.randrange(20, 900),
            "cost_usd": chance.random() / 100,
            "input_ref": document,
            "context_refs": (f"{document}#chunk=1", f"{document}#chunk=2"),
            "raw_output_ref": ref(),
            "labels": {"model.finish_reason": chance.choice(("stop", "length"))},
        }

    return [one(number) for number in range(_POOL)]


def ours(target: str) -> Contender:
    """Causeline's tracer."""
    from causeline.producers.emitter.emitter import Emitter  # noqa: PLC0415 - each contender loads its own only
    from causeline.producers.emitter.settings import EmitterSettings  # noqa: PLC0415
    from causeline.producers.tracer import Tracer  # noqa: PLC0415
    from causeline.runtime.connections import KafkaConnection  # noqa: PLC0415

    settings = EmitterSettings(buffer_events=10_000_000, buffer_bytes=2**31)
    tracer = Tracer("bench", emitter=Emitter(settings, kafka=KafkaConnection(bootstrap_servers=target)))
    steps = itertools.cycle(pool())

    def emit_run(latencies: Latencies) -> None:
        with tracer.run("invoice") as run:
            for name, fields in itertools.islice(steps, STEPS):
                began = time.perf_counter_ns()
                with run.model_call(name) as step:
                    step.set(**fields)
                latencies.append(time.perf_counter_ns() - began)

    def flush() -> None:
        if left := tracer.flush(60):
            raise RuntimeError(f"{left.events} events were not delivered")

    return Contender(emit_run, flush, lambda: _ignore(tracer.close()))


def _ignore(_: object) -> None:
    """What is left after a flush is nothing."""


def otel_sdk(target: str) -> Contender:
    """The OpenTelemetry SDK: batch processor with a queue that never drops, the largest batch that its documentation
    has for a default, OTLP over HTTP with protobuf."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=f"{target}/v1/traces")
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=10_000_000, max_export_batch_size=512, schedule_delay_millis=50)
    )
    tracer = provider.get_tracer("bench")

    def as_attributes(fields: Fields) -> Fields:
        plain = {f"gen_ai.{name}": value for name, value in fields.items() if name != "labels"}
        return {**plain, "workflow": "invoice", "project": "bench", **fields["labels"]}

    steps = itertools.cycle([(f"chat {name}", as_attributes(fields)) for name, fields in pool()])

    def emit_run(latencies: Latencies) -> None:
        with tracer.start_as_current_span("invoke_workflow invoice"):
            for name, attributes in itertools.islice(steps, STEPS):
                began = time.perf_counter_ns()
                with tracer.start_as_current_span(name) as span:
                    span.set_attributes(attributes)
                latencies.append(time.perf_counter_ns() - began)

    def flush() -> None:
        if not provider.force_flush(60_000):
            raise RuntimeError("spans were not delivered")

    return Contender(emit_run, flush, provider.shutdown)


def records() -> list[Fields]:
    """The pool as Avro records of one event each, without what is of a run or new with each event."""
    absent: dict[str, list[str]] = {
        "evidence_refs": [],
        "validation_errors": [],
        "conflicting_refs": [],
        "expected_steps": [],
        "conflict_sides": [],
    }
    return [
        {
            **fields,
            **absent,
            "context_refs": list(fields["context_refs"]),
            "labels": [{"key": key, "value": value} for key, value in fields["labels"].items()],
            "event_type": "step_finished",
            "step_kind": "model_call",
            "step_name": name,
            "status": "ok",
        }
        for name, fields in pool()
    ]


def avro_serializer(target: str) -> Contender:
    """confluent-kafka's AvroSerializer and idempotent producer, an event a message; compression and linger as ours."""
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
    steps = itertools.cycle(records())

    def emit_run(latencies: Latencies) -> None:
        run_id, started = ids.new_run_id(), time.time_ns() // 1000
        identity = {"run_id": run_id, "project": "bench", "workflow": "invoice", "emitter_id": "e"}
        for seq, record in enumerate(itertools.islice(steps, STEPS)):
            began = time.perf_counter_ns()
            now = time.time_ns() // 1000
            event = {
                **identity, **record, "event_id": ids.new_event_id(), "seq": seq, "run_started_at": started,
                "occurred_at": now, "started_at": now, "step_id": ids.new_step_id(),
            }  # fmt: skip
            producer.produce("bench.events", serializer(event, context), key=run_id)
            producer.poll(0)
            latencies.append(time.perf_counter_ns() - began)

    def flush() -> None:
        if left := producer.flush(60):
            raise RuntimeError(f"{left} events were not delivered")

    return Contender(emit_run, flush, flush)


def delivery_alone(target: str) -> Contender:
    """Our emitter with events that are encoded already: what is to pay when the tracer and its encoding are free."""
    from causeline.producers.emitter.emitter import Emitter  # noqa: PLC0415
    from causeline.producers.emitter.settings import EmitterSettings  # noqa: PLC0415
    from causeline.runtime.connections import KafkaConnection  # noqa: PLC0415
    from causeline.schemas import ids  # noqa: PLC0415

    settings = EmitterSettings(buffer_events=10_000_000, buffer_bytes=2**31)
    emitter = Emitter(settings, kafka=KafkaConnection(bootstrap_servers=target))
    ready = itertools.cycle([*itertools.islice(_encode_ours(), _POOL)])

    def emit_run(latencies: Latencies) -> None:
        run_id = ids.new_run_id()
        for event_id, item in itertools.islice(ready, STEPS):
            began = time.perf_counter_ns()
            emitter.emit(run_id, event_id, item)
            latencies.append(time.perf_counter_ns() - began)

    def flush() -> None:
        if left := emitter.flush(60):
            raise RuntimeError(f"{left.events} events were not delivered")

    return Contender(emit_run, flush, lambda: _ignore(emitter.close()))


MAKE: dict[str, Callable[[str], Contender]] = {
    "ours": ours,
    "otel_sdk": otel_sdk,
    "avro_serializer": avro_serializer,
    "delivery_alone": delivery_alone,
}

# --- yardsticks: one part of the work


def _whole_records() -> list[Fields]:
    identity = {
        "event_id": "01a2089938e3758aa87fb222415dc17b", "run_id": "01a2089938e3758aa87fb222415dc17c",
        "project": "bench", "workflow": "invoice", "emitter_id": "e", "seq": 3, "run_started_at": 1_790_000_000_000_000,
        "occurred_at": 1_790_000_000_100_000, "started_at": 1_790_000_000_000_000, "step_id": "b7ad6b7169203331",
    }  # fmt: skip
    return [{**identity, **record} for record in records()]


def _encode_ours() -> Iterator[tuple[str, bytes]]:
    from causeline.schemas.vocabulary import Status, StepKind  # noqa: PLC0415
    from causeline.schemas.wire.writer import RunWriter  # noqa: PLC0415

    start = 1_790_000_000_000_000
    writer = RunWriter(run_id="a" * 32, project="bench", workflow="invoice", emitter_id="e", run_started_at=start)
    kind, status = StepKind.MODEL_CALL, Status.OK
    for name, fields in itertools.cycle(pool()):
        yield writer.write_step(3, start, (start, "b7ad6b7169203331", None, kind, name, status), fields)


def _encode_fastavro() -> Iterator[object]:
    from causeline.schemas import catalogue, wire  # noqa: PLC0415

    schema = catalogue.latest("trace-batch")
    for record in itertools.cycle(_whole_records()):
        yield wire.encode_item(schema, record)


def _encode_cavro() -> Iterator[object]:
    from causeline.schemas import catalogue, wire  # noqa: PLC0415

    cavro = import_module("cavro")  # where it is installed
    schema = cavro.Schema(wire.item_schema_text(catalogue.latest("trace-batch")))
    for record in itertools.cycle(_whole_records()):
        yield schema.binary_encode(record)


def _face_alone() -> Iterator[object]:
    from causeline.producers.tracer import Tracer  # noqa: PLC0415

    with Tracer.disabled().run("invoice") as run:
        for name, fields in itertools.cycle(pool()):
            with run.model_call(name) as step:
                step.set(**fields)
            yield None


YARDSTICKS: dict[str, Callable[[], Iterator[object]]] = {
    "encode_ours": _encode_ours,
    "encode_fastavro": _encode_fastavro,
    "encode_cavro": _encode_cavro,
    "face_alone": _face_alone,
}
"""The encoders alone, and the tracer's face with nothing behind it."""

"""What it costs to join events into runs: ours on a real broker, the textbook Faust table, and bare decoding.

The same runs of ten events with the wide set of fields go to both, ours as the batches that our emitter sends, the
textbook's as a message an event, which is what its producers would send. CPU is that of the whole worker process,
psutil's, less what the process takes to come up on an empty topic. What both join is held equal first: events, route,
cost and final state of every run. The bare limit is `polars.read_avro` of the same blocks, in a process of its own.
Quix Streams and Bytewax are not measured here yet: null.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import psutil
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.harness import Report, main, spread
from causeline.schemas import catalogue, wire
from causeline.schemas.events import Record
from causeline.schemas.ids import new_run_id
from causeline.schemas.partition import partition_of
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import MAX_MESSAGE_BYTES, TOPICS
from causeline.stack.kafka import running_broker

PARTITIONS = 4
STEPS = 8
EVENTS_A_RUN = STEPS + 2
_BATCH = 1000
_SCHEMA = catalogue.latest("trace-batch")
_PATIENCE_S = 240.0
_REF = "artifact:sha256/ab/" + "c" * 62
Joined = dict[str, tuple[int, str | None, float, str | None]]


def events_of(number: int) -> Iterator[Record]:
    """One run's events, as wide as the demo's."""
    run_id, start = new_run_id(), 1_780_000_000_000_000 + number * 1000
    base = {"run_id": run_id, "project": "bench", "workflow": "invoice", "emitter_id": "e", "run_started_at": start}
    yield base | {"event_id": f"{number:024x}{0:08x}", "seq": 0, "event_type": "run_started", "occurred_at": start}
    for step in range(1, STEPS + 1):
        said: Record = {
            **base, "event_id": f"{number:024x}{step:08x}", "seq": step, "event_type": "step_finished",
            "occurred_at": start + step * 100, "started_at": start + step * 100 - 50,
            "step_id": f"{number * 16 + step:016x}",
            "step_kind": "model_call", "step_name": f"step {step}", "status": "ok", "retry_count": 0,
            "cost_usd": 0.25, "input_tokens": 1834, "output_tokens": 212, "prompt_id": "extract", "prompt_version": "7",
            "model_provider": "acme", "model_name": "acme-large-2", "model_policy": "default", "temperature": 0.0,
            "top_p": 1.0, "seed": 42, "system_fingerprint": "fp_a17", "confidence": 0.91, "refusal": False,
            "input_ref": _REF, "context_refs": [_REF], "raw_output_ref": _REF,
            "labels": [{"key": "model.finish_reason", "value": "stop"}],
        }  # fmt: skip
        yield said | ({"route": f"r{number % 5}"} if step == 2 else {})
    yield base | {
        "event_id": f"{number:024x}{STEPS + 1:08x}", "seq": STEPS + 1, "event_type": "run_finished",
        "occurred_at": start + 2000, "final_state": "answered", "status": "ok", "expected_events": EVENTS_A_RUN,
        "expected_steps": [f"model_call:step {step}" for step in range(1, STEPS + 1)],
    }  # fmt: skip


def batches(runs: Sequence[list[Record]]) -> Iterator[tuple[int, bytes]]:
    """Batches of about a thousand events, each run's in one partition, runs interleaved as a server's are."""
    waiting: dict[int, list[bytes]] = {number: [] for number in range(PARTITIONS)}
    for lot in range(0, len(runs), 20):
        together = runs[lot : lot + 20]
        for place in range(EVENTS_A_RUN):
            for run in together:
                partition = partition_of(str(run[0]["run_id"]), PARTITIONS)
                waiting[partition].append(wire.encode_item(_SCHEMA, run[place]))
        for partition, items in waiting.items():
            while len(items) >= _BATCH:
                yield partition, wire.encode_batch(_SCHEMA.schema_id, wire.encode_string("e"), items[:_BATCH])
                del items[:_BATCH]
    for partition, items in waiting.items():
        if items:
            yield partition, wire.encode_batch(_SCHEMA.schema_id, wire.encode_string("e"), items)


class Bench:
    """A broker with topics of its own for each round."""

    def __init__(self, servers: str) -> None:
        self.servers = servers
        self.admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})

    def topics(self, prefix: str, names: Sequence[str]) -> None:
        config = {"max.message.bytes": str(MAX_MESSAGE_BYTES)}
        made = self.admin.create_topics([NewTopic(f"{prefix}.{name}", PARTITIONS, 1, config=config) for name in names])
        for each in made.values():
            each.result(timeout=30)

    def producer(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.servers,
                "enable.idempotence": True,
                "linger.ms": 20,
                "compression.type": "zstd",
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "log_level": 0,
            }
        )

    @contextmanager
    def consumer(self, topic: str) -> Iterator[Consumer]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": f"read-{time.time_ns()}",
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        consumer.subscribe([topic])
        try:
            yield consumer
        finally:
            consumer.close()


def measured(
    command: Sequence[str], environment: dict[str, str], collect: Any, expected: int
) -> tuple[Joined, float, float, float]:
    """What a worker process joined, its CPU seconds beyond its coming up, wall seconds, and its resident MB."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            joined, began, ended = collect(expected)
            known = psutil.Process(process.pid)
            times = known.cpu_times()
            rss = known.memory_info().rss / 2**20
            return joined, times.user + times.system, ended - began, rss
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def ours(bench: Bench, runs: Sequence[list[Record]], round_: int) -> tuple[Joined, float, float, float]:
    """Our worker on our batches."""
    prefix = f"ours{round_}x{len(runs)}"
    bench.topics(prefix, [topic.name for topic in TOPICS])
    producer = bench.producer()
    for partition, value in batches(runs):
        producer.produce(f"{prefix}.events", value, partition=partition)
        producer.poll(0)
    producer.flush(60)
    environment = {**os.environ, "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": bench.servers, "CAUSELINE_TOPIC_PREFIX": prefix}
    environment.pop("CAUSELINE_POLICY", None)

    def collect(expected: int) -> tuple[Joined, float, float]:
        return _collect(bench, f"{prefix}.runs", expected, _our_runs)

    return measured([sys.executable, "-m", "causeline.cli", "worker"], environment, collect, len(runs))


def _our_runs(value: bytes) -> Iterator[tuple[str, tuple[int, str | None, float, str | None]]]:
    for run in wire.decode_items(wire.read_block(value, "run-batch", Schemas())):
        yield (
            str(run["run_id"]),
            (int(str(run["events"])), run["route"], float(str(run["cost_usd"])), run["final_state"]),
        )  # type: ignore[misc]


def faust_table(bench: Bench, runs: Sequence[list[Record]], round_: int) -> tuple[Joined, float, float, float]:
    """The textbook on a message an event."""
    prefix = f"faust{round_}x{len(runs)}"
    bench.topics(prefix, ["events", "runs"])
    producer = bench.producer()
    for lot in range(0, len(runs), 20):
        for place in range(EVENTS_A_RUN):
            for run in runs[lot : lot + 20]:
                key = str(run[0]["run_id"])
                producer.produce(
                    f"{prefix}.events", json.dumps(run[place]).encode(), key=key.encode(),
                    partition=partition_of(key, PARTITIONS),
                )  # fmt: skip
                producer.poll(0)
    producer.flush(60)

    def collect(expected: int) -> tuple[Joined, float, float]:
        return _collect(bench, f"{prefix}.runs", expected, _their_runs)

    with tempfile.TemporaryDirectory(prefix="causeline-faust-") as folder:
        words = ["-m", "benchmarks.peers.faust_table", bench.servers, f"{prefix}.events", f"{prefix}.runs", prefix]
        command = [sys.executable, *words, "--datadir", folder, "worker", "-l", "error"]
        return measured(command, dict(os.environ), collect, len(runs))


def _their_runs(value: bytes) -> Iterator[tuple[str, tuple[int, str | None, float, str | None]]]:
    run = json.loads(value)
    yield run["run_id"], (run["events"], run["route"], run["cost_usd"], run["final_state"])


def _collect(bench: Bench, topic: str, expected: int, read: Any) -> tuple[Joined, float, float]:
    joined: Joined = {}
    began = ended = time.monotonic()
    with bench.consumer(topic) as consumer:
        while len(joined) < expected and time.monotonic() - ended < _PATIENCE_S:
            for message in consumer.consume(500, 0.2):
                if message.error() is None:
                    if not joined:
                        began = time.monotonic()
                    joined.update(read(message.value()))
                    ended = time.monotonic()
    if len(joined) < expected:
        raise RuntimeError(f"{expected - len(joined)} of {expected} runs were not joined into {topic}")
    return joined, began, ended


def bare_decode(runs: Sequence[list[Record]]) -> float:
    """CPU seconds of polars reading the same blocks, one container for each batch."""
    schema_text = wire.item_schema_text(_SCHEMA)
    containers = []
    for _, value in batches(runs):
        block = wire.read_block(value, "trace-batch", Schemas())
        containers.append(wire.container_header(schema_text) + wire.container_block(block.count, block.data))
    began = time.process_time()
    rows = sum(pl.read_avro(io.BytesIO(container)).height for container in containers)
    cpu = time.process_time() - began
    if rows != len(runs) * EVENTS_A_RUN:
        raise RuntimeError(f"polars read {rows} events")
    return cpu


def measure(options: argparse.Namespace) -> Report:
    """Rounds of ours, the textbook and the limit, one after the other."""
    rounds = options.rounds or (2 if options.quick else 5)
    many = [list(events_of(number)) for number in range(1, 5_001 if options.quick else 30_001)]
    few = many[: 300 if options.quick else 1_500]
    ours_us, theirs_us, bare_us, rss = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="causeline-join-") as folder, running_broker(Path(folder)) as broker:
        bench = Bench(broker.connection.bootstrap_servers)
        for round_ in range(rounds):
            _, up_s, _, _ = ours(bench, many[:20], round_)
            joined, cpu_s, _, mb = ours(bench, many, round_)
            _, their_up_s, _, _ = faust_table(bench, many[:20], round_)
            theirs, their_cpu_s, _, _ = faust_table(bench, few, round_)
            if any(theirs[run_id] != joined[run_id] for run_id in theirs):
                raise RuntimeError("ours and the textbook do not join the same runs")
            ours_us.append((cpu_s - up_s) * 1e6 / ((len(many) - 20) * EVENTS_A_RUN))
            theirs_us.append((their_cpu_s - their_up_s) * 1e6 / ((len(few) - 20) * EVENTS_A_RUN))
            bare_us.append(bare_decode(many) * 1e6 / (len(many) * EVENTS_A_RUN))
            rss.append(mb)
            print(
                f"round {round_ + 1}, us an event: ours {ours_us[-1]:.2f}, Faust table {theirs_us[-1]:.0f},"
                f" bare {bare_us[-1]:.2f}",
                file=sys.stderr,
                flush=True,
            )
    report = Report("join")
    report.rows["us_per_event"] = spread(ours_us)
    report.rows["events_per_s"] = spread([1e6 / each for each in ours_us])
    report.rows["vs_faust_table"] = spread([theirs / mine for theirs, mine in zip(theirs_us, ours_us, strict=True)])
    report.rows["vs_quix"] = None
    report.rows["vs_bytewax"] = None
    report.rows["vs_bare_decode"] = spread([mine / bare for mine, bare in zip(ours_us, bare_us, strict=True)])
    report.rows["rss_mb"] = spread(rss)
    report.notes.append("events_per_s is of one core; Quix Streams and Bytewax are not measured")
    return report


if __name__ == "__main__":
    sys.exit(main("join", measure))

"""Who joins: our worker on batches, and the peers on a message an event, which is what their producers would send."""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.joining.broker import Bench, Joined, Run, collected, measured
from benchmarks.joining.runs import EVENTS_A_RUN, PARTITIONS, batches
from causeline.schemas import wire
from causeline.schemas.events import Record
from causeline.schemas.partition import partition_of
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import TOPICS

Took = tuple[Joined, float, float, float]
"""What was joined, CPU seconds of the whole process, wall seconds, resident MB."""
_ROOT = str(Path(__file__).parents[2])


def our_worker(bench: Bench, prefix: str, more: Mapping[str, str] | None = None) -> tuple[list[str], dict[str, str]]:
    """Command and environment of our worker on topics of `prefix`."""
    environment = {**os.environ, "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": bench.servers, "CAUSELINE_TOPIC_PREFIX": prefix}
    environment.pop("CAUSELINE_POLICY", None)
    return [sys.executable, "-m", "causeline.cli", "worker"], environment | dict(more or {})


def publish_batches(bench: Bench, prefix: str, values: Iterator[tuple[int, bytes]]) -> None:
    """Batches to the events topic, each to its partition."""
    producer = bench.producer()
    for partition, value in values:
        while True:
            try:
                producer.produce(f"{prefix}.events", value, partition=partition)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush(60)


def ours(bench: Bench, runs: Sequence[list[Record]], round_: int) -> Took:
    """Our worker on our batches."""
    prefix = f"ours{round_}x{len(runs)}"
    bench.topics(prefix, [topic.name for topic in TOPICS])
    publish_batches(bench, prefix, batches(runs))

    command, environment = our_worker(bench, prefix)
    return measured(
        command, environment, lambda worker: collected(bench, f"{prefix}.runs", len(runs), our_runs, worker)
    )


def _names(run: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(step["step_name"] for step in run["steps"])


def our_runs(value: bytes) -> Iterator[tuple[str, Run]]:
    """The runs of one value of the runs topic."""
    for run in wire.decode_items(wire.read_block(value, "run-batch", Schemas())):
        yield (
            str(run["run_id"]),
            (int(str(run["events"])), run["route"], float(str(run["cost_usd"])), run["final_state"], _names(run)),
        )  # type: ignore[misc]


def faust_table(bench: Bench, runs: Sequence[list[Record]], round_: int) -> Took:
    """The textbook of Faust."""
    prefix = f"faust{round_}x{len(runs)}"
    with tempfile.TemporaryDirectory(prefix="causeline-faust-") as folder:
        words = ["-m", "benchmarks.peers.faust_table", bench.servers, f"{prefix}.events", f"{prefix}.runs", prefix]
        command = [sys.executable, *words, "--datadir", folder, "worker", "-l", "error"]
        return _peer(bench, prefix, runs, command, {})


def quix(python: Path, bench: Bench, runs: Sequence[list[Record]], round_: int) -> Took:
    """The stateful join of Quix Streams, in its own environment."""
    prefix = f"quix{round_}x{len(runs)}"
    with tempfile.TemporaryDirectory(prefix="causeline-quix-") as folder:
        names = [f"{prefix}.events", f"{prefix}.runs", prefix, folder]
        command = [str(python), "-m", "benchmarks.peers.quix_state", bench.servers, *names]
        return _peer(bench, prefix, runs, command, {"PYTHONPATH": _ROOT})


def bytewax(python: Path, bench: Bench, runs: Sequence[list[Record]], round_: int) -> Took:
    """The stateful join of Bytewax, in its own environment."""
    prefix = f"bytewax{round_}x{len(runs)}"
    told = {"SERVERS": bench.servers, "EVENTS": f"{prefix}.events", "RUNS": f"{prefix}.runs", "PYTHONPATH": _ROOT}
    return _peer(bench, prefix, runs, [str(python), "-m", "bytewax.run", "benchmarks.peers.bytewax_map"], told)


def _peer(bench: Bench, prefix: str, runs: Sequence[list[Record]], command: list[str], told: dict[str, str]) -> Took:
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

    environment = {**os.environ, **told}
    return measured(
        command, environment, lambda worker: collected(bench, f"{prefix}.runs", len(runs), _their_runs, worker)
    )


def _their_runs(value: bytes) -> Iterator[tuple[str, Run]]:
    run = json.loads(value)
    yield run["run_id"], (run["events"], run["route"], run["cost_usd"], run["final_state"], _names(run))

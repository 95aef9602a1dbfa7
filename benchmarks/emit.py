"""What it costs an application to put a step on record: ours, the OpenTelemetry SDK, and AvroSerializer per event.

All emit the same runs of ten steps with the wide set of fields that the demo uses (benchmarks.emit_contenders). Each
contender runs in a process of its own against a real broker or a local OTLP sink, in turns; CPU is that of the whole
process, its threads included, from the first of many steps until the last is delivered, after a warm-up that is
delivered too. Latency is the caller's, from the begin of a step to its end. The yardsticks are one part of the work.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.emit_contenders import MAKE, STEPS, YARDSTICKS, Latencies
from benchmarks.harness import Report, main, spread
from causeline.schemas.wire.native import CORE, CORE_STATE

WITHOUT_CORE = "ours_in_python"
"""Ours once more, with the compiled core left aside; only where it is installed."""
CONTENDERS = (*MAKE, *([] if CORE is None else [WITHOUT_CORE]))
_WARM_RUNS = 100
_YARDSTICK_EVENTS = 20_000

Figures = dict[str, float]


def contend(name: str, target: str, runs: int) -> Figures:
    """Emit `runs` runs in this process; CPU and wall µs a step until all is delivered, the caller's latencies in µs."""
    contender = MAKE["ours" if name == WITHOUT_CORE else name](target)
    for _ in range(_WARM_RUNS):
        contender.emit_run([])
    contender.flush()
    latencies: Latencies = []
    before, began = _cpu_s(), time.perf_counter()
    for _ in range(runs):
        contender.emit_run(latencies)
    contender.flush()
    cpu_s, wall_s = _cpu_s() - before, time.perf_counter() - began
    contender.close()
    latencies.sort()
    steps = runs * STEPS
    return {
        "us_per_step": cpu_s * 1e6 / steps,
        "wall_us_per_step": wall_s * 1e6 / steps,
        "p50_us": latencies[steps // 2] / 1000,
        "p99_us": latencies[steps * 99 // 100] / 1000,
    }


def stand_alone(name: str) -> Figures | None:
    """CPU µs an event of a yardstick in this process; None when what it takes is not installed."""
    work = YARDSTICKS[name]()
    try:
        for _ in range(1000):
            next(work)
    except ImportError:
        return None
    before = _cpu_s()
    for _ in range(_YARDSTICK_EVENTS):
        next(work)
    return {"us_per_step": (_cpu_s() - before) * 1e6 / _YARDSTICK_EVENTS}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


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


def _in_a_process(*options: str) -> Figures | None:
    command = [sys.executable, "-m", "benchmarks.emit", *options]
    variables = os.environ | ({"CAUSELINE_CORE": "python"} if WITHOUT_CORE in options else {})
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=300, env=variables).stdout
    figures: Figures | None = json.loads(said.strip().splitlines()[-1])
    return figures


def _rounds(kafka: str, sink: str, runs: int, rounds: int) -> dict[str, list[Figures]]:
    results: dict[str, list[Figures]] = {name: [] for name in (*CONTENDERS, *YARDSTICKS)}
    for _ in range(rounds):
        for name in CONTENDERS:
            target = sink if name == "otel_sdk" else kafka
            figures = _in_a_process("--contender", name, "--target", target, "--runs", str(runs))
            results[name] += [figures] if figures else []
        for name in YARDSTICKS:
            figures = _in_a_process("--contender", name)
            results[name] += [figures] if figures else []
    return results


def measure(options: argparse.Namespace) -> Report:
    """All contenders and yardsticks in turns, round after round."""
    from causeline.stack.kafka import running_broker  # noqa: PLC0415 - the contenders' processes need no stack

    runs, rounds = (500, 2) if options.quick else (3000, options.rounds or 5)
    with tempfile.TemporaryDirectory(prefix="causeline-emit-") as folder, running_broker(Path(folder)) as broker:
        kafka = broker.connection.bootstrap_servers
        admin = AdminClient({"bootstrap.servers": kafka})
        topics = [NewTopic(name, 4, 1) for name in ("causeline.events", "bench.events")]
        for made in admin.create_topics(topics).values():
            made.result(30)
        del admin
        sink = subprocess.Popen(
            [sys.executable, "-c", "from benchmarks.emit import _sink; _sink()"], stdout=subprocess.PIPE, text=True
        )
        try:
            port = (sink.stdout.readline() if sink.stdout else "").strip()
            results = _rounds(kafka, f"http://127.0.0.1:{port}", runs, rounds)
        finally:
            sink.terminate()
            sink.wait(10)
            if sink.stdout:
                sink.stdout.close()
    return _report(results)


def _report(results: dict[str, list[Figures]]) -> Report:
    def of(name: str, figure: str) -> list[float]:
        return [one[figure] for one in results[name]]

    def against(name: str, figure: str, ours: str = "ours") -> list[float]:
        return [theirs / each for theirs, each in zip(of(name, figure), of(ours, figure), strict=True)]

    report = Report("emit")
    report.rows["us_per_step"] = spread(of("ours", "us_per_step"))
    report.rows["vs_otel_sdk"] = spread(against("otel_sdk", "us_per_step"))
    report.rows["vs_avro_serializer"] = spread(against("avro_serializer", "us_per_step"))
    report.rows["caller_p50_us"] = spread(of("ours", "p50_us"))
    report.rows["caller_p99_us"] = spread(of("ours", "p99_us"))
    report.rows["caller_p99_vs_otel"] = spread([1 / ratio for ratio in against("otel_sdk", "p99_us")])
    report.rows["wall_us_per_step"] = spread(of("ours", "wall_us_per_step"))
    if CORE is not None:
        for name in ("otel_sdk", "avro_serializer"):
            report.rows[f"{WITHOUT_CORE}_vs_{name}"] = spread(against(name, "us_per_step", WITHOUT_CORE))
    for name in CONTENDERS[1:]:
        for figure in ("us_per_step", "wall_us_per_step", "p99_us"):
            report.rows[f"{name}_{figure}"] = spread(of(name, figure))
    for name in YARDSTICKS:
        figures = of(name, "us_per_step")
        report.rows[f"{name}_us"] = spread(figures) if figures else None
    report.notes = [
        "us: CPU of the whole process; wall apart. A step is one event with 25 fields; a run has 12 events.",
        "delivery_alone: our emitter with events encoded beforehand; encode_…: nothing but encoding;",
        f"ours: events written by {'Python' if CORE is None else 'the compiled core'} ({CORE_STATE.says});",
        "face_alone: a disabled tracer, the Python that an application calls.",
    ]
    return report


def options(parser: argparse.ArgumentParser) -> None:
    """One contender's own process is this benchmark too."""
    parser.add_argument("--contender", choices=(*MAKE, WITHOUT_CORE, *YARDSTICKS), help=argparse.SUPPRESS)
    parser.add_argument("--target", help=argparse.SUPPRESS)
    parser.add_argument("--runs", type=int, default=1000, help=argparse.SUPPRESS)


def run(chosen: argparse.Namespace) -> Report:
    """A contender's share, or the whole."""
    if chosen.contender is None:
        return measure(chosen)
    alone = chosen.contender in YARDSTICKS
    figures = stand_alone(chosen.contender) if alone else contend(chosen.contender, chosen.target, chosen.runs)
    print(json.dumps(figures))
    sys.stdout.flush()
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main("emit", run, options))

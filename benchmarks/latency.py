"""How long until what was said can be asked for, and until a gap is told, under a load that does not wait for anybody.

The load is open: runs are due at fixed moments, whether or not the last ones are through, and every time is counted
from the moment that was due, so that a stall is paid by all that came due in it (no coordinated omission). A run has
ten events; one in ten has evidence without a source. The whole stack is this machine's: broker, worker, loader, engine,
and the publisher and the two watchers beside them.

- `gap`: from evidence due to its gap read by a consumer of the gaps topic.
- `queryable`: from run due to its record in the view `runs`, asked every 50 ms for 20 runs a second.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer
from hdrh.histogram import HdrHistogram

from benchmarks.harness import Report, main
from causeline.console.store import open_store
from causeline.demo.publish import demo_policy_text
from causeline.schemas.ids import new_run_id
from causeline.schemas.registry import Schemas
from causeline.schemas.wire import decode_datum
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down, up
from causeline.stack.settings import StackSettings

EVENTS_A_RUN = 10
GAP_EVERY = 10
PROBES_A_SECOND = 20
_LONGEST_MS = 600_000
_GIVE_UP_S = 60.0
_ASK_EVERY_S = 0.05


def publish(rate: int, seconds: float) -> None:
    """The publisher's process: prints when it begins, then how late it was; events of a run are said at once."""
    from causeline.producers.emitter.emitter import Emitter  # noqa: PLC0415 - the other processes do without
    from causeline.producers.emitter.settings import EmitterSettings  # noqa: PLC0415
    from causeline.producers.tracer import Tracer  # noqa: PLC0415

    tracer = Tracer("latency", emitter=Emitter(EmitterSettings(buffer_events=2_000_000, buffer_bytes=2**30)))
    with tracer.run("warm"):
        pass
    tracer.flush(30)
    runs = int(rate / EVENTS_A_RUN * seconds)
    ids = [new_run_id() for _ in range(runs)]
    late = HdrHistogram(1, _LONGEST_MS * 1000, 3)
    begin = time.time() + 1.0
    gap = EVENTS_A_RUN / rate
    print(json.dumps({"begin": begin, "gap": gap, "ids": ids}), flush=True)
    for number, run_id in enumerate(ids):
        due = begin + number * gap
        wait = due - time.time()
        if wait > 0:
            time.sleep(wait)
        else:
            late.record_value(max(1, int(-wait * 1e6)))
        _one_run(tracer, run_id, has_gap=number % GAP_EVERY == 0)
    left = tracer.close(60)
    cpu = time.process_time()
    print(json.dumps({"late_p99_ms": late.get_value_at_percentile(99) / 1000, "left": left.events, "cpu_s": cpu}))


def _one_run(tracer: Any, run_id: str, *, has_gap: bool) -> None:
    with tracer.run("invoice", run_id=run_id) as run:
        for number in range(EVENTS_A_RUN - 3):
            with run.tool("look", labels=None) as step:
                step.set(input_ref=f"artifact:{number}")
        run.evidence("$.total", refs=() if has_gap else ("artifact:1",), score=0.95)


class GapWatcher(threading.Thread):
    """Reads the gaps topic and keeps when each run's gap came."""

    def __init__(self, stack: Endpoints) -> None:
        super().__init__(daemon=True)
        self.came: dict[str, float] = {}
        self.ready = threading.Event()
        self.over = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": stack.kafka_bootstrap_servers,
                "group.id": f"latency-{os.getpid()}-{time.time_ns()}",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
            }
        )
        self._topic = f"{stack.topic_prefix}.gaps"

    def run(self) -> None:
        self._consumer.subscribe([self._topic], on_assign=lambda *_: self.ready.set())
        schemas = Schemas()
        while not self.over.is_set():
            for message in self._consumer.consume(500, 0.05):
                now = time.time()
                if message.error() is None:
                    self.came.setdefault(str(decode_datum(message.value(), "gap", schemas)["run_id"]), now)
        self._consumer.close()


def watch_queries(stack: Endpoints, due: dict[str, float], begin: float) -> dict[str, float]:
    """When each probed run could first be asked for; the ids come due as time goes on."""
    came: dict[str, float] = {}
    waiting = sorted(due, key=due.__getitem__)
    with open_store(stack.clickhouse()) as store:
        last = begin
        while waiting and time.time() < last + _GIVE_UP_S:
            asked = [run_id for run_id in waiting if due[run_id] <= time.time()]
            if asked:
                rows = store.ask("SELECT run_id FROM runs WHERE run_id IN {ids:Array(String)}", {"ids": asked[:200]})
                now = time.time()
                for row in rows:
                    came[str(row["run_id"])] = now
                last = now if rows else last
                waiting = [run_id for run_id in waiting if run_id not in came]
            time.sleep(_ASK_EVERY_S)
    return came


def at_rate(stack: Endpoints, rate: int, seconds: float) -> dict[str, float | None]:
    """p50, p99 and max in seconds of both ways, and what was lost on the way; the first quarter warms up."""
    gaps = GapWatcher(stack)
    gaps.start()
    gaps.ready.wait(30)
    before = cpu_by_part(stack)
    command = [sys.executable, "-m", "benchmarks.latency", "--publish", str(rate), "--seconds", str(seconds)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | stack.environment()
    ) as publisher:
        assert publisher.stdout is not None
        plan = json.loads(publisher.stdout.readline())
        begin, gap, ids = plan["begin"], plan["gap"], plan["ids"]
        due = {run_id: begin + number * gap for number, run_id in enumerate(ids)}
        probes = {run_id: due[run_id] for run_id in ids[:: max(1, round(1 / gap / PROBES_A_SECOND))]}
        came = watch_queries(stack, probes, begin)
        said = json.loads(publisher.stdout.readline())
    expected = [run_id for number, run_id in enumerate(ids) if number % GAP_EVERY == 0]
    deadline = time.time() + _GIVE_UP_S
    while time.time() < deadline and any(run_id not in gaps.came for run_id in expected):
        time.sleep(0.1)
    gaps.over.set()
    gaps.join(10)
    measured_from = begin + seconds / 4
    used = {part: round(cpu - before.get(part, 0.0), 2) for part, cpu in cpu_by_part(stack).items()}
    return {
        **_summary("gap", due, gaps.came, expected, measured_from),
        **_summary("queryable", due, came, list(probes), measured_from),
        "publisher_late_p99_s": round(said["late_p99_ms"] / 1000, 4),
        "cpu_cores_publisher": round(said["cpu_s"] / seconds, 3),
        **{f"cpu_cores_{part}": round(cpu / seconds, 3) for part, cpu in used.items()},
    }


def _summary(
    name: str, due: dict[str, float], came: dict[str, float], expected: list[str], measured_from: float
) -> dict[str, float | None]:
    histogram = HdrHistogram(1, _LONGEST_MS, 3)
    for run_id in expected:
        if run_id in came and due[run_id] >= measured_from:
            histogram.record_value(max(1, int((came[run_id] - due[run_id]) * 1000)))
    values = {f"{name}_p{p}_s": histogram.get_value_at_percentile(p) / 1000 for p in (50, 99)}
    return {
        **values,
        f"{name}_max_s": histogram.get_max_value() / 1000,
        f"{name}_missing": sum(run_id not in came for run_id in expected),
    }


def cpu_by_part(stack: Endpoints) -> dict[str, float]:
    """CPU seconds so far of each process of the stack, by its name."""
    return dict(_cpu(stack))


def _cpu(stack: Endpoints) -> Iterator[tuple[str, float]]:
    import psutil  # noqa: PLC0415 - only the benchmark's own process needs it

    from causeline.stack.supervisor.state import SupervisorReport  # noqa: PLC0415

    report = SupervisorReport.load(stack.state_dir)
    for service in report.services if report else ():
        if service.process is not None and psutil.pid_exists(service.process.pid):
            times = psutil.Process(service.process.pid).cpu_times()
            yield service.name, times.user + times.system


def measure(options: argparse.Namespace) -> Report:
    """Each rate in turn on one stack."""
    rates = [1_000, 5_000] if options.quick else [5_000, 20_000]
    if options.rate:
        rates = options.rate
    seconds = options.seconds or (6.0 if options.quick else 30.0)
    stack = up(StackSettings(ephemeral=True), policy=demo_policy_text())
    report = Report("latency")
    try:
        for rate in rates:
            for name, value in at_rate(stack, rate, seconds).items():
                report.rows[f"{name}_at_{rate}"] = value
            print(f"{rate} events/s done", file=sys.stderr, flush=True)
    finally:
        down(stack.state_dir)
    for name in ("queryable_p99_s", "gap_p99_s"):
        report.rows[name] = report.rows[f"{name}_at_{rates[-1]}"]
    report.rows["events_per_s"] = float(rates[-1])
    report.notes.append(f"{seconds:g} s a rate, the first quarter is not counted; all of it on one machine")
    return report


def options(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--rate", type=int, action="append", help="events a second; repeat it for more")
    parser.add_argument("--seconds", type=float, default=None, help="how long each rate is held")


if __name__ == "__main__":
    if "--publish" in sys.argv:
        place = sys.argv.index("--publish")
        publish(int(sys.argv[place + 1]), float(sys.argv[sys.argv.index("--seconds") + 1]))
        sys.exit(0)
    sys.exit(main("latency", measure, options))

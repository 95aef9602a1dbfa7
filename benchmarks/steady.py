"""A stack in the states that every user meets: runs at a steady pace, then nothing for long, and a stop and a start.

On each count of partitions, runs come at each rate; what the stack shows of each is held against a plain joiner that
reads the same topic (`benchmarks.reference_joiner`). Then nothing comes for a while, in the middle of which the stack
is stopped and started, and a last run must still get through.

`runs`: published. `restarts`: of any service while runs came. `absent`: no row in the view. `twice`: shown twice.
`differing`: rows that say something else than the reference. `idle_restarts`: of any service while nothing came.
"""

import argparse
import contextlib
import json
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from benchmarks import reference_joiner
from benchmarks.harness import Report, main
from causeline.console.store import open_store
from causeline.schemas import wire
from causeline.schemas.registry import Schemas
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down, status, up
from causeline.stack.settings import StackSettings

PROJECT = "steady"
_TAKEN_WITHIN_S = 1_200.0
_STILL_S = 300.0
"""So long nothing more may be shown before the rest is not hoped for."""


def publish(rate: float, runs: int, seed: int) -> None:
    """The publisher's process: runs due at fixed moments; says how many events the broker did not take."""
    from causeline.producers.emitter.emitter import Emitter  # noqa: PLC0415 - the other process does without
    from causeline.producers.emitter.settings import EmitterSettings  # noqa: PLC0415
    from causeline.producers.tracer import Tracer  # noqa: PLC0415

    dice = random.Random(seed)
    # Whatever the broker cannot take at this pace waits: what is measured is what becomes of what it has.
    settings = EmitterSettings.from_environment(buffer_events=10_000_000, buffer_bytes=2**31, delivery_timeout_s=600)
    tracer = Tracer(PROJECT, emitter=Emitter(settings))
    begin = time.time()
    for number in range(runs):
        wait = begin + number / rate - time.time()
        if wait > 0:
            time.sleep(wait)
        _one_run(tracer, dice)
    left = tracer.flush(_TAKEN_WITHIN_S).events
    tracer.close()
    print(json.dumps({"left": left + tracer.stats().dropped + tracer.stats().lost}))


def _one_run(tracer: Any, dice: random.Random) -> None:
    """A run of two workflows' kind: perhaps a second decision, a failed call, a validation made again, nested costs."""
    with tracer.run(dice.choice(("invoice", "mail")), labels={"release": dice.choice("ab")}) as run:
        for _ in range(dice.randint(1, 2)):
            with run.step("route", "branch") as step:
                step.set(route=dice.choice(("auto", "hand")), route_confidence=dice.randint(0, 8) / 8)
        with run.step("custom", "agent") as agent:
            if dice.random() < 0.5:
                agent.set(cost_usd=8.0)
            for _ in range(dice.randint(1, 3)):
                _call(run, dice)
        for name in ("shape", "sums"):
            for _ in range(dice.randint(0, 2)):
                with run.step("validate", name) as step:
                    step.set(validation_errors=dice.sample(["required $.a", "type $.b"], dice.randint(0, 2)))
        if dice.random() < 0.2:
            run.evidence("$.total", refs=("doc:1",) if dice.random() < 0.5 else (), score=0.95)


def _call(run: Any, dice: random.Random) -> None:
    with contextlib.suppress(TimeoutError), run.step("model_call", "ask") as step:
        step.set(
            model_provider=dice.choice(("p", "q")),
            model_name=dice.choice(("small", "large")),
            input_tokens=dice.randint(0, 900),
            output_tokens=dice.randint(0, 90),
            cost_usd=dice.randint(0, 64) / 64,
            context_refs=[f"doc:{n}" for n in range(dice.randint(0, 3))],
        )
        _time_out_sometimes(dice)


def _time_out_sometimes(dice: random.Random) -> None:
    """The workflow goes on."""
    if dice.random() < 0.2:
        raise TimeoutError


# --- what is said, and what is shown


def said(stack: Endpoints) -> Iterator[Mapping[str, Any]]:
    """Every event of the events topic, from its first to its last."""
    topic = f"{stack.topic_prefix}.events"
    schemas = Schemas()
    consumer = Consumer(
        {
            "bootstrap.servers": stack.kafka_bootstrap_servers,
            "group.id": "steady-reference",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    try:
        places = [
            TopicPartition(topic, number, 0) for number in consumer.list_topics(topic, 30).topics[topic].partitions
        ]
        consumer.assign(places)
        left = len(places)
        while left:
            for message in consumer.consume(500, 1.0):
                if message.error() is not None:
                    left -= 1
                else:
                    yield from wire.decode_items(wire.read_block(message.value(), "trace-batch", schemas))
    finally:
        consumer.close()


def shown_count(stack: Endpoints) -> int:
    """How many rows the runs view has."""
    with open_store(stack.clickhouse()) as store:
        rows = store.ask("SELECT count() AS rows FROM runs WHERE project = {p:String}", {"p": PROJECT})
        return int(str(rows[0]["rows"]))


def shown(stack: Endpoints) -> list[dict[str, Any]]:
    """Every row of the runs view, its times as microseconds."""
    with open_store(stack.clickhouse()) as store:
        rows = store.ask(
            "SELECT * EXCEPT (started_at, finished_at), toUnixTimestamp64Micro(started_at) AS started_at,"
            " toUnixTimestamp64Micro(finished_at) AS finished_at FROM runs WHERE project = {p:String}",
            {"p": PROJECT},
        )
        return [dict(row) for row in rows]


def differences(expected: Mapping[str, Any], row: Mapping[str, Any]) -> list[str]:
    """The fields in which a shown run is not what the reference makes of its events."""
    return [name for name, value in expected.items() if not _same(value, row[name])]


def _same(expected: Any, found: Any) -> bool:
    if isinstance(expected, float) and found is not None:
        return math.isclose(expected, found, rel_tol=1e-9)
    return bool((list(found) if isinstance(expected, list) else found) == expected)


def judged(stack: Endpoints, runs: int) -> dict[str, int]:
    """Runs, absent, twice, differing; once all are shown, or nothing more is to be hoped for."""
    count, moved = shown_count(stack), time.monotonic()
    while count < runs and time.monotonic() - moved < _STILL_S:
        time.sleep(1.0)
        if (now := shown_count(stack)) != count:
            count, moved = now, time.monotonic()
    rows = shown(stack)
    by_id: dict[str, dict[str, Any]] = {}
    for row in rows:
        by_id.setdefault(row["run_id"], row)
    expected = reference_joiner.join(event for event in said(stack) if event["project"] == PROJECT)
    differing: dict[str, list[str]] = {
        run_id: names
        for run_id, each in expected.items()
        if (there := by_id.get(run_id)) and (names := differences(each, there))
    }
    for run_id, names in list(differing.items())[:5]:
        _say(f"run {run_id} differs in {', '.join(names)}")
    return {
        "runs": len(expected),
        "absent": len(expected.keys() - by_id.keys()) + runs - len(expected),
        "twice": len(rows) - len(by_id),
        "differing": len(differing),
    }


def restarts(folder: Path) -> int:
    """How often any service of the stack has been started again; why, on stderr."""
    services = [service for service in status(folder).services if service.restarts]
    for service in services:
        _say(f"{service.name} was started again {service.restarts} times: {service.last_fault}")
    return sum(service.restarts for service in services)


def _say(sentence: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {sentence}", file=sys.stderr, flush=True)


# --- the course of one stack


def course(partitions: int, rates: list[float], runs: int, idle_s: float, seed: int) -> dict[str, int]:
    """One stack: runs at each rate, half of the idle time, a stop and a start, the other half, and one run more."""
    with TemporaryDirectory(prefix="causeline-steady-") as folder:
        settings = StackSettings(state_dir=Path(folder), partitions=partitions)
        stack = up(settings)
        try:
            for number, rate in enumerate(rates):
                _publish(stack, rate, runs, seed + number)
                _say(f"{partitions} partitions: {runs} runs published at up to {rate:g} a second")
            total = runs * len(rates)
            found = judged(stack, total)
            found["restarts"] = restarts(stack.state_dir)
            _say(f"{partitions} partitions: {found}")
            time.sleep(idle_s / 2)
            idle = restarts(stack.state_dir) - found["restarts"]
            down(stack.state_dir)
            stack = up(settings)
            time.sleep(idle_s / 2)
            _publish(stack, 10, 1, seed + len(rates))
            found |= judged(stack, total + 1)
            return found | {"idle_restarts": idle + restarts(stack.state_dir)}
        finally:
            down(Path(folder))


def _publish(stack: Endpoints, rate: float, runs: int, seed: int) -> None:
    command = [sys.executable, "-m", "benchmarks.steady", "--publish", str(rate), str(runs), str(seed)]
    done = subprocess.run(command, env=os.environ | stack.environment(), stdout=subprocess.PIPE, text=True, check=True)
    left = json.loads(done.stdout.splitlines()[-1])["left"]
    if left:
        raise RuntimeError(f"the broker did not take {left} events")


def measure(options: argparse.Namespace) -> Report:
    """Each count of partitions on a stack of its own."""
    rates = [float(rate) for rate in options.rate or ([10, 100] if options.quick else [10, 100, 1_000])]
    runs = options.runs or (100 if options.quick else 20_000 // len(rates))
    idle_s = (10.0 if options.quick else 1_800.0) if options.idle_s is None else options.idle_s
    report = Report("steady")
    totals = dict.fromkeys(("runs", "restarts", "absent", "twice", "differing", "idle_restarts"), 0)
    for partitions in options.partitions or ([4] if options.quick else [1, 4, 64]):
        found = course(partitions, rates, runs, idle_s, options.seed)
        _say(f"{partitions} partitions, the stop and the start included: {found}")
        totals = {name: totals[name] + found[name] for name in totals}
    report.rows |= {name: float(value) for name, value in totals.items()}
    report.notes.append(f"{runs} runs at each of {rates} runs/s, then {idle_s:g} s idle with a stop and a start")
    return report


def options(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--rate", type=float, action="append", help="runs a second; repeat it for more")
    parser.add_argument("--runs", type=int, default=None, help="runs at each rate")
    parser.add_argument("--partitions", type=int, action="append", help="of the events topic; repeat it for more")
    parser.add_argument("--idle-s", type=float, default=None, help="how long nothing comes")
    parser.add_argument("--seed", type=int, default=1, help="of what runs say")


if __name__ == "__main__":
    if "--publish" in sys.argv:
        publish(float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
        sys.exit(0)
    sys.exit(main("steady", measure, options))

"""The zoo through the stack: its runs published, joined, stored and diagnosed by the services, read by the command.

The same runs are assembled and diagnosed in this process besides, each beside the neighbours that a store has of it.
Both are held against what was planted: the figures must be the same, or something is lost on the way to the reader.
CPU seconds of worker and diagnoser are taken from the system.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness import Report
from benchmarks.joined import arrivals, joined
from benchmarks.zoo.halves import workflows
from benchmarks.zoo.judging import FIGURES, is_blamed
from benchmarks.zoo.protocol import Form
from benchmarks.zoo.traffic import Planted, decided, messages, traffic
from causeline.causes.neighbourhood import Neighbourhood
from causeline.diagnosis import diagnose, row_of
from causeline.kafka.publisher import ProducerRecord, Publisher
from causeline.schemas.run import Run
from causeline.schemas.topics import DECISIONS, EVENTS
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down, status, up
from causeline.stack.settings import StackSettings

_SEED = 20261
_WAIT_S = 1_800
_PUBLISHED_AT_ONCE = 100

Said = Mapping[str, tuple[str, str] | None]
"""By run: layer and step of the first cause; None where nothing went wrong."""


def measure(options: argparse.Namespace) -> Report:
    """Publish, wait, read, and compare."""
    forms = [Form(options.form)] if options.form else [Form.FULL, Form.PARTIAL]
    found = [each for each in workflows(options.zoo) if options.workflow in (None, each.name)]
    runs = list(traffic(options.zoo, found, forms, options.seed or _SEED, time.time_ns() // 1000 - 86_400_000_000))
    print(f"{len(runs)} runs recorded", file=sys.stderr, flush=True)
    began = time.process_time()
    here = _here(runs)
    report = Report(f"why --zoo {options.zoo} --through-stack")
    report.rows["cpu_ms_a_run_here"] = round((time.process_time() - began) / len(runs) * 1e3, 2)
    print("diagnosed here", file=sys.stderr, flush=True)
    os.environ["CAUSELINE_DIAGNOSER_SETTLE_S"] = "60"
    endpoints = up(StackSettings(ephemeral=True))
    try:
        before = _cpu(endpoints.state_dir)
        _publish(endpoints, runs)
        there = _there(endpoints, len(runs))
        after = _cpu(endpoints.state_dir)
    finally:
        down(endpoints.state_dir)
    for part in ("worker", "diagnose", "load"):
        report.rows[f"cpu_ms_a_run_{part}"] = round((after[part] - before[part]) / len(runs) * 1e3, 2)
    for name, said in (("here", here), ("there", there)):
        report.rows |= {f"{figure}_{name}": share for figure, share in _figures(runs, said).items()}
    report.rows["apart_at_most"] = max(
        abs(float(report.rows[name]) - float(report.rows[name.removesuffix("_here") + "_there"]))  # type: ignore[arg-type]
        for name in list(report.rows)
        if name.endswith("_here") and not name.startswith("cpu")
    )
    report.rows["same_answer"] = round(sum(here[run.run_id] == there[run.run_id] for run in runs) / len(runs), 4)
    report.rows["runs"] = float(len(runs))
    return report


def _figures(runs: Sequence[Planted], said: Said) -> dict[str, float]:
    figures = {}
    for form in Form:
        faulty = [run for run in runs if run.form is form and run.fault is not None]
        if faulty:
            right = sum(_is_right(run, said[run.run_id]) for run in faulty)
            figures[FIGURES[form]] = round(right / len(faulty), 4)
    clean = [run for run in runs if run.fault is None]
    figures["clean_first_line"] = round(sum(said[run.run_id] is not None for run in clean) / len(clean), 4)
    return figures


def _is_right(run: Planted, said: tuple[str, str] | None) -> bool:
    return run.fault is not None and said is not None and is_blamed(run.fault, *said)


def _here(runs: Sequence[Planted]) -> Said:
    """Assembled and diagnosed in this process."""
    by_workflow: dict[str, list[Run]] = {}
    for run in joined(arrivals(value for _, value in messages(runs, 1))):
        by_workflow.setdefault(run.workflow, []).append(run)
    said: dict[str, tuple[str, str] | None] = {}
    for mine in by_workflow.values():
        near, rows = Neighbourhood(), [row_of(run) for run in mine]
        for row in rows:
            near.add(row)
        of_id = {run.run_id: run for run in mine}
        for cohort, some in near.cohorts(rows, last=True):
            for row in some:
                first = diagnose(of_id[row.run_id], cohort=cohort).first_cause
                said[row.run_id] = None if first is None else (str(first.finding.boundary), first.finding.step)
    return said


def _publish(endpoints: Endpoints, runs: Sequence[Planted]) -> None:
    """Workflow by workflow, so that no run waits long for those after it; what decides first, where it counts."""
    publisher = Publisher(endpoints.kafka(), client_id="zoo", timeout_s=120)
    partitions = int(StackSettings().partitions)
    for start in range(0, len(runs), _PUBLISHED_AT_ONCE):
        some = runs[start : start + _PUBLISHED_AT_ONCE]
        for topic, mine in (
            (DECISIONS, decided(some, by_people_and_judges=True)),
            (EVENTS, decided(some, by_people_and_judges=False)),
        ):
            name = topic.full_name(endpoints.topic_prefix)
            publisher.publish(
                [ProducerRecord(name, value, None, partition) for partition, value in messages(mine, partitions)]
            )


def _there(endpoints: Endpoints, runs: int) -> Said:
    """What the command says once every run has its last word."""
    since = f"{datetime.fromtimestamp(time.time() - 2 * 86_400, UTC):%Y-%m-%d}"
    command = [sys.executable, "-m", "causeline.cli", "causes", "--since", since, "--runs"]
    environment = {**os.environ, **endpoints.environment()}
    until = time.monotonic() + _WAIT_S
    while True:
        done = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=True)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        settled = sum(line["settled"] for line in lines)
        print(f"{len(lines)} of {runs} runs are told, {settled} for the last time", file=sys.stderr, flush=True)
        if settled == runs:
            break
        if time.monotonic() > until:
            raise SystemExit(f"Only {settled} of {runs} runs have had their last word.")
        time.sleep(10)
    causes = {line["run_id"]: line["first_cause"] for line in lines}
    return {run_id: None if first is None else (first["layer"], first["step"]) for run_id, first in causes.items()}


def _cpu(state_dir: Path) -> dict[str, float]:
    """CPU seconds of the services so far, those of one kind together."""
    tick = os.sysconf("SC_CLK_TCK")
    found: dict[str, float] = {}
    for service in status(state_dir).services:
        if service.process is not None:
            fields = Path(f"/proc/{service.process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
            kind = service.name.partition("-")[0]
            found[kind] = found.get(kind, 0.0) + (int(fields[11]) + int(fields[12])) / tick
    return found

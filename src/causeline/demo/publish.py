"""Publish the demo's runs, many at a time, and write down what was planted."""

import contextvars
import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from causeline.demo import workflow
from causeline.demo.clock import SimulatedClock
from causeline.demo.course import DRIFT_AT, Course, just_now
from causeline.demo.desk import Desk
from causeline.demo.plan import PlannedRun, plan
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.tracer import Tracer
from causeline.runtime.clock import system_clock
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.policy_file import parse_policy

AT_ONCE = 24


@dataclass(frozen=True, slots=True)
class Published:
    """What was published: the runs' ids in order of their start, and how many of them have a fault."""

    run_ids: tuple[str, ...]
    faulty: int


def demo_policy() -> Policy:
    """The policy of the three workflows."""
    return parse_policy(demo_policy_text(), "policy.toml")


def demo_policy_text() -> str:
    """The file it is written in."""
    return (files("causeline.demo") / "policy.toml").read_text("utf-8")


def publish(
    *,
    tracer: Tracer,
    artifacts: ArtifactStore,
    seed: int,
    runs: int,
    truth_file: Path,
    session_label: str,
    progress: Callable[[float], None] = lambda _: None,
    course: Course | None = None,
) -> Published:
    """Publish `runs` runs of a seed, some of them at once, each labelled `demo=<session_label>`; over a course, if any.

    The truth file gets a line of JSON a run: its id, workflow, what was planted where, whether its provider has changed
    its backend, and what a person would read in its documents: the route, and each field's value or null.
    """
    return publish_planned(
        plan(seed, runs, drift_at=DRIFT_AT if course else None),
        count=runs,
        tracer=tracer,
        artifacts=artifacts,
        truth_file=truth_file,
        session_label=session_label,
        progress=progress,
        course=course,
    )


def publish_planned(
    planned: Iterable[PlannedRun],
    *,
    count: int,
    tracer: Tracer,
    artifacts: ArtifactStore,
    truth_file: Path,
    session_label: str,
    progress: Callable[[float], None] = lambda _: None,
    course: Course | None = None,
) -> Published:
    """Publish runs that are planned already."""
    if tracer.policy == DEFAULT_POLICY:
        tracer.policy = demo_policy()
    run_ids: list[str] = []
    faulty = 0
    waiting = iter(planned)
    active: deque[Callable[[], bool]] = deque()
    with truth_file.open("w", encoding="utf-8") as truth:
        while True:
            while len(active) < AT_ONCE and (one := next(waiting, None)) is not None:
                run_id, turn = _begin(one, tracer, artifacts, session_label, course)
                truth.write(json.dumps(_truth(one, run_id)) + "\n")
                run_ids.append(run_id)
                faulty += bool(one.faults)
                active.append(turn)
                if len(run_ids) % 100 == 0:
                    progress(len(run_ids) / max(count, 1))
            if not active:
                break
            turn = active.popleft()
            if turn():
                active.append(turn)
    progress(1.0)
    return Published(tuple(run_ids), faulty)


def _begin(
    one: PlannedRun, tracer: Tracer, artifacts: ArtifactStore, session_label: str, course: Course | None
) -> tuple[str, Callable[[], bool]]:
    """A run in a context of its own, and what does its next turn: False when it is over."""
    clock = SimulatedClock(course.begin_us(one.index) if course else just_now(system_clock()))
    context = contextvars.copy_context()
    run = tracer.run(
        one.case.workflow,
        input_ref=artifacts.put(one.case.sources[0].text.encode()),
        labels={"demo": session_label, **(course.labels(one.index) if course else {})},
        clock=clock,
    )

    def whole() -> Iterable[None]:
        with run:
            yield from workflow.turns(Desk(one.case, run, artifacts, clock, one.behaviour))

    turns = iter(whole())

    def turn() -> bool:
        return context.run(next, turns, _OVER) is not _OVER

    return run.run_id, turn


_OVER = object()


def _truth(one: PlannedRun, run_id: str) -> dict[str, object]:
    return {
        "run_id": run_id,
        "index": one.index,
        "workflow": one.case.workflow,
        "faults": [{"layer": fault.layer.value, "fault": fault.name} for fault in one.faults],
        "drifted": one.drifted,
        "route": one.case.route,
        "facts": dict(one.case.truth),
    }

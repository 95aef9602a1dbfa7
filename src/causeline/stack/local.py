"""The local stack: `up` brings it to readiness, `down` ends it, `status` tells how it is.

One stack per state folder, whoever asks and however often; every function may be called from any process.
"""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from causeline.schemas.errors import CauselineError, EnvironmentFault, NotFound
from causeline.stack.endpoints import ENDPOINTS_FILE, Endpoints
from causeline.stack.faults import environment_fault
from causeline.stack.kafka import class_path, find_java
from causeline.stack.layout import BUILT_IN_POLICY, choose_ports, endpoints_for, policy_file, state_folder, taking_turns
from causeline.stack.services import Ports, stack_services
from causeline.stack.settings import StackSettings
from causeline.stack.supervisor import Plan, ProcessId, Service, ServiceReport, ServiceState, SupervisorReport
from causeline.stack.supervisor import processes as found
from causeline.stack.supervisor.daemon import is_running
from causeline.stack.supervisor.output import telling
from causeline.stack.supervisor.state import LOGS_DIR, PLAN_FILE, STATE_FILE, open_private, write_private
from causeline.stack.waiting import wait_until

Progress = Callable[[str, float], None]
"""Told a stage and the fraction of it that is done, 0 to 1."""

ServicesOf = Callable[[StackSettings, Endpoints, Ports], tuple[Service, ...]]

_UP_TIMEOUT_S = 240.0
_BIRTH_TIMEOUT_S = 60.0
_DOWN_TIMEOUT_S = 90.0
_LEFT_OVER_GRACE_S = 10.0
# What names a cluster or a server elsewhere must not reach the services of this stack.
_FOREIGN = ("CAUSELINE_KAFKA_", "CAUSELINE_CLICKHOUSE_", "CAUSELINE_REGISTRY_")
_GOOD = (ServiceState.READY, ServiceState.DONE)


class StackStatus(BaseModel):
    """How the stack in `state_dir` is; `endpoints` are there while it is up."""

    model_config = ConfigDict(extra="forbid")

    state_dir: Path
    running: bool
    ready: bool
    stopping: bool = False
    since: datetime | None = None
    services: list[ServiceReport] = []
    endpoints: Endpoints | None = None
    left_over: list[ProcessId] = []
    """Processes of a stack whose supervisor is gone; the next `up` or `down` ends them."""


def up(
    settings: StackSettings,
    progress: Progress = lambda _stage, _fraction: None,
    *,
    services_of: ServicesOf = stack_services,
    policy: str = BUILT_IN_POLICY,
) -> Endpoints:
    """Bring the stack up and return when every service is ready; starts only what is missing or has changed.

    `policy` is the text of its policy file (TOML), where it has none yet.

    Raises a `CauselineError` of one sentence; a start that fails leaves nothing running, its logs stay.
    """
    folder = state_folder(settings)
    with taking_turns(folder):
        before = is_running(folder)
        try:
            endpoints = _up(settings, folder, progress, services_of, policy, running=before)
        except BaseException:
            if not before:
                _down(folder, progress)
                _remove_if(folder, settings.ephemeral)
            raise
    if settings.ephemeral:
        atexit.register(down, folder)
    return endpoints


def down(state_dir: Path, progress: Progress = lambda _stage, _fraction: None) -> bool:
    """End the stack in `state_dir` and whatever is left of an earlier one; False when nothing ran."""
    folder = state_dir.expanduser().absolute()
    if not folder.is_dir():
        return False
    with taking_turns(folder):
        return _down(folder, progress)


def status(state_dir: Path) -> StackStatus:
    """How the stack in `state_dir` is now; a folder that never held one is simply not running."""
    folder = state_dir.expanduser().absolute()
    running = is_running(folder)
    report = SupervisorReport.load(folder)
    if report is None or not running:
        left_over = found.left_over(folder) if folder.is_dir() else []
        return StackStatus(state_dir=folder, running=running, ready=False, left_over=left_over)
    return StackStatus(
        state_dir=folder,
        running=True,
        ready=report.ready and not report.stopping,
        stopping=report.stopping,
        since=report.since,
        services=report.services,
        endpoints=_endpoints_or_none(folder),
    )


def _up(
    settings: StackSettings,
    folder: Path,
    progress: Progress,
    services_of: ServicesOf,
    policy: str,
    *,
    running: bool,
) -> Endpoints:
    find_java()
    try:
        ports = choose_ports(settings, folder, running=running)
        endpoints = endpoints_for(settings, folder, ports)
        policy_file(folder, policy)
        plan = Plan(
            services=services_of(settings, endpoints, ports),
            unset_prefixes=_FOREIGN,
            owner=found.identify(os.getpid()) if settings.ephemeral else None,
            ephemeral=settings.ephemeral,
        )
        generation = _begin(folder, plan) if not running else _change(folder, plan)
        # Side by side with the services: all but the broker start while its jars are on their way.
        progress("kafka's jars", 0.0)
        class_path(lambda fraction: progress("kafka's jars", fraction))
        _wait_until_ready(folder, generation, progress)
        endpoints.save()
    except OSError as error:
        raise environment_fault(error, f"the state folder {folder}") from error
    return endpoints


def _begin(folder: Path, plan: Plan) -> int:
    write_private(folder / PLAN_FILE, plan.model_dump_json(indent=1))
    (folder / STATE_FILE).unlink(missing_ok=True)
    command = [sys.executable, "-m", "causeline.stack.supervisor", str(folder)]
    with open_private(folder / LOGS_DIR / "supervisor.start.log", "wb") as output:
        subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=True, timeout=_BIRTH_TIMEOUT_S
        )
    wait_until(
        lambda: is_running(folder) and SupervisorReport.load(folder),
        timeout_s=_BIRTH_TIMEOUT_S,
        what="the supervisor does not start",
    )
    return 1


def _change(folder: Path, plan: Plan) -> int:
    """Have the running supervisor take up `plan`, if that says anything new or something was given up."""
    report = wait_until(
        lambda: SupervisorReport.load(folder), timeout_s=_BIRTH_TIMEOUT_S, what="the supervisor tells nothing"
    )
    unchanged = Plan.load(folder / PLAN_FILE) == plan
    if unchanged and not report.failed:
        return report.generation
    write_private(folder / PLAN_FILE, plan.model_dump_json(indent=1))
    found.send(report.process, signal.SIGHUP)
    return report.generation + 1


def _wait_until_ready(folder: Path, generation: int, progress: Progress) -> None:
    def ready() -> bool:
        report = SupervisorReport.load(folder)
        if not is_running(folder):
            raise EnvironmentFault(
                "The supervisor ended while the stack was starting.",
                hint=f"See {folder / LOGS_DIR / 'supervisor.log'}.",
            )
        if report is None or report.generation < generation:
            return False
        for failed in report.failed:
            raise _gave_up(failed, folder)
        _tell(report, progress)
        return report.ready

    wait_until(ready, timeout_s=_UP_TIMEOUT_S, what=lambda: lacking(SupervisorReport.load(folder)))


def lacking(report: SupervisorReport | None) -> str:
    """What of a stack is not ready, with the sentence of the service that refuses, where one does."""
    waiting = [each for each in report.services if each.state not in _GOOD] if report else []
    if not waiting:
        return "the stack is not ready"
    refusing = next((each for each in waiting if each.last_fault), waiting[0])
    names = ", ".join(each.name for each in waiting)
    said = f"; {refusing.name} {refusing.last_fault.removesuffix('.')}" if refusing.last_fault else ""
    return f"{names} {'is' if len(waiting) == 1 else 'are'} not ready{said}"


def _tell(report: SupervisorReport, progress: Progress) -> None:
    good = sum(each.state in _GOOD for each in report.services)
    waiting = [each.name for each in report.services if each.state not in _GOOD]
    stage = f"starting {waiting[0]}" if waiting else "ready"
    progress(stage, good / max(len(report.services), 1))


def _gave_up(failed: ServiceReport, folder: Path) -> CauselineError:
    hints = [line.strip().removeprefix("hint: ") for line in failed.last_lines if line.strip().startswith("hint: ")]
    return EnvironmentFault(
        f"The service {failed.name} {failed.reason}; it said: {telling(failed.last_lines)}.",
        hint=" ".join([*hints[-1:], f"See {folder / LOGS_DIR / f'{failed.name}.log'}."]),
    )


def _down(folder: Path, progress: Progress) -> bool:
    progress("stopping", 0.0)
    ran = is_running(folder)
    if ran:
        _stop_supervisor(folder, progress)
    remains = found.left_over(folder)
    if remains:
        found.end(remains, grace_s=_LEFT_OVER_GRACE_S)
    (folder / ENDPOINTS_FILE).unlink(missing_ok=True)
    _remove_if(folder, _is_ephemeral(folder))
    progress("stopped", 1.0)
    return ran or bool(remains)


def _stop_supervisor(folder: Path, progress: Progress) -> None:
    report = wait_until(
        lambda: SupervisorReport.load(folder), timeout_s=_BIRTH_TIMEOUT_S, what="the supervisor tells nothing"
    )
    found.send(report.process, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_TIMEOUT_S

    def stopped() -> bool:
        now = SupervisorReport.load(folder)
        if now and now.services:
            ended = sum(each.process is None for each in now.services)
            progress("stopping", ended / len(now.services))
        return not is_running(folder) or time.monotonic() >= deadline

    wait_until(stopped, timeout_s=_DOWN_TIMEOUT_S + 1, what="the supervisor does not stop")
    if is_running(folder):
        # Its children are tied to it and end with it.
        found.send(report.process, signal.SIGKILL)
        wait_until(lambda: not is_running(folder), timeout_s=_BIRTH_TIMEOUT_S, what="the supervisor stays")


def _is_ephemeral(folder: Path) -> bool:
    try:
        return Plan.load(folder / PLAN_FILE).ephemeral
    except CauselineError:
        return False


def _remove_if(folder: Path, ephemeral: bool) -> None:
    if ephemeral:
        shutil.rmtree(folder, ignore_errors=True)


def _endpoints_or_none(folder: Path) -> Endpoints | None:
    try:
        return Endpoints.load(folder)
    except NotFound:
        return None

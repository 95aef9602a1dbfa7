"""The supervisor itself: one for a state folder, from its plan to the last service stopped."""

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from causeline.schemas.errors import EnvironmentFault
from causeline.stack.supervisor import processes
from causeline.stack.supervisor.restarts import RestartPolicy
from causeline.stack.supervisor.runner import ServiceRunner
from causeline.stack.supervisor.service import Plan, ProcessId, in_levels
from causeline.stack.supervisor.state import (
    LOCK_FILE,
    LOGS_DIR,
    PLAN_FILE,
    STATE_FILE,
    ServiceState,
    SupervisorReport,
    write_private,
)
from causeline.stack.waiting import wait_until

_OWNER_INTERVAL_S = 0.5
_LEFT_OVER_GRACE_S = 10.0
_LOCK_PATIENCE_S = 2.0
_NOT_BEGUN = (ServiceState.FAILED, ServiceState.WAITING)

log = logging.getLogger(__name__)


class Supervisor:
    """Runs the services of `folder`'s plan until SIGTERM or SIGINT; SIGHUP takes up a changed plan.

    1. The lock is taken: there is one supervisor for a folder.
    2. What a predecessor left running is ended.
    3. Services start, each when what it depends on is ready, independent ones side by side.
    4. At the end they stop in reverse: nothing loses what it depends on while it still runs.
    """

    def __init__(self, folder: Path, *, policy: RestartPolicy | None = None) -> None:
        self._folder = folder
        self._policy = policy or RestartPolicy()
        self._plan = Plan.load(folder / PLAN_FILE)
        self._runners: dict[str, ServiceRunner] = {}
        own = processes.identify(os.getpid())
        self._report = SupervisorReport(process=own or ProcessId(pid=os.getpid(), started=0.0), since=datetime.now(UTC))
        self._wake = asyncio.Event()
        self._stop_asked = False
        self._reload_asked = False

    async def run(self) -> None:
        """Run until told to stop; raises `EnvironmentFault` when another supervisor has the folder."""
        with lock(self._folder):
            self._clear_left_overs()
            self._handle_signals()
            owner = asyncio.create_task(self._watch_owner())
            try:
                self._take_up(self._plan)
                await self._until_stopped()
            finally:
                owner.cancel()
                await self._stop_all()
                self._write()
                if self._plan.ephemeral:
                    shutil.rmtree(self._folder, ignore_errors=True)

    async def _until_stopped(self) -> None:
        while not self._stop_asked:
            await self._wake.wait()
            self._wake.clear()
            if self._reload_asked and not self._stop_asked:
                self._reload_asked = False
                await self._reload()

    async def _reload(self) -> None:
        """Stop what is gone or changed, start what is new, changed or was given up; leave the rest alone."""
        plan = Plan.load(self._folder / PLAN_FILE)
        wanted = {each.name: each for each in plan.services}
        dropped = [
            runner
            for name, runner in self._runners.items()
            if runner.service != wanted.get(name) or runner.report.state in _NOT_BEGUN
        ]
        log.info("taking up a new plan: %d services end or start anew", len(dropped))
        await asyncio.gather(*(runner.stop() for runner in dropped))
        for runner in dropped:
            del self._runners[runner.service.name]
        self._report.generation += 1
        self._take_up(plan)

    def _take_up(self, plan: Plan) -> None:
        self._plan = plan
        environment = {name: value for name, value in os.environ.items() if not name.startswith(plan.unset_prefixes)}
        environment[processes.MARK_VARIABLE] = processes.mark_of(self._folder)
        started: list[ServiceRunner] = []
        for service in (each for level in in_levels(plan.services) for each in level):
            if service.name in self._runners:
                continue
            runner = ServiceRunner(
                service,
                logs=self._folder / LOGS_DIR,
                environment=environment,
                depends=[self._runners[name] for name in service.depends],
                changed=self._write,
                policy=self._policy,
            )
            self._runners[service.name] = runner
            started.append(runner)
        for runner in started:
            runner.start()
        self._write()

    async def _stop_all(self) -> None:
        self._report.stopping = True
        self._write()
        for level in reversed(in_levels(self._plan.services)):
            runners = [self._runners[each.name] for each in level if each.name in self._runners]
            await asyncio.gather(*(runner.stop() for runner in runners))
        log.info("every service is stopped")

    def _clear_left_overs(self) -> None:
        remains = processes.left_over(self._folder)
        if remains:
            log.warning("ending %d processes that an earlier supervisor left", len(remains))
            processes.end(remains, grace_s=_LEFT_OVER_GRACE_S)

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask_stop)
        loop.add_signal_handler(signal.SIGHUP, self._ask_reload)

    def _ask_stop(self) -> None:
        self._stop_asked = True
        self._wake.set()

    def _ask_reload(self) -> None:
        self._reload_asked = True
        self._wake.set()

    async def _watch_owner(self) -> None:
        # The end of a process that is not ours wakes nobody, so it has to be looked for.
        while self._plan.owner is None or processes.is_alive(self._plan.owner):  # noqa: ASYNC110
            await asyncio.sleep(_OWNER_INTERVAL_S)
        log.info("the owner of the stack is gone")
        self._ask_stop()

    def _write(self) -> None:
        self._report.services = [each.report for each in self._runners.values()]
        try:
            write_private(self._folder / STATE_FILE, self._report.model_dump_json(indent=1))
        except OSError as error:
            log.warning("%s cannot be written: %s", STATE_FILE, error.strerror)


@contextlib.contextmanager
def lock(folder: Path, *, patience_s: float = _LOCK_PATIENCE_S) -> Iterator[None]:
    """Hold the supervisor's lock of `folder`; raises `EnvironmentFault` when another process keeps it.

    A look at whether it is held takes it for an instant, hence the patience.
    """
    with (folder / LOCK_FILE).open("a") as file:
        try:
            wait_until(lambda: _try_lock(file.fileno()), timeout_s=patience_s, what="the lock is held")
        except EnvironmentFault:
            raise EnvironmentFault(f"A supervisor already runs in {folder}.", hint="See `causeline status`.") from None
        yield


def is_running(folder: Path) -> bool:
    """Whether a supervisor holds the lock of `folder`."""
    try:
        with (folder / LOCK_FILE).open("r") as file:
            return not _try_lock(file.fileno(), fcntl.LOCK_SH)  # shared: those who only look do not see each other
    except FileNotFoundError:
        return False


def _try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

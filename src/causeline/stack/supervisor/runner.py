"""One service kept running: start, wait until ready, watch, start again with back-off, stop."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from causeline.stack.launch import launcher
from causeline.stack.supervisor.output import Output, RotatingLog, telling
from causeline.stack.supervisor.probes import answers
from causeline.stack.supervisor.processes import identify
from causeline.stack.supervisor.restarts import GiveUp, RestartHistory, RestartPolicy
from causeline.stack.supervisor.service import LogLineProbe, Service
from causeline.stack.supervisor.state import ServiceReport, ServiceState

_PROBE_INTERVAL_S = 0.05
_OUTPUT_DRAIN_S = 1.0
_STOPPED_BY_US = None
_CANNOT_RUN = 126  # as shells say it

log = logging.getLogger(__name__)


class ServiceRunner:
    """Keeps one service running from `start` to `stop`; tells every change of `report` to `changed`."""

    def __init__(
        self,
        service: Service,
        *,
        logs: Path,
        environment: Mapping[str, str],
        depends: Sequence["ServiceRunner"],
        changed: Callable[[], None],
        policy: RestartPolicy,
    ) -> None:
        self.service = service
        self.depends = depends
        self.report = ServiceReport(
            name=service.name, state=ServiceState.WAITING, since=datetime.now(UTC), ports=dict(service.ports)
        )
        self.ready = asyncio.Event()
        """Set when it was ready for the first time; those who depend on it outlive its restarts."""
        self._logs = logs
        self._environment = {**environment, **service.env}
        self._changed = changed
        self._policy = policy
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, once everything it depends on is ready."""
        self._task = asyncio.create_task(self._keep(), name=f"keep {self.service.name}")

    async def stop(self) -> None:
        """End it and whatever it started; returns when they are gone."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self.report.state not in {ServiceState.FAILED, ServiceState.DONE}:
            self._become(ServiceState.STOPPED)

    async def _keep(self) -> None:
        for each in self.depends:
            await each.ready.wait()
        history = RestartHistory(self._policy)
        while True:
            started = time.monotonic()
            exit_code, last_lines = await self._attempt()
            if self.service.oneshot and exit_code == 0:
                self._become(ServiceState.DONE)
                self.ready.set()
                return
            now = time.monotonic()
            verdict = history.failed(now, ran_s=now - started, exit_code=exit_code, was_ever_ready=self.ready.is_set())
            how = "was not ready in time" if exit_code is _STOPPED_BY_US else _ending(exit_code)
            self.report.last_fault = f"{how}: {telling(last_lines)}" if last_lines else how
            if isinstance(verdict, GiveUp):
                log.error("%s %s and is given up: it %s", self.service.name, how, verdict.reason)
                self._become(ServiceState.FAILED, reason=verdict.reason, last_lines=last_lines)
                return
            log.warning("%s %s; it is started again in %.1f s", self.service.name, how, verdict.delay_s)
            self._become(ServiceState.BACKING_OFF, reason=how, last_lines=last_lines)
            await asyncio.sleep(verdict.delay_s)
            self.report.restarts += 1

    async def _attempt(self) -> tuple[int | None, list[str]]:
        """Run it once; exit code and last lines. A fault of this machine on the way counts as one of its ends."""
        try:
            exit_code, output = await self._run_once()
        except OSError as error:
            log.error("%s cannot be run: %s", self.service.name, error)  # noqa: TRY400 - the sentence says it all
            return _CANNOT_RUN, [str(error)]
        return exit_code, output.last_lines

    async def _run_once(self) -> tuple[int | None, Output]:
        """Run it to its end; the exit code is None when it was stopped for not being ready in time."""
        service = self.service
        pattern = service.ready.pattern if isinstance(service.ready, LogLineProbe) else None
        target = RotatingLog(self._logs / f"{service.name}.log")
        output = Output(target, ready_pattern=pattern)
        # A pipe of our own: asyncio holds back the end of a process as long as a child of it has its pipe open.
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *launcher(service.argv),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                env=self._environment,
                start_new_session=True,
            )
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        pump = asyncio.create_task(output.pump(reading))
        try:
            self._become(ServiceState.STARTING, pid=process.pid)
            log.info("%s started as process %d", service.name, process.pid)
            if not service.oneshot and not await self._becomes_ready(process, output):
                if process.returncode is None:
                    return _STOPPED_BY_US, output
            elif not service.oneshot:
                self._become(ServiceState.READY, pid=process.pid)
                self.ready.set()
                log.info("%s is ready", service.name)
            return await process.wait(), output
        finally:
            await self._end(process)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pump, _OUTPUT_DRAIN_S)
            target.close()

    async def _becomes_ready(self, process: asyncio.subprocess.Process, output: Output) -> bool:
        deadline = time.monotonic() + self.service.ready_timeout_s
        while process.returncode is None and time.monotonic() < deadline:
            if await answers(self.service.ready, output):
                return process.returncode is None
            await asyncio.sleep(_PROBE_INTERVAL_S)
        return False

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Signal the service, then kill what is left of its process group, which is the service's own."""
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.service.stop_signal)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), self.service.stop_timeout_s)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    def _become(
        self,
        state: ServiceState,
        *,
        pid: int | None = None,
        reason: str | None = None,
        last_lines: Sequence[str] = (),
    ) -> None:
        self.report.state = state
        self.report.since = datetime.now(UTC)
        self.report.process = identify(pid) if pid else None
        self.report.reason = reason
        self.report.last_lines = list(last_lines)
        self._changed()


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"

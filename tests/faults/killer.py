"""Ends each process of a stack once as a crash would, at moments that a seed chooses."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from causeline.stack.waiting import wait_until
from tests.faults.evidence import peak_rss, pid_of

_PROCESS_TIMEOUT_S = 180.0


@dataclass(frozen=True, slots=True)
class Kill:
    """What is killed when, seconds after the start."""

    after_s: float
    service: str


@dataclass(frozen=True, slots=True)
class Killed:
    """What was killed: the process that the service had, and its peak memory in bytes until then."""

    service: str
    pid: int
    at_s: float
    peak: int


def plan_kills(services: Sequence[str], span_s: float, rng: random.Random) -> list[Kill]:
    """Each service once, in a random order, at a random moment of a slot of its own within `span_s`."""
    order = rng.sample(services, len(services))
    slot = span_s / len(order)
    return [Kill((place + rng.uniform(0.1, 0.9)) * slot, service) for place, service in enumerate(order)]


class Killer:
    """Carries a plan out in a thread of its own, from `start` on."""

    def __init__(self, state_dir: Path, kills: Sequence[Kill], tell: Callable[[str], None]) -> None:
        self.killed: list[Killed] = []
        self._state_dir = state_dir
        self._kills = kills
        self._tell = tell
        self._failure: BaseException | None = None
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, name="killer", daemon=True)
        self._began = 0.0

    def start(self) -> None:
        """Begin; the first kill is due `after_s` from now."""
        self._began = time.monotonic()
        self._thread.start()

    def finish(self, timeout_s: float) -> list[Killed]:
        """Wait until every kill is done; raises what went wrong."""
        self._thread.join(timeout_s)
        if self._failure is not None:
            raise self._failure
        assert not self._thread.is_alive(), f"after {timeout_s:g} s only {self.killed} were killed"
        return self.killed

    def cancel(self) -> None:
        """Kill no more."""
        self._enough.set()
        self._thread.join(_PROCESS_TIMEOUT_S)

    def _run(self) -> None:
        try:
            for kill in self._kills:
                if self._enough.wait(max(0.0, self._began + kill.after_s - time.monotonic())):
                    return
                self._kill(kill.service)
        except BaseException as error:  # noqa: BLE001 - told by `finish`, in the thread of the test
            self._failure = error

    def _kill(self, service: str) -> None:
        def strike() -> Killed | None:
            pid = pid_of(self._state_dir, service)
            if pid is None:
                return None
            peak = peak_rss(pid)
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # it ended by itself this moment, and is coming back
                return None
            return Killed(service, pid, time.monotonic() - self._began, peak)

        done = wait_until(strike, timeout_s=_PROCESS_TIMEOUT_S, what=f"{service} has no process to kill")
        self.killed.append(done)
        self._tell(f"{done.at_s:6.1f} s  SIGKILL {service} (pid {done.pid})")

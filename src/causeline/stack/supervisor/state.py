"""What the supervisor tells the world: `supervisor.json`, replaced as a whole on every change."""

import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Self

from pydantic import BaseModel, ConfigDict

from causeline.stack.supervisor.service import ProcessId

STATE_FILE = "supervisor.json"
PLAN_FILE = "plan.json"
LOCK_FILE = "supervisor.lock"
LOGS_DIR = "logs"
PRIVATE = 0o077
"""The mask of processes whose files are their owner's only."""


class ServiceState(StrEnum):
    """Where a service stands."""

    WAITING = "waiting"  # for what it depends on
    STARTING = "starting"  # runs, and is not ready yet
    READY = "ready"
    DONE = "done"  # a oneshot that ended with 0
    BACKING_OFF = "backing_off"  # ended, and will be started again
    FAILED = "failed"  # given up; `reason` says why
    STOPPED = "stopped"


class ServiceReport(BaseModel):
    """One service as of now; `since` is when it came into this state (UTC)."""

    model_config = ConfigDict(extra="forbid")

    name: str
    state: ServiceState
    since: datetime
    process: ProcessId | None = None
    restarts: int = 0
    ports: dict[str, int] = {}
    reason: str | None = None
    last_fault: str | None = None
    """How it last ended without being told to, and the last that it said; kept when it is well again."""
    last_lines: list[str] = []


class SupervisorReport(BaseModel):
    """The supervisor and its services; `stopping` from the first signal on."""

    model_config = ConfigDict(extra="forbid")

    process: ProcessId
    since: datetime
    generation: int = 1
    """Grows with every plan taken up, so that one who changed the plan knows when it counts."""
    stopping: bool = False
    services: list[ServiceReport] = []

    @property
    def failed(self) -> list[ServiceReport]:
        """The services that were given up."""
        return [each for each in self.services if each.state is ServiceState.FAILED]

    @property
    def ready(self) -> bool:
        """Whether every service is ready or done."""
        good = (ServiceState.READY, ServiceState.DONE)
        return bool(self.services) and all(each.state in good for each in self.services)

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """The last report written in the state folder, or None when there is none that can be read."""
        try:
            return cls.model_validate_json((folder / STATE_FILE).read_bytes())
        except (OSError, ValueError):
            return None


def open_private(file: Path, mode: str) -> IO[Any]:
    """`file` opened; where it is made it is readable by its owner only, whatever the process's mask."""
    return open(file, mode, opener=lambda path, flags: os.open(path, flags, 0o600))


def write_private(file: Path, text: str) -> None:
    """Replace `file` by `text` at once, readable by its owner only."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    new.replace(file)

"""Services as data: what to run, when it counts as ready, and what has to be ready before it."""

import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from causeline.schemas.errors import UsageError


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TcpProbe(_Data):
    """Ready when the port accepts a connection."""

    kind: Literal["tcp"] = "tcp"
    port: int
    host: str = "127.0.0.1"


class HttpProbe(_Data):
    """Ready when a GET of `url` answers 200 and its body contains `body`."""

    kind: Literal["http"] = "http"
    url: str
    body: str = ""


class LogLineProbe(_Data):
    """Ready when a line of the service's output matches `pattern`."""

    kind: Literal["log_line"] = "log_line"
    pattern: str

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        re.compile(pattern)
        return pattern


class StartedProbe(_Data):
    """Ready as soon as it was started."""

    kind: Literal["started"] = "started"


Probe = Annotated[TcpProbe | HttpProbe | LogLineProbe | StartedProbe, Field(discriminator="kind")]


class Service(_Data):
    """One program of the stack.

    A `oneshot` is ready when it has ended with 0. `env` is added to the supervisor's environment.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    argv: tuple[str, ...] = Field(min_length=1)
    env: Mapping[str, str] = {}
    ready: Probe = StartedProbe()
    ready_timeout_s: float = Field(default=180.0, gt=0)
    """A process that lives and is not ready for so long is started again: longer than a busy machine takes."""
    depends: tuple[str, ...] = ()
    stop_signal: int = signal.SIGTERM
    stop_timeout_s: float = Field(default=10.0, gt=0)
    oneshot: bool = False
    ports: Mapping[str, int] = {}
    """Ports it listens on, by what they are for; only told, never used."""


class ProcessId(_Data):
    """A process, told apart from a later one with the same number by the time it started (seconds since 1970)."""

    pid: int
    started: float


class Plan(_Data):
    """All that one supervisor runs, for the stack in one state folder."""

    services: tuple[Service, ...]
    unset_prefixes: tuple[str, ...] = ()
    """Variables of the caller that no service sees, by the beginning of their name."""
    owner: ProcessId | None = None
    """The process whose end is also the stack's."""
    ephemeral: bool = False
    """Remove the state folder after the stop."""

    @model_validator(mode="after")
    def _names_are_known_and_ordered(self) -> Self:
        names = [each.name for each in self.services]
        if len(set(names)) != len(names):
            raise ValueError("two services have one name")
        in_levels(self.services)
        return self

    @classmethod
    def load(cls, file: Path) -> Self:
        """The plan in `file`; raises `UsageError` when it cannot be read."""
        try:
            return cls.model_validate_json(file.read_bytes())
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{file} is not a plan of services.", hint="Start the stack with `causeline up`."
            ) from error


def in_levels(services: Sequence[Service]) -> list[list[Service]]:
    """The services grouped so that each depends on earlier groups only; raises ValueError on a cycle."""
    remaining = {each.name: each for each in services}
    for each in services:
        if unknown := [name for name in each.depends if name not in remaining]:
            raise ValueError(f"{each.name} depends on {unknown[0]}, which is not a service")
    levels: list[list[Service]] = []
    while remaining:
        level = [each for each in remaining.values() if not any(name in remaining for name in each.depends)]
        if not level:
            raise ValueError(f"{', '.join(remaining)} wait for each other")
        levels.append(level)
        for each in level:
            del remaining[each.name]
    return levels

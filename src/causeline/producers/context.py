"""Which run and step this piece of code is in: context variables, so that they follow awaits and stay within a task."""

from __future__ import annotations

import os
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from causeline.producers.runs import Run
    from causeline.producers.steps import Step

T = TypeVar("T")

RUN: ContextVar[Run | None] = ContextVar("causeline_run", default=None)
STEP: ContextVar[Step | None] = ContextVar("causeline_step", default=None)


def current_run() -> Run | None:
    """The run of this context, if there is one."""
    run = RUN.get()
    while run is not None and run.is_left:  # left elsewhere than it was entered, so that it still stands here
        run = run.outer
    return run


def current_step() -> Step | None:
    """The innermost open step of this context, if there is one."""
    step = STEP.get()
    while step is not None and step.is_left:
        step = step.outer
    return step


def current() -> tuple[Run | None, Step | None]:
    """Run and step of this context."""
    return current_run(), current_step()


def make_current(both: tuple[Run | None, Step | None]) -> None:
    """Put run and step of another context in place of this one's."""
    RUN.set(both[0])
    STEP.set(both[1])


def leave(variable: ContextVar[T], token: Token[T]) -> None:
    """Take back what was set, where that can be: a generator's finaliser may run in another context, which ends with
    its own task."""
    try:  # noqa: SIM105 - `suppress` would cost more than all the rest, at every step
        variable.reset(token)
    except (ValueError, RuntimeError):
        pass


class _Process:
    """This process's number, without asking the system each time."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.look_again()

    def look_again(self) -> None:
        """Ask the system."""
        self.number = os.getpid()


PROCESS = _Process()
os.register_at_fork(after_in_child=PROCESS.look_again)

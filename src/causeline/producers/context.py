"""Which run and step this piece of code is in: context variables, so that they follow awaits and stay within a task."""

from __future__ import annotations

from contextlib import suppress
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
    return RUN.get()


def current_step() -> Step | None:
    """The innermost open step of this context, if there is one."""
    return STEP.get()


def current() -> tuple[Run | None, Step | None]:
    """Run and step of this context."""
    return RUN.get(), STEP.get()


def make_current(both: tuple[Run | None, Step | None]) -> None:
    """Put run and step of another context in place of this one's."""
    RUN.set(both[0])
    STEP.set(both[1])


def leave(variable: ContextVar[T], token: Token[T]) -> None:
    """Take back what was set, where that can be: a generator's finaliser may run in another context, which ends with
    its own task."""
    with suppress(ValueError, RuntimeError):
        variable.reset(token)

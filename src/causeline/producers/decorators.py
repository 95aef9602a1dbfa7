"""Decorators: each call of a function is a run or a step, from its begin to its end.

The end of a generator is its exhaustion, its close or its exception. Between two items its step is not the current
one: what the consumer does meanwhile is none of its work.
"""

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import nullcontext
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from causeline.producers.context import current, make_current
from causeline.producers.runs import Run
from causeline.producers.steps import Step

P = ParamSpec("P")
T = TypeVar("T")

Begin = Callable[[], "Run | Step | None"]
"""Makes what a call is to be, not entered yet; None for a call that is not traced."""


def traced(begin: Begin) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator that puts each call inside what `begin` makes."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            with begin() or nullcontext():
                return function(*args, **kwargs)

        @functools.wraps(function)
        async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            with begin() or nullcontext():
                return await cast("Callable[P, Awaitable[Any]]", function)(*args, **kwargs)

        @functools.wraps(function)
        def generate(*args: P.args, **kwargs: P.kwargs) -> Any:
            return _Generator(begin(), cast("Generator[Any, Any, Any]", function(*args, **kwargs)))

        @functools.wraps(function)
        def generate_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            return _AsyncGenerator(begin(), cast("AsyncGenerator[Any, Any]", function(*args, **kwargs)))

        if inspect.iscoroutinefunction(function):
            return cast("Callable[P, T]", call_async)
        if inspect.isasyncgenfunction(function):
            return cast("Callable[P, T]", generate_async)
        return cast("Callable[P, T]", generate if inspect.isgeneratorfunction(function) else call)

    return decorate


class _Span:
    """A run or step around a generator: entered before the first item, left after the last. Around each item it is a
    context manager, and an exception that leaves one, StopIteration included, is the end."""

    def __init__(self, around: Run | Step | None) -> None:
        self._around = around
        self._entered = False
        self._inner = self._outer = current()

    def __enter__(self) -> None:
        self._outer = current()
        make_current(self._inner)
        if self._around is not None and not self._entered:
            self._around.__enter__()
        self._entered = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            over = issubclass(kind, StopIteration | StopAsyncIteration)
            self.end(*((None, None, None) if over else (kind, error, trace)))
        self._inner = current()
        make_current(self._outer)

    def end(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """The generator is over, or nobody will ask it again."""
        around, self._around = self._around, None
        if around is not None and self._entered:
            around.__exit__(kind, error, trace)


class _Generator(Generator[Any, Any, Any]):
    def __init__(self, around: Run | Step | None, generator: Generator[Any, Any, Any]) -> None:
        self._span = _Span(around)
        self._generator = generator

    def send(self, value: Any) -> Any:
        with self._span:
            return self._generator.send(value)

    def throw(self, *error: Any) -> Any:
        with self._span:
            return self._generator.throw(*error)

    def close(self) -> None:
        with self._span:
            self._generator.close()
        self._span.end()

    def __del__(self) -> None:
        self._span.end()


class _AsyncGenerator(AsyncGenerator[Any, Any]):
    def __init__(self, around: Run | Step | None, generator: AsyncGenerator[Any, Any]) -> None:
        self._span = _Span(around)
        self._generator = generator

    async def asend(self, value: Any) -> Any:
        with self._span:
            return await self._generator.asend(value)

    async def athrow(self, *error: Any) -> Any:
        with self._span:
            return await self._generator.athrow(*error)

    async def aclose(self) -> None:
        with self._span:
            await self._generator.aclose()
        self._span.end()

    def __del__(self) -> None:
        self._span.end()

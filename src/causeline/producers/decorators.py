"""Decorators: each call of a function is a run or a step, from its begin to its end.

The end of a generator is its exhaustion, its close or its exception, and so is that of a generator or coroutine that a
plain function returns: the call is not over before its result is there. Between two items its step is not the current
one: what the consumer does meanwhile is none of its work.
"""

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import Any, ParamSpec, TypeVar, cast

from causeline.producers.context import current, make_current
from causeline.producers.runs import Run
from causeline.producers.steps import Step

P = ParamSpec("P")
T = TypeVar("T")

Begin = Callable[[], "Run | Step | None"]
"""Makes what a call is to be, not entered yet; None for a call that is not traced."""

_Both = tuple[Run | None, Step | None]
_LAZY = (GeneratorType, AsyncGeneratorType, CoroutineType)


def traced(begin_of: Callable[[Callable[..., Any]], Begin]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator that puts each call inside what `begin_of` the function makes.

    A classmethod, staticmethod, property or cached property stays one, with its function decorated.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        made: Any = function
        if isinstance(made, classmethod | staticmethod):
            return cast("Callable[P, T]", type(made)(decorate(made.__func__)))
        if isinstance(made, property):
            getter = None if made.fget is None else decorate(made.fget)
            return cast("Callable[P, T]", property(getter, made.fset, made.fdel, made.__doc__))
        if isinstance(made, functools.cached_property):
            return cast("Callable[P, T]", functools.cached_property(decorate(made.func)))
        return _around(function, begin_of(function))

    return decorate


def name_of(function: Callable[..., Any]) -> str:
    """The name that a function, a partial one or a callable object goes by."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _around(function: Callable[P, T], begin: Begin) -> Callable[P, T]:
    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        around = begin()
        if around is None:
            return function(*args, **kwargs)
        outer = current()
        with _Ending(around) as ending:
            result = function(*args, **kwargs)
            ending.is_due = not isinstance(result, _LAZY)
        return result if ending.is_due else _continued(around, outer, result)

    @functools.wraps(function)
    async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
        around = begin()
        if around is None:
            return await cast("Callable[P, Awaitable[Any]]", function)(*args, **kwargs)
        outer = current()
        with _Ending(around) as ending:
            result = await cast("Callable[P, Awaitable[Any]]", function)(*args, **kwargs)
            ending.is_due = not isinstance(result, _LAZY)
        return result if ending.is_due else _continued(around, outer, result)

    @functools.wraps(function)
    def generate(*args: P.args, **kwargs: P.kwargs) -> Any:
        return _generating(_Span(begin()), cast("Generator[Any, Any, Any]", function(*args, **kwargs)))

    @functools.wraps(function)
    def generate_async(*args: P.args, **kwargs: P.kwargs) -> Any:
        return _AsyncGenerator(_Span(begin()), cast("AsyncGenerator[Any, Any]", function(*args, **kwargs)))

    if inspect.iscoroutinefunction(function):
        return cast("Callable[P, T]", call_async)
    if inspect.isasyncgenfunction(function):
        return cast("Callable[P, T]", generate_async)
    return cast("Callable[P, T]", generate if inspect.isgeneratorfunction(function) else call)


class _Ending:
    """A run or step around a call, which ends with it unless its result is still to come."""

    __slots__ = ("_around", "is_due")

    def __init__(self, around: Run | Step) -> None:
        self._around = around
        self.is_due = True

    def __enter__(self) -> "_Ending":
        self._around.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.is_due:
            self._around.__exit__(kind, error, trace)


def _continued(around: Run | Step, outer: _Both, result: Any) -> Any:
    """A lazy result within the run or step that its call has begun and not ended."""
    span = _Span(around, inner=current())
    make_current(outer)
    if isinstance(result, CoroutineType):
        return _awaiting(span, result)
    return _generating(span, result) if isinstance(result, GeneratorType) else _AsyncGenerator(span, result)


class _Span:
    """A run or step around a generator or coroutine: entered before the first item unless it has an `inner` context
    already, left after the last. Around each item it is a context manager, and an exception that leaves one,
    StopIteration included, is the end."""

    def __init__(self, around: Run | Step | None, inner: _Both | None = None) -> None:
        self._around = around
        self._entered = inner is not None
        self._outer = current()
        self._inner = self._outer if inner is None else inner

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
            here = current()
            around.__exit__(kind, error, trace)
            make_current(here)

    def __del__(self) -> None:
        self.end()


async def _awaiting(span: _Span, coroutine: Coroutine[Any, Any, T]) -> T:
    with span:
        result = await coroutine
    span.end()
    return result


def _generating(span: _Span, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    return (yield from _Generator(span, generator))


class _Generator(Generator[Any, Any, Any]):
    def __init__(self, span: _Span, generator: Generator[Any, Any, Any]) -> None:
        self._span = span
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


class _AsyncGenerator(AsyncGenerator[Any, Any]):
    def __init__(self, span: _Span, generator: AsyncGenerator[Any, Any]) -> None:
        self._span = span
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

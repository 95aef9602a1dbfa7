"""Whatever is decorated, its step lasts from the call until its result is there, and the thing stays what it was."""

import asyncio
import contextlib
import functools
import inspect
import pickle
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from causeline.producers.context import current_step
from causeline.producers.tracer import Tracer
from causeline.schemas.events import RunFinished, StepFinished
from causeline.schemas.vocabulary import Status
from tests.unit.producers.recording import RecordingTransport, emitter_over, events_of


class Recorded:
    """A tracer whose clock counts its readings, so that a step's length is what was done within it."""

    def __init__(self) -> None:
        self.transport = RecordingTransport()
        self.now = 1_700_000_000_000_000
        self.tracer = Tracer("tests", emitter=emitter_over(self.transport), clock=lambda: self.now)

    def spend(self, microseconds: int = 10) -> None:
        self.now += microseconds

    def steps(self) -> list[StepFinished]:
        assert not self.tracer.flush(60)
        return [event for event in events_of(self.transport) if isinstance(event, StepFinished)]

    def only_step(self) -> tuple[str, str, int]:
        """Name, status and length of the one step that there is."""
        (step,) = self.steps()
        return step.step_name, step.status.value, step.occurred_at - step.started_at


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    made = Recorded()
    with made.tracer:
        yield made


def test_methods_of_all_kinds_stay_what_they_are(recorded: Recorded) -> None:
    step = recorded.tracer.step

    class Tools:
        @step("tool")
        @classmethod
        def of_class(cls) -> str:
            return cls.__name__

        @classmethod
        @step("tool")
        def of_class_inside(cls) -> str:
            return cls.__name__

        @step("tool")
        @staticmethod
        def static(value: int) -> int:
            return value

        @step("tool")  # type: ignore[prop-decorator]
        @property
        def read(self) -> int:
            """How many."""
            return 1

        @step("tool")  # type: ignore[prop-decorator]
        @functools.cached_property
        def once(self) -> int:
            return 2

    with recorded.tracer.run("invoice"):
        tools = Tools()
        assert (Tools.of_class(), tools.of_class_inside()) == ("Tools", "Tools")
        assert (Tools.static(3), tools.static(4)) == (3, 4)
        assert (tools.read, tools.once, tools.once) == (1, 2, 2)
        assert Tools.read.__doc__ == "How many."
    assert [each.step_name for each in recorded.steps()] == [
        "of_class", "of_class_inside", "static", "static", "read", "once",
    ]  # fmt: skip


def test_a_step_that_returns_a_generator_lasts_until_that_is_through(recorded: Recorded) -> None:
    @recorded.tracer.step("model_call")
    def stream() -> Iterator[int]:
        recorded.spend()

        def tokens() -> Iterator[int]:
            for token in range(3):
                assert current_step() is not None
                recorded.spend()
                yield token

        return tokens()

    with recorded.tracer.run("invoice"):
        tokens = stream()
        assert inspect.isgenerator(tokens)
        assert current_step() is None, "what the consumer does is none of its work"
        assert list(tokens) == [0, 1, 2]
    assert recorded.only_step() == ("stream", "ok", 40)


def test_what_a_lazy_result_raises_is_the_steps_error(recorded: Recorded) -> None:
    @recorded.tracer.step("model_call")
    def stream() -> Iterator[int]:
        return (1 // token for token in (1, 0))

    with recorded.tracer.run("invoice"), pytest.raises(ZeroDivisionError):
        list(stream())
    assert recorded.only_step() == ("stream", "error", 0)


def _returns_a_coroutine(recorded: Recorded) -> Callable[[], Awaitable[int]]:
    def ask() -> Coroutine[Any, Any, int]:
        async def answer() -> int:
            await asyncio.sleep(0)
            recorded.spend()
            return 1

        return answer()

    return ask


class _Asks:
    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    async def __call__(self) -> int:
        await asyncio.sleep(0)
        self._recorded.spend()
        return 1


ASYNC: dict[str, tuple[Callable[[Recorded], Callable[[], Awaitable[int]]], str]] = {
    "a function that returns a coroutine": (_returns_a_coroutine, "ask"),
    "an object that is called": (_Asks, "_Asks"),
    "a partial function": (lambda recorded: functools.partial(_Asks.__call__, _Asks(recorded)), "__call__"),
}


@pytest.mark.parametrize("what", ASYNC)
def test_a_coroutine_is_awaited_within_its_step_whoever_makes_it(recorded: Recorded, what: str) -> None:
    make, name = ASYNC[what]
    ask = recorded.tracer.step("model_call")(make(recorded))

    async def main() -> int:
        return await ask()

    with recorded.tracer.run("invoice"):
        assert asyncio.run(main()) == 1
    assert recorded.only_step() == (name, "ok", 10)


def test_an_async_generator_that_a_coroutine_gives_belongs_to_its_step(recorded: Recorded) -> None:
    @recorded.tracer.step("model_call")
    async def stream() -> AsyncIterator[int]:
        async def tokens() -> AsyncIterator[int]:
            for token in range(3):
                recorded.spend()
                yield token

        return tokens()

    async def main() -> list[int]:
        return [token async for token in await stream()]

    with recorded.tracer.run("invoice"):
        assert asyncio.run(main()) == [0, 1, 2]
    assert recorded.only_step() == ("stream", "ok", 30)


def test_a_lazy_result_that_nobody_asks_ends_its_step_all_the_same(recorded: Recorded) -> None:
    @recorded.tracer.step("model_call")
    def stream() -> Iterator[int]:
        return (token for token in range(3))

    with recorded.tracer.run("invoice") as run:
        stream()
        with run.tool("afterwards"):
            pass
    assert [(step.step_name, step.parent_step_id) for step in recorded.steps()] == [
        ("stream", None), ("afterwards", None),
    ]  # fmt: skip


def test_a_lazy_result_leaves_the_steps_around_it_alone(recorded: Recorded) -> None:
    @recorded.tracer.step("model_call")
    def stream() -> Iterator[int]:
        return (token for token in range(2))

    with recorded.tracer.run("invoice") as run:
        with run.tool("first"):
            tokens = stream()
        with run.tool("second") as second:
            assert list(tokens) == [0, 1]
            assert current_step() is second
        assert current_step() is None


def test_a_decorated_generator_is_one_for_those_who_look(recorded: Recorded) -> None:
    @recorded.tracer.step("tool")
    def one() -> Iterator[int]:
        yield 5

    with recorded.tracer.run("invoice"):
        assert inspect.isgenerator(one())
        with contextlib.contextmanager(one)() as value:
            assert value == 5


@Tracer.disabled().step("tool")
def of_this_module(value: int) -> int:
    return value + 1


def test_a_decorated_function_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(of_this_module))(1) == 2  # noqa: S301 - made here


def test_calls_outside_a_run_are_counted(recorded: Recorded) -> None:
    @recorded.tracer.step("tool", "look up")
    def look_up(value: int) -> int:
        return value

    with recorded.tracer.run("invoice") as run, ThreadPoolExecutor(1) as pool:
        list(pool.map(look_up, range(3)))
        list(pool.map(run.bind(look_up), range(2)))
    stats = recorded.tracer.stats()
    assert stats.steps_outside == 3, "a pool's threads are in no run, unless the function is bound to one"
    assert stats.last_invalid[-1] == "tool:look up was called where no run is current."
    assert len(recorded.steps()) == 2


def test_a_step_that_ends_after_its_run_is_counted(recorded: Recorded) -> None:
    with recorded.tracer.run("invoice") as run:
        late = run.tool("late").__enter__()
    late.__exit__(None, None, None)
    assert recorded.tracer.stats().steps_outside == 1
    assert recorded.tracer.stats().last_invalid == ("tool:late ended after its run.",)


@pytest.mark.parametrize(
    ("code", "status"), [(0, Status.OK), (None, Status.OK), (1, Status.ERROR), ("no", Status.ERROR)]
)
def test_an_exit_without_a_fault_is_no_failure(recorded: Recorded, code: Any, status: Status) -> None:
    def leave() -> None:
        with recorded.tracer.run("invoice") as run, run.tool("t"):
            sys.exit(code)

    with pytest.raises(SystemExit):
        leave()
    assert recorded.steps()[0].status is status
    (end,) = (event for event in events_of(recorded.transport) if isinstance(event, RunFinished))
    assert end.final_state == ("failed" if status is Status.ERROR else "answered")

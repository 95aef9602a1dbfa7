"""Questions that take turns: few at once, equal ones that wait are put once, and none waits for ever."""

import math
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from causeline.schemas.errors import Unreachable
from causeline.stack.waiting import wait_until
from causeline.web.turns import Turns

PATIENCE_S = 60


class Question:
    """Equal to those of its text; notes that it was found equal to another that waits."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.met = Event()

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Question) and other.text == self.text:
            self.met.set()
            other.met.set()
            return True
        return False


class Scene:
    """One turn at a time, and a question that holds it until `go`."""

    def __init__(self, wait_s: float = PATIENCE_S) -> None:
        self.turns = Turns(at_once=1, wait_s=wait_s)
        self.put: list[str] = []
        self.has_turn, self.go = Event(), Event()
        self.threads = ThreadPoolExecutor(8)
        self.first = self.ask("first", self.hold)
        assert self.has_turn.wait(PATIENCE_S)

    def hold(self) -> str:
        self.has_turn.set()
        assert self.go.wait(PATIENCE_S)
        return "held"

    def ask(self, text: Hashable, put: Callable[[], str] | None = None, within_s: float = math.inf) -> "Future[str]":
        """Asked in a thread; back once the question is there, if an equal one waits."""
        return self.threads.submit(self.turns.take, text, put or (lambda: self.note(str(text))), within_s=within_s)

    def note(self, text: str) -> str:
        self.put.append(text)
        return f"answer {len(self.put)}"


def test_equal_questions_that_wait_are_put_once_and_others_by_themselves() -> None:
    scene = Scene()
    one, two = Question("list"), Question("list")
    asked = [scene.threads.submit(scene.turns.take, each, lambda: scene.note("list")) for each in (one, two)]
    assert two.met.wait(PATIENCE_S)
    other = scene.ask("other")

    scene.go.set()
    assert len({each.result(PATIENCE_S) for each in asked}) == 1
    assert other.result(PATIENCE_S)
    assert sorted(scene.put) == ["list", "other"]


def test_a_question_that_was_put_already_is_not_shared_for_it_may_know_less() -> None:
    scene = Scene()
    late = scene.ask("first")

    scene.go.set()
    assert scene.first.result(PATIENCE_S) == "held"
    assert late.result(PATIENCE_S) == "answer 1"


def test_what_goes_wrong_is_told_to_all_who_share_it_and_the_turn_goes_on() -> None:
    scene = Scene()

    def fail() -> str:
        raise Unreachable("The store is away.")

    one, two = Question("list"), Question("list")
    asked = [scene.threads.submit(scene.turns.take, each, fail) for each in (one, two)]
    assert two.met.wait(PATIENCE_S)
    scene.go.set()

    for each in asked:
        with pytest.raises(Unreachable, match="away"):
            each.result(PATIENCE_S)
    assert scene.ask("next").result(PATIENCE_S) == "answer 1"


def test_a_question_that_gets_no_turn_is_refused_with_a_sentence() -> None:
    scene = Scene(wait_s=0.01)

    with pytest.raises(Unreachable, match="more questions"):
        scene.ask("second").result(PATIENCE_S)
    scene.go.set()
    wait_until(scene.first.done, timeout_s=PATIENCE_S, what="the first is not answered")
    assert scene.ask("second").result(PATIENCE_S) == "answer 1"


def test_nobody_waits_longer_than_they_said_for_a_turn_or_for_anothers_answer() -> None:
    scene = Scene()
    with pytest.raises(Unreachable, match="more questions"):
        scene.ask("second", within_s=0.01).result(PATIENCE_S)

    one, two = Question("list"), Question("list")
    patient = scene.ask(one)
    wait_until(lambda: one in scene.turns._waiting, timeout_s=PATIENCE_S, what="it does not wait for its turn")
    with pytest.raises(Unreachable, match="more questions"):
        scene.ask(two, within_s=0.01).result(PATIENCE_S)
    scene.go.set()
    assert patient.result(PATIENCE_S) == "answer 1"


def test_who_shares_with_somebody_who_gives_up_waits_on() -> None:
    scene = Scene()
    one, two = Question("list"), Question("list")
    hasty = scene.ask(one, within_s=0.5)
    wait_until(lambda: one in scene.turns._waiting, timeout_s=PATIENCE_S, what="it does not wait for its turn")
    one.met.clear()
    patient = scene.ask(two)
    assert two.met.wait(PATIENCE_S)

    with pytest.raises(Unreachable, match="more questions"):
        hasty.result(PATIENCE_S)
    scene.go.set()
    assert patient.result(PATIENCE_S)

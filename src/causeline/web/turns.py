"""Questions are put to the store a few at a time, and equal ones that wait for their turn are put once.

Many at once all take so long that none is answered in time. Whoever comes while an equal question waits shares its
answer, which is from after they came; one that was put already is not shared, since it may know less than they do.
"""

import math
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock, Semaphore
from typing import Any, TypeVar

from causeline.schemas.errors import Unreachable

AT_ONCE = 4
"""Questions that the store has at a time: it works at each with several threads."""
_WAIT_S = 25.0
"""How long a question may wait for its turn. With the wait for its answer that is less than a page's patience; a page
of several questions has its patience for all of them."""
_Answer = TypeVar("_Answer")


class NoTurn(Unreachable):
    """A question that waited for its turn, and for an equal one before it, for as long as it may."""

    def __init__(self) -> None:
        super().__init__("The store has more questions to answer than it can just now.", hint="Again in a moment.")


class Turns:
    """Takes turns, for any number of threads."""

    def __init__(self, *, at_once: int = AT_ONCE, wait_s: float = _WAIT_S) -> None:
        self._wait_s = wait_s
        self._turns = Semaphore(at_once)
        self._lock = Lock()
        self._waiting: dict[Hashable, Future[Any]] = {}

    def take(self, question: Hashable, put: Callable[[], _Answer], *, within_s: float = math.inf) -> _Answer:
        """The answer that `put` gets, perhaps another's; raises what `put` raises, and NoTurn.

        Nobody waits longer than `within_s` for a turn, or for another's answer.
        """
        began_s = time.monotonic()
        ends_s = began_s + min(self._wait_s, within_s)
        while True:
            with self._lock:
                shared = self._waiting.get(question)
                if shared is None:
                    mine: Future[_Answer] = Future()
                    self._waiting[question] = mine
            if shared is None:
                return self._own(question, mine, put, ends_s)
            try:
                answer: _Answer = shared.result(_left(began_s + within_s))
            except NoTurn:  # to whoever came first; there may be time left for those who came later
                if time.monotonic() >= ends_s:
                    raise
            except TimeoutError:
                raise NoTurn from None
            else:
                return answer

    def _own(self, question: Hashable, mine: "Future[_Answer]", put: Callable[[], _Answer], ends_s: float) -> _Answer:
        try:
            self._wait(question, ends_s)
            answer = self._put(put)
        except BaseException as error:
            mine.set_exception(error)
            raise
        mine.set_result(answer)
        return answer

    def _wait(self, question: Hashable, ends_s: float) -> None:
        has_turn = self._turns.acquire(timeout=_left(ends_s))
        with self._lock:
            del self._waiting[question]
        if not has_turn:
            raise NoTurn

    def _put(self, put: Callable[[], _Answer]) -> _Answer:
        try:
            return put()
        finally:
            self._turns.release()


def _left(until_s: float) -> float | None:
    return None if until_s == math.inf else max(0.0, until_s - time.monotonic())

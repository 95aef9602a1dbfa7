"""Questions are put to the store a few at a time, and equal ones that wait for their turn are put once.

Many at once all take so long that none is answered in time. Whoever comes while an equal question waits shares its
answer, which is from after they came; one that was put already is not shared, since it may know less than they do.
"""

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock, Semaphore
from typing import Any, TypeVar

from causeline.schemas.errors import Unreachable

AT_ONCE = 4
"""Questions that the store has at a time: it works at each with several threads."""
_WAIT_S = 25.0
"""How long a question may wait for its turn. With the wait for its answer that is less than a page's patience."""
_Answer = TypeVar("_Answer")


class Turns:
    """Takes turns, for any number of threads."""

    def __init__(self, *, at_once: int = AT_ONCE, wait_s: float = _WAIT_S) -> None:
        self._wait_s = wait_s
        self._turns = Semaphore(at_once)
        self._lock = Lock()
        self._waiting: dict[Hashable, Future[Any]] = {}

    def take(self, question: Hashable, put: Callable[[], _Answer]) -> _Answer:
        """The answer that `put` gets, perhaps another's; raises what `put` raises, and Unreachable without a turn."""
        with self._lock:
            shared = self._waiting.get(question)
            if shared is None:
                mine: Future[_Answer] = Future()
                self._waiting[question] = mine
        if shared is not None:
            answer: _Answer = shared.result()
            return answer
        try:
            has_turn = self._turns.acquire(timeout=self._wait_s)
            with self._lock:
                del self._waiting[question]
            answer = self._put(put) if has_turn else self._too_many()
        except BaseException as error:
            mine.set_exception(error)
            raise
        mine.set_result(answer)
        return answer

    def _put(self, put: Callable[[], _Answer]) -> _Answer:
        try:
            return put()
        finally:
            self._turns.release()

    @staticmethod
    def _too_many() -> Any:
        raise Unreachable("The store has more questions to answer than it can just now.", hint="Again in a moment.")

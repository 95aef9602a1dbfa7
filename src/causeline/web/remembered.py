"""What pages need and many share, kept for a while, so that hardly one of them waits for it.

Young answers are given as they are. An older one is given once more, and asked for again beside the page, by one
thread; only what was never asked, or is too old to be given, is waited for.
"""

import logging
import operator
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

from causeline.schemas.errors import CauselineError

log = logging.getLogger(__name__)
_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")
_AGES = 10
"""So many times as old as a young answer one may be to be given at all."""


@dataclass(frozen=True, slots=True)
class Known(Generic[_Value]):
    """An answer; in a shell of its own, because None is one as well."""

    value: _Value


class Remembered(Generic[_Key, _Value]):
    """Answers by key, for any number of threads; `beside` does what no page waits for.

    A new answer that is the same (`are_same`) leaves the object that is kept, so that what was made of it stands.
    """

    def __init__(
        self,
        now_s: Callable[[], float],
        beside: Executor,
        *,
        young_s: float,
        most: int,
        are_same: Callable[[_Value, _Value], bool] = operator.eq,
    ) -> None:
        self._now_s = now_s
        self._beside = beside
        self._young_s = young_s
        self._most = most
        self._are_same = are_same
        self._lock = Lock()
        self._kept: OrderedDict[_Key, tuple[float, Known[_Value]]] = OrderedDict()
        self._asking: set[_Key] = set()

    def keys(self) -> list[_Key]:
        """What answers are kept of, young or not."""
        with self._lock:
            return list(self._kept)

    def get(self, key: _Key, ask: Callable[[], _Value]) -> Known[_Value] | None:
        """What is known; None where the caller has to ask, and to `put` the answer. `ask` is for later."""
        with self._lock:
            found = self._kept.get(key)
            age_s = self._now_s() - found[0] if found else 0.0
            if found is None or age_s >= _AGES * self._young_s:
                return None
            self._kept.move_to_end(key)
            if age_s < self._young_s or key in self._asking:
                return found[1]
            self._asking.add(key)
        self._beside.submit(self._again, key, ask)
        return found[1]

    def put(self, key: _Key, value: _Value) -> Known[_Value]:
        """Keep an answer, as of now."""
        with self._lock:
            found = self._kept.get(key)
        known = found[1] if found and self._are_same(found[1].value, value) else Known(value)
        with self._lock:
            self._kept[key] = (self._now_s(), known)
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return known

    def _again(self, key: _Key, ask: Callable[[], _Value]) -> None:
        try:
            self.put(key, ask())
        except CauselineError as error:  # the page that finds it too old asks itself, and says so
            log.info("what is kept of %s stays as it is: %s", key, error.message)
        finally:
            with self._lock:
                self._asking.discard(key)

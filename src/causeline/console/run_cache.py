"""Runs that were read lately, kept by the digest of their stored text.

A revision alone is no key: a run that is judged again keeps it, and its text changes.
"""

from collections import OrderedDict
from threading import Lock

from causeline.schemas.run import Run

_STEPS = 250_000


class RunCache:
    """The runs that were asked for last, in bounds by their steps, for any number of threads."""

    def __init__(self, *, max_steps: int = _STEPS) -> None:
        self._max_steps = max_steps
        self._lock = Lock()
        self._kept: OrderedDict[str, tuple[str, Run]] = OrderedDict()
        self._steps = 0

    def get(self, run_id: str) -> tuple[str, Run] | None:
        """The digest and the run that were kept of an id."""
        with self._lock:
            found = self._kept.get(run_id)
            if found is not None:
                self._kept.move_to_end(run_id)
            return found

    def put(self, digest: str, run: Run) -> None:
        """Keep `run`; the ones not asked for longest make room. One that fills all the room alone is not kept."""
        with self._lock:
            if (old := self._kept.pop(run.run_id, None)) is not None:
                self._steps -= _size(old[1])
            if _size(run) > self._max_steps:
                return
            self._kept[run.run_id] = (digest, run)
            self._steps += _size(run)
            while self._steps > self._max_steps:
                _, (_, gone) = self._kept.popitem(last=False)
                self._steps -= _size(gone)


def _size(run: Run) -> int:
    return 1 + len(run.steps) + len(run.evidence)

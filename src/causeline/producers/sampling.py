"""Sampling of whole runs, with rules that keep: a share of the runs is on record, and every run that went wrong is.

A run of the share is emitted as it goes. The events of any other are held until the run does something that is always
kept, and from there on it is emitted too; if it ends without, it is dropped whole, and counted. What is held is
bounded: past the bound the run that has been held longest is emitted, for a run is never on record by half.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from causeline.schemas.events import MAX_LABELS
from causeline.schemas.vocabulary import EventType, FinalState, Status

SHARE_LABEL: Final = "sample.share"
"""Label of the end of a run: which share of the runs like it is on record. One over it is the run's weight."""

_HASH_SPACE: Final = 2**64
_ALWAYS: Final = frozenset({EventType.FALLBACK_TAKEN, EventType.REVIEW_RECORDED, EventType.EVAL_RECORDED})

Emit = Callable[[str, str, bytes], bool]


def is_in_share(run_id: str, share: float) -> bool:
    """Whether a run is in the sample, by its id alone; a larger share has all the runs of a smaller one."""
    # The person string sets it apart from other choices by the run's id, such as those of a review's sample.
    digest = hashlib.blake2b(run_id.encode(), digest_size=8, person=b"causeline emit").digest()
    return int.from_bytes(digest, "big") < share * _HASH_SPACE


def is_always_kept(kind: EventType, said: Mapping[str, Any]) -> bool:
    """Whether an event puts its run on record whatever the sample: errors, gaps, fallbacks, reviews, eval cases, and
    ends that are no answer."""
    if kind in _ALWAYS:
        return True
    if kind is EventType.EVIDENCE_CHECKED:
        return said.get("next_step") is not None
    if kind is EventType.RUN_FINISHED and said.get("final_state") != FinalState.ANSWERED:
        return True
    return said.get("status", Status.OK) != Status.OK or bool(said.get("error_type") or said.get("validation_errors"))


class SampledRun:
    """What becomes of one run's events. Made by `Sampling.begin`; safe for threads."""

    __slots__ = ("_events", "_is_dropped", "_sampling", "is_kept", "is_on_record", "size_bytes")

    def __init__(self, sampling: "Sampling", *, is_in_share: bool) -> None:
        self._sampling = sampling
        self._events: list[tuple[str, str, bytes]] = []
        self._is_dropped = False
        self.size_bytes = 0
        self.is_on_record = is_in_share
        """Whether its events are emitted as they come."""
        self.is_kept = False
        """Whether it would be on record if it were not in the share."""

    def __len__(self) -> int:
        return len(self._events)

    def emit(self, run_id: str, event_id: str, item: bytes) -> bool:
        """Emit an event, or hold it."""
        with self._sampling.lock:
            if self.is_on_record:
                return self._sampling.emit(run_id, event_id, item)
            if self._is_dropped:
                return True
            self._events.append((run_id, event_id, item))
            self.size_bytes += len(item)
            self._sampling.hold(self, len(item))
            return True

    def keep(self) -> None:
        """Put the run on record: what is held now, and what is to come."""
        with self._sampling.lock:
            if not self._is_dropped:
                self.is_kept = True
                self.put_on_record()

    def put_on_record(self) -> None:
        """Emit what is held, and hold nothing more."""
        with self._sampling.lock:
            self.is_on_record = True
            for event in self._take():
                self._sampling.emit(*event)

    def end(self) -> bool:
        """The run ends without a reason to keep it: whether it is on record all the same. If not, it is dropped."""
        with self._sampling.lock:
            if not self.is_on_record:
                self._is_dropped = True
                self._take()
                self._sampling.sampled_out += 1
            return self.is_on_record

    def with_share(self, labels: Any) -> Any:
        """Labels of the run's end, with the share that it stands for; as they are where there is no room for it."""
        if labels is None:
            labels = {}
        if not isinstance(labels, Mapping) or len(labels) >= MAX_LABELS:
            return labels
        return {**labels, SHARE_LABEL: "1" if self.is_kept else f"{self._sampling.share:g}"}

    def _take(self) -> list[tuple[str, str, bytes]]:
        self._sampling.let_go(self)
        taken, self._events, self.size_bytes = self._events, [], 0
        return taken


class Sampling:
    """The runs of one emitter that wait for their end. Its lock is reentrant, as the buffer's is, and outside of it."""

    def __init__(self, share: float, emit: Emit, *, max_events: int, max_bytes: int) -> None:
        self.share = share
        self.emit = emit
        self.lock = threading.RLock()
        self.sampled_out = 0
        """Runs dropped whole."""
        self._max_events, self._max_bytes = max_events, max_bytes
        self._held: dict[SampledRun, None] = {}
        self._events = self._bytes = 0

    def begin(self, run_id: str) -> SampledRun | None:
        """What becomes of a run; None when all runs are on record."""
        if self.share >= 1:
            return None
        return SampledRun(self, is_in_share=is_in_share(run_id, self.share))

    def hold(self, run: SampledRun, size_bytes: int) -> None:
        """Under the lock: a run holds one event more."""
        self._held[run] = None
        self._events += 1
        self._bytes += size_bytes
        while self._events > self._max_events or self._bytes > self._max_bytes:
            next(iter(self._held)).put_on_record()

    def let_go(self, run: SampledRun) -> None:
        """Under the lock: a run holds its events no more."""
        if run in self._held:
            del self._held[run]
            self._events -= len(run)
            self._bytes -= run.size_bytes

    def release(self) -> None:
        """Put on record all that wait: the process ends, and they have not."""
        with self.lock:
            for run in list(self._held):
                run.keep()

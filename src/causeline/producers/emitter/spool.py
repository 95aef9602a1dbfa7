"""The spool: events on disk while the broker is away, in the order in which they came, until it is back.

The emitter's thread appends batches to segments and takes the oldest records to send them; a record leaves the disk
when the broker has it. What a process leaves behind the next one that has the same folder takes over. The size is
bounded: past the bound the oldest segment is dropped, and for each run that lost events by it one event that says how
many is spooled in their place, so that the loss is in the record too.

What is here survives the end of its process, `kill -9` included; that of the machine only as far as the operating
system had written it to the disk.

Decided in ADR 20.
"""

import heapq
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from causeline.producers.emitter.losses import loss_events
from causeline.producers.emitter.segments import SUFFIX, Record, Segment
from causeline.schemas.errors import EnvironmentFault

_SEGMENTS = 16
_LEAST_SEGMENT_BYTES = 64 * 1024
_MOST_SEGMENT_BYTES = 64 * 1024 * 1024


class Spool:
    """A folder of segments. Used by one thread; safe for processes."""

    def __init__(self, folder: Path, emitter_id: str, *, max_bytes: int, fault: Callable[[str], None]) -> None:
        self._folder = folder
        self._emitter_id = emitter_id
        self._max_bytes = max_bytes
        self._segment_bytes = min(max(max_bytes // _SEGMENTS, _LEAST_SEGMENT_BYTES), _MOST_SEGMENT_BYTES)
        self._fault = fault
        self._segments: list[Segment] = []
        self._waiting: list[tuple[bool, str, int, int, Record]] = []
        """A heap of the records to be sent: those of other processes first, each process's in its order."""
        self._ties = itertools.count()
        self._current: Segment | None = None
        self._numbers = itertools.count()
        self._drops = itertools.count()
        self.events = self.dropped = 0

    @property
    def size_bytes(self) -> int:
        """Bytes on disk, of records that are done too as long as their segment is there."""
        return sum(segment.size_bytes for segment in self._segments)

    def append(self, first: int, items: Sequence[bytes]) -> bool:
        """Write some events; False, with the fault told, when the disk does not take them."""
        size = sum(map(len, items))
        try:
            for _ in range(len(self._segments) + 1):
                if self.size_bytes + size <= self._max_bytes:
                    break
                if not self._drop_oldest():
                    return False
            self._wait(self._segment_for(size).append(first, items))
        except OSError as error:
            self._fault(f"The spool {self._folder} cannot be written ({error.strerror}); events wait in memory only.")
            return False
        self.events += len(items)
        return True

    def take(self) -> Record | None:
        """The oldest record that is not under way; it is from here on."""
        while self._waiting:
            record = heapq.heappop(self._waiting)[-1]
            if record.at in record.segment.records:  # its segment may have been dropped meanwhile
                record.is_under_way = True
                return record
        return None

    def done(self, record: Record) -> None:
        """The broker has a record: when it has all of a segment, its file goes."""
        segment = record.segment
        if segment.records.pop(record.at, None) is None:
            return
        self.events -= record.events
        if not segment.records:
            self._forget(segment)

    def again(self, record: Record) -> None:
        """A record is to be sent again."""
        record.is_under_way = False
        self._wait(record)

    def lose(self, record: Record) -> None:
        """A record cannot be read: its events are lost, and counted."""
        self.dropped += record.events
        self.done(record)

    def adopt(self) -> int:
        """Take over the segments whose processes are gone."""
        taken = 0
        try:
            for path in sorted(self._folder.glob(f"*{SUFFIX}")):
                if _process_of(path) == self._emitter_id or (segment := Segment.adopt(path)) is None:
                    continue
                if segment.damaged_bytes:
                    self._fault(
                        f"The spool's file {path.name} ends in {segment.damaged_bytes} damaged bytes, left out."
                    )
                if not segment.records:
                    segment.remove()
                    continue
                self._segments.insert(0, segment)
                taken += sum(record.events for record in segment.records.values())
                for record in segment.records.values():
                    self._wait(record)
        except OSError as error:
            self._fault(f"The spool {self._folder} cannot be read ({error.strerror}).")
        self.events += taken
        return taken

    def close(self) -> None:
        """Let go of the files."""
        for segment in self._segments:
            segment.close()
        self._segments, self._waiting, self._current = [], [], None

    def _wait(self, record: Record) -> None:
        process = _process_of(record.segment.path)
        heapq.heappush(self._waiting, (process == self._emitter_id, process, record.first, next(self._ties), record))

    def _segment_for(self, size: int) -> Segment:
        if self._current is None or self._current.size_bytes + size > self._segment_bytes:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._current = next(made for made in self._new_segments() if made is not None)
            self._segments.append(self._current)
        return self._current

    def _new_segments(self) -> Iterator[Segment | None]:
        for number in self._numbers:
            yield Segment.create(self._folder / f"{self._emitter_id}.{number:08d}{SUFFIX}")

    def _forget(self, segment: Segment) -> None:
        if segment is self._current:
            self._current = None
        self._segments.remove(segment)
        try:
            segment.remove()
        except OSError as error:
            self._fault(f"The spool's file {segment.path.name} cannot be removed ({error.strerror}).")

    def _drop_oldest(self) -> bool:
        """Make room; False when there is none to be made."""
        idle = (each for each in self._segments if not any(record.is_under_way for record in each.records.values()))
        segment = next(idle, None)
        if segment is None:
            return False
        items: list[bytes] = []
        for record in segment.records.values():
            try:
                items += record.items()
            except EnvironmentFault as error:
                self._fault(str(error))
        events = sum(record.events for record in segment.records.values())
        self.dropped += events
        self.events -= events
        segment.records.clear()
        self._forget(segment)
        told = loss_events(items, f"{self._emitter_id}+lost{next(self._drops)}")
        if told:
            self._wait(self._segment_for(sum(map(len, told))).append(0, told))
            self.events += len(told)
        self._fault(
            f"The spool {self._folder} is full: its {events} oldest events were dropped, and their runs say so."
        )
        return True


def _process_of(path: Path) -> str:
    return path.name.partition(".")[0]

"""What one process writes a run's events with: the bytes that stay the same, the next number, where they go.

The usual event takes the generated way; one that the writer refuses is mended and written again, under the same number.
"""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from causeline.producers.mending import plain
from causeline.producers.mending.event import mended
from causeline.producers.sampling import Emit, SampledRun, is_always_kept
from causeline.runtime.clock import system_clock
from causeline.schemas.events import LAST_MICROSECOND
from causeline.schemas.vocabulary import EventType
from causeline.schemas.wire.writer import OF_EVERY_STEP, RunWriter

if TYPE_CHECKING:
    from causeline.producers.emitter.emitter import Emitter


class Pen(NamedTuple):
    """Writes and hands over; raises InvalidEvent for what cannot be an event whatever is left out."""

    run_id: str
    writer: RunWriter
    numbers: "itertools.count[int]"
    emitter: "Emitter"
    emit: Emit
    sampled: SampledRun | None
    """Where not all runs are on record."""

    def put(self, kind: EventType, seq: int, at: int, fields: Mapping[str, Any]) -> bool:
        """One event; False when it was not taken."""
        if self.sampled is not None and is_always_kept(kind, fields):
            self.sampled.keep()
        try:
            event_id, item = self.writer.write(kind, seq=seq, occurred_at=at, fields=fields)
        except Exception:  # noqa: BLE001 - a subclass of str or int may raise anything where it is encoded
            event_id, item = self._mend(kind, seq, at, fields)
        return self.emit(self.run_id, event_id, item)

    def mend_step(
        self, seq: int, at: int, of_every_step: tuple[object, ...], fields: Mapping[str, Any]
    ) -> tuple[str, bytes]:
        """The end of a step that the writer refuses; its fields are those of OF_EVERY_STEP and `fields`."""
        said = {**dict(zip(OF_EVERY_STEP, of_every_step, strict=True)), **fields}
        return self._mend(EventType.STEP_FINISHED, seq, at, said)

    def _mend(self, kind: EventType, seq: int, at: int, fields: Mapping[str, Any]) -> tuple[str, bytes]:
        at = moment(at)
        event = mended(kind, fields, at)
        written = self.writer.write(event.kind, seq=seq, occurred_at=at, fields=event.fields)
        if event.faults:
            if self.sampled is not None:
                self.sampled.keep()  # a run that lacks something says so
            self.emitter.count_mended(event.faults.sentences(kind))
        return written


def moment(at: Any) -> int:
    """Microseconds since the epoch; those of the system's clock where a clock of the application's gives none."""
    try:
        found = at if type(at) is int else plain.whole(at)
    except Exception:  # noqa: BLE001 - whatever such a clock gives, the event has its time
        return system_clock()
    return found if 0 <= found <= LAST_MICROSECOND else system_clock()

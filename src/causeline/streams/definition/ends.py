"""How a run begins and ends: which of several ends is believed, and what stands for both where nobody tells them.

Decided in ADRs 24 and 40.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from causeline.schemas.decisions import AFTERTHOUGHTS
from causeline.schemas.events import UNNUMBERED_EMITTER
from causeline.schemas.vocabulary import EventType, FinalState, Status
from causeline.streams.definition.records import Event


@dataclass(frozen=True, slots=True)
class Ends:
    """`start`: the event that begins the run. `end`: the one that is believed of how it ended, and `ended_at` when."""

    start: Event | None
    end: Event | None
    ended_at: int | None
    final_state: str | None
    roots: int = 0
    """Of a foreign trace, at how many moments a span without a parent began."""
    is_orphaned: bool = False
    """No span of it enters: its topmost orphans stand for a start and an end."""


def ends_of(events: Sequence[Event]) -> Ends:
    """The ends of a run's events, in canonical order."""
    starts = [event for event in events if event.event_type == EventType.RUN_STARTED]
    ends = [event for event in events if event.event_type == EventType.RUN_FINISHED]
    if not starts and not ends and (orphans := _topmost_orphans(events)):
        return _between_orphans(orphans)
    end, ended_at = _believed(ends) if ends else (None, None)
    return Ends(starts[0] if starts else None, end, ended_at, end.final_state if end else None, _roots(starts))


def _believed(ends: Sequence[Event]) -> tuple[Event, int]:
    """Of the ends that an emitter numbers the first. Of a foreign trace's the roots' go before those of spans that were
    entered from elsewhere, an error before an answer, the last before others; the run lasts until the last root's.
    """
    numbered = [end for end in ends if not is_foreign(end)]
    if numbered:
        return numbered[0], numbered[0].occurred_at
    roots = [end for end in ends if end.parent_step_id is None] or ends
    failed = [end for end in roots if end.status == Status.ERROR]
    return (failed or roots)[-1], max(end.occurred_at for end in roots)


def _topmost_orphans(events: Sequence[Event]) -> list[Event]:
    """The foreign steps that name a parent which never came, or none."""
    seen = {event.step_id for event in events if event.step_id is not None}
    return [
        event
        for event in events
        if event.event_type == EventType.STEP_FINISHED and is_foreign(event) and event.parent_step_id not in seen
    ]


def _between_orphans(orphans: Sequence[Event]) -> Ends:
    """It begins with the first of them and ends as the last does, which may have come of the others' failure."""
    first = min(orphans, key=lambda step: (step.started_at or 0, step.step_id or ""))
    last = orphans[-1]
    state = FinalState.FAILED if last.status == Status.ERROR else FinalState.ANSWERED
    return Ends(first, last, max(step.occurred_at for step in orphans), state.value, is_orphaned=True)


def _roots(starts: Sequence[Event]) -> int:
    return len({start.run_started_at for start in starts if is_foreign(start) and start.parent_step_id is None})


def is_foreign(event: Event) -> bool:
    """Whether it came as a span of a foreign trace, which nobody numbers."""
    return event.emitter_id == UNNUMBERED_EMITTER


# --- when


def live(events: Sequence[Event]) -> list[int]:
    """When the events say they were, leaving out what is told of a run when it is over; perhaps long after."""
    return [event.occurred_at for event in events if event.event_type not in AFTERTHOUGHTS]


def started_at(events: Sequence[Event], ends: Ends) -> int:
    """Start of the run: as its start says it, else the earliest that any event says."""
    return ends.start.run_started_at if ends.start else min(event.run_started_at for event in events)


def finished_at(events: Sequence[Event], ends: Ends) -> int:
    """Last moment known: of its end, else of what happened, else of what was told of it afterwards."""
    if ends.ended_at is not None:
        return ends.ended_at
    return max(live(events) or [event.occurred_at for event in events])

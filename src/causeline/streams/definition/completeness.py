"""Whether a run's record is whole, and what it lacks when it is not."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from causeline.schemas.losses import LOSS_ERROR, LOSS_STEP, LOST_EVENTS
from causeline.schemas.vocabulary import CloseReason, EventType, Verdict
from causeline.streams.definition.ends import Ends, is_foreign
from causeline.streams.definition.measures import LARGEST_LONG
from causeline.streams.definition.records import Event

MOST_LOST: Final = 2**40
"""A sequence number may be any; no more events than this are said to be lost, of an emitter or by one event."""


def holes(events: Iterable[Event]) -> int:
    """Events proven lost: of each emitter what lies between its numbers, and up to how many it says it sent."""
    numbers: dict[str, set[int]] = {}
    expected: dict[str, int] = {}
    for event in events:
        numbers.setdefault(event.emitter_id, set()).add(event.seq)
        if event.expected_events is not None:
            expected[event.emitter_id] = max(event.expected_events, expected.get(event.emitter_id, 0))
    sent = {emitter: max(max(seen) + 1, expected.get(emitter, 0)) for emitter, seen in numbers.items()}
    return sum(min(sent[emitter] - len(seen), MOST_LOST) for emitter, seen in numbers.items())


def told_lost(events: Iterable[Event]) -> int:
    """How many events the emitters themselves say that they lost; one that stands for such says at least one."""
    return sum(
        _told(event)
        for event in events
        if event.step_name == LOSS_STEP
        and event.error_type == LOSS_ERROR
        and event.event_type == EventType.STEP_FINISHED
    )


def _told(loss: Event) -> int:
    said = [int(label["value"]) for label in loss.labels if label["key"] == LOST_EVENTS and _is_long(label["value"])]
    return min(max([1, *said]), MOST_LOST)


def _is_long(text: str) -> bool:
    return re.fullmatch("[+-]?[0-9]+", text) is not None and -LARGEST_LONG - 1 <= int(text) <= LARGEST_LONG


def missing(events: Sequence[Event], ends: Ends, *, overflow: bool) -> list[str]:
    """What a partial run lacks: start; then each step that the end names more often than it was seen to finish, as
    kind:name, and of a foreign trace each span that others name as their parent, as parent:id; then end.

    Of a run with more events than one may have, the rest was not looked at: overflow stands in place of steps.
    """
    within = [CloseReason.OVERFLOW.value] if overflow else [*_absent_steps(events, ends), *_absent_parents(events)]
    return [*(["start"] if ends.start is None else []), *within, *(["end"] if ends.end is None else [])]


def _absent_steps(events: Iterable[Event], ends: Ends) -> list[str]:
    named = ends.end.expected_steps if ends.end else ()
    if not named:
        return []
    seen = [f"{event.step_kind}:{event.step_name}" for event in events if event.event_type == EventType.STEP_FINISHED]
    return [] if named == seen else list((Counter(named) - Counter(seen)).elements())


def _absent_parents(events: Sequence[Event]) -> list[str]:
    """A span that was entered from elsewhere names a parent that is another's to tell."""
    foreign = [event for event in events if event.parent_step_id is not None and is_foreign(event)]
    if not foreign:
        return []
    seen = {event.step_id for event in events}
    seen |= {event.parent_step_id for event in foreign if event.event_type == EventType.RUN_STARTED}
    named = dict.fromkeys(event.parent_step_id for event in foreign)
    return [f"parent:{parent}" for parent in named if parent not in seen]


def close_reason(ends: Ends, *, is_whole: bool) -> CloseReason:
    """Why a run was closed of which nobody says it: as what it is."""
    if ends.end is None:
        return CloseReason.IDLE
    return CloseReason.FINISHED if is_whole else CloseReason.GRACE


def verdict(ends: Ends, *, is_whole: bool, told: int, overflow: bool) -> Verdict:
    """complete: nothing is missing or lost. unfinished: its end never came, and is not among events told to be lost."""
    if is_whole and not overflow:
        return Verdict.COMPLETE
    return Verdict.PARTIAL if ends.end is not None or told or overflow else Verdict.UNFINISHED

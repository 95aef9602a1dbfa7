"""Labels of a run: those of its start and end, and what the joiner found of it.

What the joiner finds nobody outside can say in its place.
"""

from collections.abc import Sequence
from typing import Final

from causeline.schemas.decisions import CLAIMS
from causeline.schemas.otel_names import ROOTS_LABEL, SCOPE_LABEL, UNKNOWN_SCOPE
from causeline.schemas.vocabulary import CLAIMS_LABEL, FOREIGN_LABEL, SKEW_LABEL, EventType
from causeline.streams.definition.ends import Ends
from causeline.streams.definition.records import Event, Label

SKEW_FROM_S: Final = 600
"""So many seconds outside its run's time an event may well be: work that goes on for a while after the answer."""
_CLAIMED: Final = frozenset(CLAIMS.values())


def labels(events: Sequence[Event], ends: Ends, *, skew_s: int, set_aside: int) -> list[Label]:
    """By key, each once. `set_aside` is how many events of another's name there were."""
    claims = sum(event.event_type in _CLAIMED for event in events)
    found = {
        SKEW_LABEL: str(skew_s) if abs(skew_s) >= SKEW_FROM_S else None,
        SCOPE_LABEL: UNKNOWN_SCOPE if ends.is_orphaned else None,
        ROOTS_LABEL: str(ends.roots) if ends.roots > 1 else None,
        CLAIMS_LABEL: str(claims) if claims else None,
        FOREIGN_LABEL: str(set_aside) if set_aside else None,
    }
    told = _said_at_ends(events) | {key: value for key, value in found.items() if value is not None}
    return [{"key": key, "value": told[key]} for key in sorted(told)]


def _said_at_ends(events: Sequence[Event]) -> dict[str, str]:
    """Labels of the run's start and end; where both say a key, the end's value stands."""
    return {
        label["key"]: label["value"]
        for kind in (EventType.RUN_STARTED, EventType.RUN_FINISHED)
        for event in events
        if event.event_type == kind
        for label in event.labels
    }


def clock_skew_s(moments: Sequence[int], started_at: int, finished_at: int) -> int:
    """By how many whole seconds an event lies after the run's end, or before its start (then below zero); the greater.

    Runs are joined by id and number, so nothing is lost by clocks that disagree; only times are not to be believed.
    """
    behind = max(0, started_at - min(moments, default=started_at))
    ahead = max(moments, default=finished_at) - finished_at
    return -(behind // 1_000_000) if behind > ahead else ahead // 1_000_000

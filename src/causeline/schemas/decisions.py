"""Decisions: reviews and evals. They count when they come by a topic of their own, whose right few have.

Whoever may emit can write an event of these types to the events topic, under any reviewer's id. There it is a claim: it
keeps its place among its run's events, under a type that nothing is decided by. Spools, files and tests that nobody
else writes to know no such topics; what stands there is taken at its word.
"""

from collections.abc import Mapping
from typing import Final

from causeline.schemas.vocabulary import EventType

CLAIMS: Final[Mapping[str, str]] = {
    EventType.REVIEW_RECORDED.value: "review_claimed",
    EventType.EVAL_RECORDED.value: "eval_claimed",
}
"""By type of a decision what it is called when it comes by the events topic."""
DECISIONS: Final = frozenset(CLAIMS)
"""The types of events that the topic of decisions takes, and no others."""
AFTERTHOUGHTS: Final = (*CLAIMS, *CLAIMS.values(), EventType.EVALUATION_RECORDED.value)
"""The types of events that are told of a run when it is over: when they came says nothing of how long it took."""
NO_DECISION: Final = "event_type is neither review_recorded nor eval_recorded, and the topic takes decisions only."

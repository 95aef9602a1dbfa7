"""What joins events, and the words that lie between it and whoever holds runs open.

A core reads messages and writes runs; in between it keeps events as parts, in a form of its own. There are two: the
readable one, which is the definition itself (`readable.py`), and the compiled one (`compiled.py`), which gives the same
bytes and is several times as fast. Which events wait for which, when a run is closed and what may be acknowledged is
decided outside, and once for both. Pure.

Decided in ADR 71.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from causeline.schemas.policy import Policy
from causeline.streams.definition.reading import Message, Unreadable
from causeline.streams.definition.records import Event


class Part(Protocol):
    """Events of one run in order of arrival, from one message or from several, each with its place."""

    def __len__(self) -> int:
        """How many they are."""
        ...


class Share(NamedTuple):
    """What one message holds of one run from one emitter."""

    partition: int
    run_id: str
    offset: int
    emitter_id: str
    workflow: str
    """As the first of the events names it."""
    seqs: Sequence[int]
    """The number of each event, in the order of the message."""
    starts: int
    ends: int
    steps: int
    """Events of the type `step_finished`."""
    afterthoughts: int
    """Reviews, evals and evaluations: what people and gates say of a run, perhaps long after it."""
    expected_events: int | None
    """The most that any of them says."""
    expected_steps: int
    """The most steps that any of them names."""
    part: Part


class Check(NamedTuple):
    """A piece of evidence that was checked, to be judged while it can still change the next step."""

    partition: int
    offset: int
    event: Event


class Taken(NamedTuple):
    """What stands in messages. `events` counts those that can be used."""

    events: int
    shares: Sequence[Share]
    """In order of their messages, and in these of their first event."""
    checks: Sequence[Check]
    unreadable: Sequence[Unreadable]


class Fresh(NamedTuple):
    """Of a part the events that were not known, None where all were; and of the others how many say something else."""

    part: Part | None
    steps: int
    """Of the new ones, those of the type `step_finished`."""
    duplicates: int
    conflicting: int


class Known(Protocol):
    """The events of one run, by their ids: for a run of which some may have come again."""

    def take(self, part: Part) -> Fresh:
        """Which events of `part` were not known; they are then."""
        ...


class Stretch(NamedTuple):
    """Where a run stands in the log, for one whose events do not know it."""

    partition: int | None
    first_offset: int | None
    last_offset: int | None


class Brief(NamedTuple):
    """What is asked of a run once it is written; all else stands in its record."""

    run_id: str
    workflow: str
    verdict: str
    revision: int
    final_state: str | None
    route: str | None
    route_confidence: float | None
    gap_kinds: Sequence[str]
    next_steps: Sequence[str | None]
    """Of its gaps, as the policy says them."""
    fallbacks: Sequence[str | None]
    """Kinds of them."""


class Written(NamedTuple):
    """A run. `item` is its record as an item of a batch of the newest schema."""

    item: bytes
    brief: Brief
    last_offset: int | None
    duplicates: int
    conflicting: int


class Core(Protocol):
    """Reads messages and writes runs."""

    def read(self, messages: Sequence[Message]) -> Taken:
        """What stands in messages of the events topic, in which reviews and evals are claims (`schemas.decisions`)."""
        ...

    def known(self) -> Known:
        """Nothing is known of a run yet."""
        ...

    def together(self, parts: Sequence[Part]) -> Part:
        """The same events as one part, in less memory."""
        ...

    def joined(
        self,
        parts: Sequence[Part],
        *,
        closed_at: int,
        reason: str | None,
        policy: Policy,
        amended: bool = False,
        stretch: Stretch | None = None,
    ) -> Written:
        """The run of these events, as `definition.run.run_of` says; `stretch` is said in place of what they know."""
        ...

    def items(self, parts: Sequence[Part]) -> list[bytes]:
        """Their events as items of a batch of the newest schema, in order."""
        ...

    def part_of(self, events: Sequence[Event]) -> Part:
        """Events of one run that stand nowhere in the log, such as those of the store."""
        ...

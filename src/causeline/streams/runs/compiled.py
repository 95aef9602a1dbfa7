"""The compiled core: messages read and runs written by `core/`, many times as fast as by the definition.

It takes what it knows to be good. A message of which anything is odd, or older, or of another's writing, is read by the
readable core, which says what is wrong with what; a run that it gives back is joined by the readable core as well. What
a policy makes of evidence is asked of Python in both.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from typing import Any, Final, TypeVar, cast

import fastavro

from causeline.schemas import catalogue, wire
from causeline.schemas.policy import Policy
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import EVENTS, MAX_MESSAGE_BYTES, RUNS
from causeline.schemas.wire.native import Core as Native
from causeline.schemas.wire.native import NativePart
from causeline.streams.definition import findings
from causeline.streams.definition.events import Arrival, Place
from causeline.streams.definition.reading import Message, Unreadable
from causeline.streams.definition.records import Event
from causeline.streams.runs.core import Brief, Check, Fresh, Part, Share, Stretch, Taken, Written
from causeline.streams.runs.readable import Arrivals, ReadableCore
from causeline.streams.runs.records import event_in, event_item

log = logging.getLogger(__name__)
T = TypeVar("T")

_EMPTY: Final = b"\x02\x00"
"""An array that is there and has nothing in it."""
_EVENT: Final = catalogue.latest(EVENTS.subject)
_JUDGED: Final[dict[str, Any]] = {
    field["name"]: fastavro.parse_schema(field["type"])
    for field in (catalogue.latest(RUNS.subject).item or {})["fields"]
    if field["name"] in {"gap_kinds", "gaps", "conflict_sides"}
}
"""The fields of a run's record that a policy fills."""


class CompiledCore:
    """See `Core`; `native` is the module that does it."""

    def __init__(self, native: Native, schemas: Schemas) -> None:
        self._native = native
        self._readable = ReadableCore(schemas)
        self._leads = frozenset(_leads(schemas))
        self._has_told = False

    def read(self, messages: Sequence[Message]) -> Taken:
        """See `Core`."""
        events = 0
        shares: list[Share] = []
        checks: list[Check] = []
        unreadable: list[Unreadable] = []
        for message in messages:
            found = self._natively(message) or self._readably(message)
            events += found.events
            shares += found.shares
            checks += found.checks
            unreadable += found.unreadable
        return Taken(events, shares, checks, unreadable)

    def known(self) -> "KnownEvents":
        """See `Core`."""
        return KnownEvents(self._native)

    def together(self, parts: Sequence[Part]) -> Part:
        """See `Core`."""
        return _sound(self._native.together(cast("list[NativePart]", list(parts))))

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
        """See `Core`."""
        judge = _Judge(policy)
        mine = cast("list[NativePart]", list(parts))
        found = self._native.join(mine, (closed_at, reason, amended, policy.content_hash, stretch), judge)
        if found is None:
            if not self._has_told:
                self._has_told = True
                log.warning(
                    "the compiled core is at fault: it gave a run back, which the definition joins in its place"
                )
            arrivals = [Arrivals(list(_arrivals(part))) for part in mine]
            return self._readable.joined(
                arrivals, closed_at=closed_at, reason=reason, policy=policy, amended=amended, stretch=stretch
            )
        item, *brief, fallbacks, last_offset, duplicates, conflicting = found
        told = Brief._make((*brief, judge.kinds, judge.next_steps, tuple(fallbacks)))
        return Written(item, told, last_offset, duplicates, conflicting)

    def items(self, parts: Sequence[Part]) -> list[bytes]:
        """See `Core`."""
        return [item for part in cast("Sequence[NativePart]", parts) for item, _ in _sound(part.items())]

    def part_of(self, events: Sequence[Event]) -> Part:
        """See `Core`."""
        return self._part(Arrival(event) for event in events)

    # --- reading

    def _natively(self, message: Message) -> Taken | None:
        """None: something of it is not as the newest schema and the contract have it."""
        partition, offset, value = message
        if value is None or len(value) > MAX_MESSAGE_BYTES or value[: wire.FRAME_BYTES] not in self._leads:
            return None
        found = self._native.take(value, partition, offset)
        if found is None:
            return None
        events, shares, checks = found
        told = [Check(partition, offset, Event._make(said)) for said in checks]
        return Taken(events, [Share._make(share) for share in shares], told, [])

    def _readably(self, message: Message) -> Taken:
        events, shares, checks, unreadable = self._readable.read([message])
        mine = [share._replace(part=self._part(cast("Arrivals", share.part).arrivals)) for share in shares]
        return Taken(events, mine, checks, unreadable)

    def _part(self, arrivals: Iterable[Arrival]) -> Part:
        items = [(event_item(event), place) for event, place in arrivals]
        return _sound(self._native.part_of(items))


class KnownEvents:
    """See `Known`."""

    def __init__(self, native: Native) -> None:
        self._known = native.Known()

    def take(self, part: Part) -> Fresh:
        """See `Known`."""
        return Fresh(*_sound(self._known.take(cast("NativePart", part))))


class _Judge:
    """What a policy makes of a run's evidence: asked by the core while it writes the run, and of the run's brief."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.kinds: tuple[str, ...] = ()
        self.next_steps: tuple[str | None, ...] = ()

    def __call__(self, checks: Iterable[Sequence[Any]]) -> tuple[bytes, bytes, bytes]:
        events = [Event._make(said) for said in checks]
        gaps = findings.gaps(events, self._policy)
        self.kinds = tuple(findings.gap_kinds(gaps))
        self.next_steps = tuple(gap["next_step"] for gap in gaps)
        return (
            _array("gap_kinds", self.kinds),
            _array("gaps", gaps),
            _array("conflict_sides", findings.conflict_sides(events, self._policy)),
        )


def _sound(given: T | None) -> T:
    """What the core gives of events that it took before. Raises RuntimeError where it gives nothing: it is at fault."""
    if given is None:
        raise RuntimeError("the compiled core does not know its own events again")
    return given


def _array(field: str, items: Sequence[object]) -> bytes:
    """A field of a run's record, as it is written."""
    if not items:
        return _EMPTY
    out = BytesIO()
    fastavro.schemaless_writer(out, _JUDGED[field], list(items))
    return out.getvalue()


def _leads(schemas: Schemas) -> Iterator[bytes]:
    """How values of the newest schema begin, under each id that it has."""
    ids = [_EVENT.schema_id, *(schema_id for schema_id, each in schemas.registered.items() if _is_newest(each))]
    return (wire.frame(schema_id, b"") for schema_id in ids)


def _is_newest(schema: catalogue.SchemaVersion) -> bool:
    return (schema.subject, schema.version) == (_EVENT.subject, _EVENT.version)


def _arrivals(part: NativePart) -> Iterator[Arrival]:
    for item, place in _sound(part.items()):
        yield Arrival(event_in(item), None if place is None else Place(*place))

"""From what was received to encoded events: mapped, its content kept, and written as the items of batches."""

from typing import NamedTuple

from causeline.otlp.receiver import mapping
from causeline.otlp.receiver.content_store import Keeper
from causeline.otlp.receiver.drafts import Content, Draft
from causeline.otlp.receiver.rules import Rules
from causeline.otlp.receiver.run_words import rest_of_origin
from causeline.otlp.receiver.telemetry import Received
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.mending.event import mended
from causeline.schemas.decisions import DECISIONS
from causeline.schemas.errors import InvalidEvent
from causeline.schemas.events import UNNUMBERED_EMITTER
from causeline.schemas.vocabulary import EventType
from causeline.schemas.wire.writer import RunWriter


class Item(NamedTuple):
    """An encoded event, whose it is and what it says."""

    run_id: str
    event_id: str
    data: bytes
    kind: EventType

    def emit(self, emitter: Emitter, *, decides: bool) -> bool:
        """Hand it over; False where it is not taken. A decision that nobody vouches for goes to the events topic, where
        it is a claim."""
        through = emitter.decisions if decides and self.kind in DECISIONS else emitter
        return through.emit(self.run_id, self.event_id, self.data)


_NO_ID = "f" * 32
_BODY_FROM = 1 + len(_NO_ID)
"""An item is its id's length, its id, and what it says."""


def kept(received: Received, rules: Rules, keeper: Keeper) -> list[Draft]:
    """The drafts of all spans and log records, their content kept. Raises what the artifact store raises."""
    origins: dict[int, Content | None] = {}
    for span in received.spans:
        if id(span.origin) not in origins:
            origins[id(span.origin)] = Content.of(rest_of_origin(span.origin), is_object=True)
    drafts = [mapping.of_span(span, rules, origins[id(span.origin)]) for span in received.spans]
    for log in received.logs:
        if (draft := mapping.of_log(log, rules)) is not None:
            drafts.append(draft)
        else:
            keeper.let_go([f"log:{log.name or 'unnamed'}"])
    keeper.keep(drafts)
    return drafts


def encoded(drafts: list[Draft], received: Received) -> list[Item]:
    """The events of drafts; what breaks the contract is rejected, with the span it came of."""
    items: list[Item] = []
    for draft in drafts:
        try:
            items += _encoded(draft)
        except InvalidEvent as error:
            received.reject(f"a span that breaks the contract ({error})")
    return items


def _encoded(draft: Draft) -> list[Item]:
    writer = RunWriter(
        run_id=draft.trace_id,
        project=draft.project,
        workflow=draft.workflow,
        emitter_id=UNNUMBERED_EMITTER,
        run_started_at=draft.started_us,
    )
    items = []
    for event in draft.events:
        kind, fields = event.kind, event.fields
        try:
            item = writer.encode(kind, event_id=_NO_ID, seq=0, occurred_at=event.at_us, fields=fields)
        except InvalidEvent:  # a field that cannot be used costs itself alone
            kind, fields, _ = mended(kind, fields, event.at_us)
            item = writer.encode(kind, event_id=_NO_ID, seq=0, occurred_at=event.at_us, fields=fields)
        event_id = draft.event_id(event, item[_BODY_FROM:])
        items.append(Item(draft.trace_id, event_id, item[:1] + event_id.encode() + item[_BODY_FROM:], kind))
    return items

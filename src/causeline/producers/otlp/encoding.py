"""From what was received to encoded events: mapped, its content kept, and written as the items of batches."""

from causeline.producers.otlp import mapping
from causeline.producers.otlp.drafts import Draft
from causeline.producers.otlp.keeping import Keeper
from causeline.producers.otlp.telemetry import Received
from causeline.schemas.encode import RunWriter
from causeline.schemas.errors import InvalidEvent
from causeline.schemas.events import UNNUMBERED_EMITTER

Item = tuple[str, str, bytes]
"""(run id, event id, encoded event)."""


def kept(received: Received, project: str, keeper: Keeper) -> list[Draft]:
    """The drafts of all spans and log records, their content kept. Raises what the artifact store raises."""
    drafts = [mapping.of_span(span, project) for span in received.spans]
    drafts += [draft for log in received.logs if (draft := mapping.of_log(log, project)) is not None]
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
        event_id = draft.event_id(event)
        item = writer.encode(event.kind, event_id=event_id, seq=0, occurred_at=event.at_us, fields=event.fields)
        items.append((draft.trace_id, event_id, item))
    return items

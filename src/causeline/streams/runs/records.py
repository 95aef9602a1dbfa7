"""Events and runs between records and items of batches, all of the newest schemas; and a run's record in short."""

from collections.abc import Mapping
from typing import Any, Final, cast

from causeline.schemas import catalogue, wire
from causeline.schemas.catalogue import SchemaVersion
from causeline.schemas.topics import EVENTS, RUNS
from causeline.streams.definition.events import event_of
from causeline.streams.definition.records import Event, RunRecord
from causeline.streams.runs.core import Brief

_EVENT: Final = catalogue.latest(EVENTS.subject)
_RUN: Final = catalogue.latest(RUNS.subject)
_encode_event: Final = wire.record_encoder(_EVENT)
_encode_run: Final = wire.record_encoder(_RUN)


def event_in(item: bytes) -> Event:
    """The event that an item is."""
    return event_of(_decoded(_EVENT, item))


def event_item(event: Event) -> bytes:
    """An event as an item, however large."""
    return _encode_event(event._asdict())


def record_of(item: bytes) -> RunRecord:
    """The record of a run that a core has written."""
    return cast("RunRecord", _decoded(_RUN, item))


def item_of(record: RunRecord) -> bytes:
    """A run's record as an item, however large."""
    return _encode_run(record)


def _decoded(schema: SchemaVersion, item: bytes) -> Mapping[str, Any]:
    [record] = wire.decode_items(wire.Block(schema, 1, memoryview(item)))
    return record


def brief_of(record: RunRecord) -> Brief:
    """What is asked of a run once it is written."""
    return Brief(
        run_id=record["run_id"],
        workflow=record["workflow"],
        verdict=record["verdict"],
        revision=record["revision"],
        final_state=record["final_state"],
        route=record["route"],
        route_confidence=record["route_confidence"],
        gap_kinds=tuple(record["gap_kinds"]),
        next_steps=tuple(gap["next_step"] for gap in record["gaps"]),
        fallbacks=tuple(fallback["kind"] for fallback in record["fallbacks"]),
    )

"""A run's record: read from its item again, and what is asked of it most in short."""

from typing import Final, cast

from causeline.schemas import catalogue, wire
from causeline.schemas.topics import RUNS
from causeline.streams.definition.records import RunRecord
from causeline.streams.runs.core import Brief

_SCHEMA: Final = catalogue.latest(RUNS.subject)


def record_of(item: bytes) -> RunRecord:
    """The record of a run that a core has written; its item is of the newest schema."""
    [record] = wire.decode_items(wire.Block(_SCHEMA, 1, memoryview(item)))
    return cast("RunRecord", record)


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

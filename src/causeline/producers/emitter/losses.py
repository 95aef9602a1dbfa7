"""Events that stand for events that were lost: one for each run, so that the loss is in its record."""

from collections.abc import Iterable, Mapping
from typing import Any

from causeline.runtime.clock import system_clock
from causeline.schemas import catalogue, ids, wire
from causeline.schemas.errors import CauselineError
from causeline.schemas.losses import LOSS_ERROR, LOSS_STEP, LOST_EVENTS
from causeline.schemas.topics import EVENTS
from causeline.schemas.vocabulary import EventType, Status, StepKind
from causeline.schemas.wire.writer import RunWriter


def loss_events(items: Iterable[bytes], emitter_id: str) -> list[bytes]:
    """For each run of these events one that says how many they were; an event of that kind counts for what it says.

    `emitter_id` is used for nothing else: each of its runs has one event, number 0.
    """
    runs: dict[str, tuple[Mapping[str, Any], int]] = {}
    for item in items:
        try:
            (record,) = wire.decode_items(wire.Block(catalogue.latest(EVENTS.subject), 1, memoryview(item)))
        except CauselineError:  # not an event: it has no run
            continue
        known, lost = runs.get(str(record["run_id"]), (record, 0))
        runs[str(record["run_id"])] = (known, lost + _weight(record))
    return [_loss(record, lost, emitter_id) for record, lost in runs.values()]


def _weight(record: Mapping[str, Any]) -> int:
    if record["step_name"] != LOSS_STEP:
        return 1
    return next((int(pair["value"]) for pair in record["labels"] if pair["key"] == LOST_EVENTS), 1)


def _loss(record: Mapping[str, Any], lost: int, emitter_id: str) -> bytes:
    now = system_clock()
    writer = RunWriter(
        run_id=record["run_id"],
        project=record["project"],
        workflow=record["workflow"],
        emitter_id=emitter_id,
        run_started_at=record["run_started_at"],
    )
    fields = {
        "step_id": ids.new_step_id(),
        "step_kind": StepKind.CUSTOM,
        "step_name": LOSS_STEP,
        "started_at": now,
        "status": Status.SKIPPED,
        "error_type": LOSS_ERROR,
        "labels": {LOST_EVENTS: str(lost)},
    }
    return writer.write(EventType.STEP_FINISHED, seq=0, occurred_at=now, fields=fields)[1]

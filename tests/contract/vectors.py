"""Vectors for producers in other languages (event → bytes → run), by our writer: `python -m tests.contract.vectors`.

examples/producers/vectors.json has them; examples/producers/README.md says how to test a producer against them.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from causeline.schemas import catalogue
from causeline.schemas.events import ConflictSide
from causeline.schemas.partition import partition_of
from causeline.schemas.vocabulary import EventType
from causeline.schemas.wire import codec
from causeline.schemas.wire.writer import RunWriter
from tests.unit.streams.both import assembled, decoded
from tests.unit.streams.build import in_partition

FILE: Final = Path(__file__).parents[2] / "examples" / "producers" / "vectors.json"
SCHEMA: Final = catalogue.latest("trace-batch")
START: Final = 1_700_000_000_000_000
_CONSTANT: Final = ("run_id", "project", "workflow", "emitter_id", "run_started_at")
_OF_ALL: Final = (*_CONSTANT, "event_id", "event_type", "seq", "occurred_at")
_SHOWN: Final = (
    "verdict", "final_state", "status", "events", "events_lost", "missing", "gap_kinds", "fallback_taken", "route",
    "cost_usd", "input_tokens", "labels",
)  # fmt: skip

Fields = Mapping[str, object]
_AS_SAID: Final[Mapping[str, Callable[[Any], object]]] = {
    "conflict_sides": lambda sides: tuple(ConflictSide(**side) for side in sides),
    "labels": lambda labels: {each["key"]: each["value"] for each in labels},
}
"""How our writer is told what the schema has as records."""


@dataclass(frozen=True)
class Case:
    """A run as a producer says it: `events` without what the numbering gives, and why it is among the vectors."""

    name: str
    says: str
    events: Sequence[Fields]
    is_refused: bool = False


STEP: Final[Fields] = {
    "event_type": "step_finished", "step_id": "00f067aa0ba902b7", "step_kind": "model_call", "step_name": "extract",
    "started_at": START + 10, "status": "ok",
}  # fmt: skip
BEGIN: Final[Fields] = {"event_type": "run_started", "input_ref": "artifact:doc-17"}
EVIDENCE: Final[Fields] = {
    "event_type": "evidence_checked", "step_id": "00f067aa0ba902b8", "step_kind": "evidence", "step_name": "$.total",
    "field_path": "$.total", "evidence_required": True,
}  # fmt: skip


def end(events: int, *steps: str, **fields: object) -> Fields:
    """The end of a run that had so many events."""
    said = {"event_type": "run_finished", "final_state": "answered", "status": "ok"}
    return {**said, "expected_events": events, "expected_steps": list(steps), **fields}


CASES: Final = (
    Case("whole", "A run with one step: complete.", [BEGIN, STEP, end(3, "model_call:extract")]),
    Case(
        "kinds of values",
        "Doubles, whole numbers, booleans, lists, labels in their order, text beyond ASCII.",
        [
            {**BEGIN, "labels": [{"key": "team", "value": "späti"}, {"key": "a", "value": ""}]},
            {
                **STEP,
                "parent_step_id": "00f067aa0ba902b1",
                "prompt_id": "extract",
                "prompt_version": "7",
                "model_provider": "acme",
                "model_name": "große-Lampe-漢字",
                "temperature": 0.1,
                "top_p": 1.0,
                "seed": -(2**52),
                "input_tokens": 2**40,
                "output_tokens": 0,
                "cost_usd": 1e-9,
                "confidence": 0.5,
                "refusal": False,
                "context_refs": ["artifact:a", "s3://bucket/b"],
                "raw_output_ref": "artifact:c",
                "validation_errors": [],
                "labels": [{"key": "team", "value": "späti"}, {"key": "a", "value": ""}],
            },
            end(3, "model_call:extract"),
        ],
    ),
    Case(
        "a route and a fallback",
        "What decided, and what was done instead.",
        [
            BEGIN,
            {
                **STEP,
                "step_kind": "route",
                "step_name": "kind",
                "route": "freight",
                "route_reason": "words:pallet",
                "route_confidence": 0.9,
            },
            {"event_type": "fallback_taken", "fallback_taken": "retry", "fallback_reason": "schema_error"},
            end(4, "route:kind"),
        ],
    ),
    Case(
        "a gap",
        "Evidence without a reference is a missing citation.",
        [BEGIN, EVIDENCE, end(3)],
    ),
    Case(
        "sources that disagree",
        "The sides of a conflict, each with its source.",
        [
            BEGIN,
            {
                **EVIDENCE,
                "evidence_refs": ["artifact:a#page=1", "artifact:b"],
                "provenance_score": 0.9,
                "conflict_sides": [
                    {
                        "source_ref": "artifact:a#page=1",
                        "value_ref": "artifact:v1",
                        "source_kind": "form",
                        "score": 0.9,
                    },
                    {"source_ref": "artifact:b", "value_ref": None, "source_kind": None, "score": None},
                ],
            },
            end(3),
        ],
    ),
    Case("a hole", "Number 1 never came: partial, with one event lost.", [BEGIN, {**STEP, "seq": 2}, end(4, seq=3)]),
    Case("no end", "The end never came: unfinished.", [BEGIN, STEP]),
    Case(
        "two processes",
        "Each numbers its own events from 0; `expected_events` are those of the process that says it.",
        [BEGIN, {**STEP, "emitter_id": "vectors-2"}, end(2, "model_call:extract")],
    ),
    Case(
        "an end without its status",
        "Refused: `run_finished` has to say `status`. The other events stay, and the run is unfinished.",
        [BEGIN, {"event_type": "run_finished", "final_state": "answered", "expected_events": 2}],
        is_refused=True,
    ),
    Case(
        "content for a reference",
        "Refused: where a reference belongs stands text.",
        [{**BEGIN, "input_ref": "What is the premium?"}],
        is_refused=True,
    ),
)


def numbered(number: int, case: Case) -> Iterator[Fields]:
    """The events of a case with their ids, numbers and times."""
    counted: dict[object, int] = {}
    for index, event in enumerate(case.events):
        emitter = event.get("emitter_id", "vectors-1")
        seq = event.get("seq", counted.get(emitter, 0))
        counted[emitter] = counted.get(emitter, 0) + 1
        yield {
            "event_id": f"{number:016x}{index + 1:016x}",
            "run_id": f"0192f3a45b6c7d8e9f01234567{number:06x}",
            "project": "vectors",
            "workflow": "conformance",
            "emitter_id": emitter,
            "seq": seq,
            "run_started_at": START,
            "occurred_at": START + 1_000 * index,
            **{name: value for name, value in event.items() if name not in {"emitter_id", "seq"}},
        }


def value_of(events: Sequence[Fields], *, is_refused: bool) -> bytes:
    """One Kafka value of events of one emitter: as our writer writes it, or as one that checks nothing would."""
    items = [_unchecked(event) if is_refused else _written(event) for event in events]
    return codec.encode_batch(SCHEMA.schema_id, codec.encode_string(str(events[0]["emitter_id"])), items)


def _written(event: Fields) -> bytes:
    writer = RunWriter(**{name: event[name] for name in _CONSTANT})  # type: ignore[arg-type]
    fields = {name: value for name, value in event.items() if name not in _OF_ALL}
    fields |= {name: as_said(fields[name]) for name, as_said in _AS_SAID.items() if name in fields}
    return writer.encode(
        EventType(str(event["event_type"])),
        event_id=str(event["event_id"]),
        seq=int(str(event["seq"])),
        occurred_at=int(str(event["occurred_at"])),
        fields=fields,
    )


def _unchecked(event: Fields) -> bytes:
    return codec.encode_record(SCHEMA, dict(event))


def vector(number: int, case: Case) -> dict[str, object]:
    """A case with its bytes and what becomes of them."""
    events = list(numbered(number, case))
    by_emitter = [list(group) for _, group in groupby(events, key=lambda event: event["emitter_id"])]
    values = [value_of(each, is_refused=case.is_refused) for each in by_emitter]
    read = decoded(in_partition(values))
    runs = assembled(read.arrivals, closed_at=START + 10_000_000).runs
    return {
        "name": case.name,
        "says": case.says,
        "partitions": {str(count): partition_of(str(events[0]["run_id"]), count) for count in (4, 12, 64)},
        "messages": [{"events": each, "value": value.hex()} for each, value in zip(by_emitter, values, strict=True)],
        "refused": [each.detail for each in read.unreadable],
        "run": {name: runs[0][name] for name in _SHOWN} if runs else None,
    }


def document() -> dict[str, object]:
    """All vectors."""
    return {
        "schema": f"trace-batch/{SCHEMA.version}.avsc",
        "schema_id": SCHEMA.schema_id,
        "vectors": [vector(number, case) for number, case in enumerate(CASES, 1)],
    }


def text() -> str:
    """The file's text."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")

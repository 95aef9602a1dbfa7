"""Events that no producer of ours would send and the contract lets through: any field on any type, odd words, numbers
at their bounds, foreign spans among numbered events, circles of parents, losses, claims; from a seed, so that many are
made quickly.
"""

import random
from typing import Any

from causeline.schemas import catalogue
from causeline.schemas.contract import MUST_SAY, broken_by
from causeline.schemas.events import UNNUMBERED_EMITTER, Record
from causeline.schemas.vocabulary import EventType, StepKind

_FIELDS = {field["name"]: field["type"] for field in catalogue.latest("trace-batch").item["fields"]}  # type: ignore[index]
_TYPES = [*(each.value for each in EventType), "review_claimed", "eval_claimed", "an_odd_type"]
_COMMON = ["run_started", "step_started", "step_finished", "step_finished", "step_finished", "run_finished"]
_STEPS = [f"{n:016x}" for n in range(1, 7)]
_REFS = ["r:a", "r:b", "r:c", "r:d"]
_KEYS = [
    "a", "b", "ä", "otel.roots", "otel.scope", "otel.doubled", "clock.skew_s", "foreign.events", "foreign.decisions",
    "lost.events",
]  # fmt: skip
_WORDS: dict[str, list[Any]] = {
    "step_kind": [*(each.value for each in StepKind), "an_odd_kind", "model_call", "model_call", "validate"],
    "step_name": ["a", "b", "causeline.spool"],
    "status": ["ok", "ok", "error", "skipped", "odd"],
    "error_type": ["Timeout", "EventsLost", ""],
    "workflow_source": ["agent", "service", "span", "odd"],
    "final_state": ["answered", "partial", "failed", "odd"],
    "fallback_taken": ["retry", "stop", "stronger_model", "partial_answer", "odd"],
    "step_id": _STEPS,
    "parent_step_id": _STEPS,
    "expected_events": [1, 3, 9, 2**31 - 1],
    "retry_count": [0, 1, 2**31 - 1],
    "input_tokens": [0, 7, 7, 2**63 - 1],
    "output_tokens": [0, 3, 3, 2**63 - 1],
    "model_name": ["m", "n"],
    "seed": [-(2**63), 0, 2**63 - 1],
    "field_path": ["$.a", "$.b", ""],
}
_LONG = 2**63 - 1
_MUST_SAY = {kind.value: names for kind, names in MUST_SAY.items()}


def wild_events(seed: int, *, runs: int = 2, most: int = 12) -> list[Record]:
    """The events of a few runs, in no order, some of them twice and some twice with something else to say."""
    chance = random.Random(seed)
    records: list[Record] = []
    foreign = chance.choice([0.0, 0.0, 0.3, 1.0])
    while len(records) < chance.randint(1, most) * runs:
        record = _event(chance, len(records) + 1, chance.randint(1, runs), foreign)
        if broken_by(record) is None:
            records.append(record)
    again = [dict(chance.choice(records)) for _ in range(chance.choice([0, 0, 1, 3]))]
    for each in again[1:]:
        each["step_name"] = "b"
    chance.shuffle(records)
    return records + again


def _event(chance: random.Random, number: int, run: int, foreign: float) -> Record:
    kind = chance.choice(_COMMON if chance.random() < 0.7 else _TYPES)
    far = chance.random() < 0.05
    record: Record = {
        "event_id": f"{number:032x}",
        "run_id": f"{run:032x}",
        "project": "other" if chance.random() < 0.05 else "p",
        "workflow": "other" if chance.random() < 0.05 else "w",
        "emitter_id": UNNUMBERED_EMITTER if chance.random() < foreign else chance.choice("ab"),
        "seq": chance.choice([0, _LONG]) if far else chance.randint(0, 7),
        "event_type": kind,
        "run_started_at": chance.randint(0, 5),
        "occurred_at": chance.choice([0, 10**15, 253_402_300_799_999_999]) if far else chance.randint(0, 30),
    }
    always = _MUST_SAY.get(kind, ())
    share = chance.choice([0.05, 0.2, 0.6])
    for name, avro in _FIELDS.items():
        if name not in record:
            record[name] = _value(chance, name, avro, said=name in always or chance.random() < share)
    return record


def _value(chance: random.Random, name: str, avro: Any, *, said: bool) -> object:
    if isinstance(avro, dict):
        return [_item(chance, name) for _ in range(chance.randint(0, 3))] if said else []
    if not said:
        return None
    if name == "cost_usd":
        return chance.choice([chance.random(), 1e9 * chance.random(), 1.7e308])
    if name in _WORDS:
        return chance.choice(_WORDS[name])
    plain = next(each for each in avro if each != "null")
    if name.endswith("_ref"):
        return chance.choice(_REFS)
    made: dict[str, object] = {
        "string": chance.choice(["x", "y"]),
        "long": chance.randint(0, 30),
        "int": chance.randint(0, 3),
        "double": chance.choice([0.0, 0.25, 0.5, 1.0]),
        "boolean": chance.random() < 0.5,
    }
    return made[plain]


def _item(chance: random.Random, name: str) -> object:
    if name == "labels":
        return {
            "key": chance.choice(_KEYS),
            "value": chance.choice(["1", "-4", "+5", "007", "x", "", "9" * 30, "9" * 18]),
        }
    if name == "conflict_sides":
        return {
            "source_ref": chance.choice(_REFS),
            "value_ref": chance.choice([None, *_REFS]),
            "source_kind": chance.choice([None, "schedule", "booklet", "note"]),
            "score": chance.choice([None, 0.5]),
        }
    if name == "expected_steps":
        return chance.choice(["custom:a", "model_call:b", "validate:a", "model_call:a"])
    return chance.choice(_REFS)

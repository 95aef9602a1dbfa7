"""The bundled schema catalogue: every committed version of every subject, under ids that never change.

With no registry configured these ids are the ones on the wire; the console serves them under a registry's paths, so
that foreign deserializers read our topics. They start at a million, far from the ids that a registry hands out.

Decided in ADR 3.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast

import fastavro

from causeline.schemas.errors import NotFound

AvroSchema = dict[str, Any]

_FIRST_ID = 1_000_000
_VERSIONS_PER_SUBJECT = 1_000
_SUBJECTS = ("trace-batch", "run-batch", "gap", "review-item", "dead-letter", "policy-use", "alert", "cause")
"""Append only: a subject's place gives its ids."""


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """One committed version of a subject: `text` is the `.avsc` as committed, `parsed` fastavro's reading of it."""

    subject: str
    version: int
    schema_id: int
    text: str
    parsed: AvroSchema
    plain: AvroSchema
    """`parsed` without logical types: times are read and written as integers of microseconds."""
    item: AvroSchema | None
    """For a batch, the item of its array, without logical types; else None."""


def _without_logical_types(schema: object) -> object:
    if isinstance(schema, dict):
        if "logicalType" in schema:
            return schema["type"]
        return {key: _without_logical_types(value) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_without_logical_types(item) for item in schema]
    return schema


def _item(batch: AvroSchema) -> AvroSchema | None:
    last = batch["fields"][-1]["type"]
    if not (isinstance(last, dict) and last["type"] == "array" and isinstance(last["items"], dict)):
        return None
    return cast("AvroSchema", fastavro.parse_schema({"namespace": batch["namespace"], **last["items"]}))


def _load(subject: str, version: int, text: str) -> SchemaVersion:
    raw = json.loads(text)
    plain = cast("AvroSchema", _without_logical_types(raw))
    return SchemaVersion(
        subject=subject,
        version=version,
        schema_id=_FIRST_ID + _SUBJECTS.index(subject) * _VERSIONS_PER_SUBJECT + version,
        text=text,
        parsed=cast("AvroSchema", fastavro.parse_schema(raw)),
        plain=cast("AvroSchema", fastavro.parse_schema(plain)),
        item=_item(plain),
    )


@cache
def bundled() -> Mapping[int, SchemaVersion]:
    """Every committed schema version by its id."""
    folder = files("causeline.schemas") / "avro"
    return {
        schema.schema_id: schema
        for subject in _SUBJECTS
        for entry in sorted((folder / subject).iterdir(), key=lambda item: int(item.name.removesuffix(".avsc")))
        for schema in [_load(subject, int(entry.name.removesuffix(".avsc")), entry.read_text("utf-8"))]
    }


def subjects() -> tuple[str, ...]:
    """The subjects' names."""
    return _SUBJECTS


@cache
def versions(subject: str) -> tuple[SchemaVersion, ...]:
    """A subject's versions, oldest first; raises NotFound for a subject that is not ours."""
    found = tuple(schema for schema in bundled().values() if schema.subject == subject)
    if not found:
        raise NotFound(f"There is no schema subject {subject!r}.", hint=f"Subjects: {', '.join(_SUBJECTS)}.")
    return found


def latest(subject: str) -> SchemaVersion:
    """A subject's newest version, the one that is written."""
    return versions(subject)[-1]

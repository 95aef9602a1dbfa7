"""Sentinels: known records between the messages of one insert, which prove that each message was read to its last byte.

ClickHouse reads as many records as a container's block promises and ignores what is left, so a batch with a wrong count
could be read short, or shifted into the next one. Each message's records are therefore followed by a record whose first
field names the row at which it must come up; the INSERT throws when it does not, and never stores it.

Decided in ADR 7.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any, cast

import fastavro

from causeline.schemas.catalogue import SchemaVersion
from causeline.schemas.wire import encode_string

_EMPTY_STRING = b"\x00"
_ZERO: Mapping[str, object] = {
    "string": "",
    "bytes": b"",
    "int": 0,
    "long": 0,
    "double": 0.0,
    "boolean": False,
    "array": [],
}


class Sentinels:
    """Sentinels of one schema version. `mark` starts the first field of each: a secret, so that no message has it."""

    def __init__(self, schema: SchemaVersion, mark: str) -> None:
        self.mark = mark
        self._lead, self._rest = _frame_of(schema)

    def at(self, row: int) -> bytes:
        """The encoded sentinel that must come up as row `row`, counted from 0."""
        return b"".join((self._lead, encode_string(f"{self.mark}{row}"), self._rest))


def _frame_of(schema: SchemaVersion) -> tuple[bytes, bytes]:
    """What stands before and after the first field's text, in a record that says nothing else."""
    record_schema = schema.plain if schema.item is None else schema.item
    fields = cast("Sequence[Mapping[str, Any]]", record_schema["fields"])
    record = {field["name"]: _zero(field["type"]) for field in fields} | {fields[0]["name"]: ""}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, record_schema, record)
    encoded = out.getvalue()
    lead = b"\x02" if isinstance(fields[0]["type"], list) else b""
    if not encoded.startswith(lead + _EMPTY_STRING):
        raise ValueError(f"the first field of {schema.subject} is not a string")
    return lead, encoded[len(lead) + 1 :]


def _zero(avro: object) -> object:
    if isinstance(avro, list):
        return None
    name = avro["type"] if isinstance(avro, dict) else avro
    return _ZERO[str(name)]

"""From units to inserts: framing stripped, records concatenated into one Avro container, nothing decoded (ADR 12)."""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from causeline.schemas import wire
from causeline.schemas.catalogue import SchemaVersion
from causeline.schemas.tables import Table, record_schema_text
from causeline.schemas.topics import EVENTS
from causeline.sinks.loader.insert_sql import InsertStatement
from causeline.sinks.loader.sentinel import Sentinels
from causeline.sinks.loader.units import Unit


@dataclass(frozen=True, slots=True)
class Insert:
    """One insert: the statement with its data behind it, the rows to be stored, and the token that makes it one.

    The token is the same for the same records of the same offsets. The content belongs in it: ClickHouse drops an
    insert whose token it knows, whatever its rows are.
    """

    units: Sequence[Unit]
    body: bytes
    rows: int
    token: str


class Encoder:
    """Makes the inserts for one table. Its sentinels carry a mark of its own, which no message can know."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._mark = f"sentinel-{secrets.token_hex(16)}-"
        self._by_schema: dict[int, tuple[InsertStatement, Sentinels]] = {}

    def inserts(self, units: Sequence[Unit]) -> Iterator[Insert]:
        """An insert for each stretch of units of one writer's schema, in their order; empty units are left out.

        Events go together whatever stands between them: emitters of two releases would else make an insert of each
        message. Of other records the last written stands (ADR 16), so their order is kept.
        """
        filled = [unit for unit in units if unit.block.count]
        if self._table.subject == EVENTS.subject:
            filled.sort(key=_schema_id)
        for _, stretch in groupby(filled, key=_schema_id):
            yield self._insert(list(stretch))

    def _insert(self, units: Sequence[Unit]) -> Insert:
        schema = units[0].block.schema
        statement, sentinels = self._for(schema)
        parts: list[bytes | memoryview] = []
        content = hashlib.sha256()  # twice as fast as blake2b where the processor has instructions for it
        places = ",".join(_span(list(each)) for _, each in groupby(units, key=lambda unit: unit.origin.partition))
        content.update(places.encode())
        row = 0
        for unit in units:
            parts.append(unit.block.data)
            content.update(unit.block.data)
            row += unit.block.count
            parts.append(sentinels.at(row))
            row += 1
        before, after = wire.around_block(row, sum(map(len, parts)))
        head = (statement.for_rows(row).encode(), wire.container_header(record_schema_text(schema)), before)
        return Insert(
            units=units,
            body=b"".join((*head, *parts, after)),
            rows=row - len(units),
            token=f"{units[0].origin.topic}:{_shortly(places)}:{content.hexdigest()[:32]}",
        )

    def _for(self, schema: SchemaVersion) -> tuple[InsertStatement, Sentinels]:
        made = self._by_schema.get(schema.schema_id)
        if made is None:
            made = InsertStatement(self._table, schema, self._mark), Sentinels(schema, self._mark)
            self._by_schema[schema.schema_id] = made
        return made


def _schema_id(unit: Unit) -> int:
    return unit.block.schema.schema_id


def _span(units: Sequence[Unit]) -> str:
    """The partition of these units, and their first and last offset."""
    first, last = units[0].origin, units[-1].origin
    return f"{first.partition}:{first.offset}-{last.offset}"


def _shortly(places: str) -> str:
    """For the eye, and no longer than a setting should be: the hash holds all of them."""
    first, *others = places.split(",")
    return f"{first}+{len(others)}" if others else first

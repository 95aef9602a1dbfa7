"""Stand-ins for what is outside: held to the same contract as the real ones."""

import io
import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import fastavro

from causeline.schemas.tables import EVENTS
from causeline.schemas.wire import container_blocks
from causeline.sinks.loader.encoding import Insert
from causeline.sinks.loader.inserting import RowsRefused, TryLater
from causeline.sinks.loader.rows import RowRules
from causeline.sinks.loader.units import BadMessage

_STATEMENT = re.compile(
    rb"INSERT INTO (\w+) .*?concat\('([^']+)', .*?row_position = (\d+) OR .*? FORMAT Avro\n", re.DOTALL
)


@dataclass
class FakeSender:
    """Does with an insert what the server does: reads the container, checks sentinels and rules, stores it or not."""

    rows: list[dict[str, object]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    sizes: list[int] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    """Raised by the next sends, one each."""
    refuses: Callable[[dict[str, object]], bool] = lambda _: False
    """Rows refused for a reason of the server's own."""

    def send(self, insert: Insert) -> None:
        """See `Sender`."""
        self.sizes.append(insert.rows)
        if self.faults:
            raise self.faults.pop(0)
        rows = self._read(insert)
        if insert.token not in self.tokens:
            self.tokens.add(insert.token)
            self.rows += rows

    def _read(self, insert: Insert) -> list[dict[str, object]]:
        match = _STATEMENT.match(insert.body)
        assert match is not None
        mark, last = match[2].decode(), int(match[3])
        rules = RowRules.of(EVENTS, insert.units[0].block.schema)
        kept = []
        for row, record in enumerate(_records(insert.body[match.end() :])):
            name = str(record["event_id"])
            if name.startswith(mark):
                if name != f"{mark}{row}":
                    raise RowsRefused("FUNCTION_THROW_IF_VALUE_IS_NON_ZERO")
            elif row == last or rules.broken_by(record) or self.refuses(record):
                raise RowsRefused("FUNCTION_THROW_IF_VALUE_IS_NON_ZERO")
            else:
                kept.append(record)
        return kept


def _records(container: bytes) -> list[dict[str, object]]:
    schema = _schema_of(container)
    records = []
    for count, data in container_blocks(container):
        stream = io.BytesIO(data)
        try:
            records += [fastavro.schemaless_reader(stream, schema, None) for _ in range(count)]
        except (EOFError, IndexError, ValueError) as error:
            raise RowsRefused("AVRO_EXCEPTION") from error
    return [dict(record) for record in records if isinstance(record, dict)]


def _schema_of(container: bytes) -> dict[str, object]:
    """The schema in a container's head, times as integers."""
    text = fastavro.reader(io.BytesIO(container)).metadata["avro.schema"].replace('"logicalType"', '"ignored"')
    return cast("dict[str, object]", fastavro.parse_schema(json.loads(text)))


@dataclass
class FakeDeadLetters:
    """Keeps what is buried."""

    buried: list[BadMessage] = field(default_factory=list)
    faults: list[TryLater] = field(default_factory=list)

    def bury(self, bad: Sequence[BadMessage]) -> None:
        """See `DeadLetters`."""
        if self.faults:
            raise self.faults.pop(0)
        self.buried += bad


@dataclass
class NoPatience:
    """Waits for nothing; gives up after so many pauses."""

    pauses: list[int] = field(default_factory=list)
    gives_up_after: int = 100

    def pause(self, failures: int, cancelled: threading.Event) -> bool:
        """See `Patience`."""
        self.pauses.append(failures)
        return cancelled.is_set() or len(self.pauses) >= self.gives_up_after

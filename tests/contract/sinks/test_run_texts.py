"""A run read as text is the run that the view shows, whatever is in it."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from causeline.console.run_text import record_of
from causeline.schemas import tables
from causeline.sinks.loader.encoding import Encoder
from causeline.sinks.loader.inserting import ClickHouseSender
from tests.contract.sinks.test_tables import as_message, as_unit, example

pytestmark = pytest.mark.stack

_LAST_US = int(datetime(2299, 12, 31, tzinfo=UTC).timestamp()) * 1_000_000
_RUNS = 40
_CHARACTERS = "aZ09 \"'\\/\b\f\n\r\t\x00\x01\x7f\u00e9\u2028\ufeff\U0001f388{}[],:"


def drawn(avro: tables.AvroType, chance: random.Random) -> Any:
    """Any value of a type: numbers of every size, times to the microsecond, characters that JSON escapes."""
    if isinstance(avro, list):
        [branch] = [each for each in avro if each != "null"]
        return None if chance.random() < 0.3 else drawn(branch, chance)
    name = avro if isinstance(avro, str) else avro["type"]
    if isinstance(avro, dict) and name == "array":
        return [drawn(avro["items"], chance) for _ in range(chance.choice((0, 1, 3)))]
    if isinstance(avro, dict) and name == "record":
        return {field["name"]: drawn(field["type"], chance) for field in avro["fields"]}
    if isinstance(avro, dict) and avro.get("logicalType") == "timestamp-micros":
        return chance.choice((0, 1, 1_000_000, chance.randrange(_LAST_US)))
    bits = chance.randrange(1, 32 if name == "int" else 64)
    return {
        "string": "".join(chance.choices(_CHARACTERS, k=chance.randrange(6))),
        "int": chance.randrange(-(2**bits), 2**bits) // 2,
        "long": chance.randrange(-(2**bits), 2**bits),
        "double": chance.choice(
            (0.0, -0.0, 1.0, 0.1 + 0.2, chance.uniform(-1, 1) * 10.0 ** chance.randrange(-300, 300))
        ),
        "boolean": chance.random() < 0.5,
    }[str(name)]


def runs() -> list[dict[str, Any]]:
    chance = random.Random(20261124)
    drawn_ones = [{each.name: drawn(each.avro, chance) for each in tables.RUNS.columns()} for _ in range(_RUNS)]
    edges = [example(tables.RUNS, kind) for kind in ("bare", "smallest", "largest")]
    for place, record in enumerate([*edges, *drawn_ones]):
        record["run_id"] = f"{place + 1:032x}"
        record["missing"] = record["missing"] or []
    return [*edges, *drawn_ones]


def test_any_run_read_as_text_is_what_the_view_shows(store: Client) -> None:
    units = [as_unit(tables.RUNS, as_message(tables.RUNS, record), offset) for offset, record in enumerate(runs())]
    for insert in Encoder(tables.RUNS).inserts(units):
        ClickHouseSender(store).send(insert)
    names = ", ".join(column.name for column in tables.RUNS.columns())
    shown = {str(row["run_id"]): row for row in store.query(f"SELECT {names} FROM runs").named_results()}
    texts = {
        str(run_id): str(text) for run_id, text in store.query("SELECT run_id, document FROM run_texts").result_rows
    }
    assert shown.keys() == texts.keys()
    assert len(shown) == _RUNS + 3
    for run_id, text in texts.items():
        read = record_of(text)
        assert read == shown[run_id]
        # A number's type is part of the value. So is a zero's sign, which the view loses where it opens a text.
        assert repr(read).replace("-0.0", "0.0") == repr(shown[run_id]).replace("-0.0", "0.0")

"""The tables and views, as data: which schema subject fills which table, and what a reader sees of it.

Columns are the fields of the Avro record, in its order and under its names: the `.avsc` is the one source. The console
reads the views only; the tables behind them may hold a row twice.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from causeline.schemas import catalogue
from causeline.schemas.catalogue import SchemaVersion
from causeline.schemas.errors import NotFound
from causeline.schemas.wire import item_schema_text

AvroType = str | list[Any] | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, and the record's own word for it."""

    name: str
    comment: str
    avro: AvroType
    never_null: bool = False
    """The schema allows null, its writer never writes it; a null is stored as the type's default."""

    @property
    def input_type(self) -> str:
        """The plain ClickHouse type that the field is read as, before it is cast to the table's."""
        return input_type(self.avro, nullable=not self.never_null)


@dataclass(frozen=True, slots=True)
class Table:
    """One destination: the rows of `subject` go to table `rows` and are read through view `view`.

    What comes into `rows` is kept there, or in `narrow`: fewer columns, and all that no column has as one text.
    """

    rows: str
    view: str
    subject: str
    narrow: str = ""
    never_null: frozenset[str] = frozenset()
    counted: tuple[str, ...] = ()
    """Columns that the view has besides the record's: what would have to be read out of the text otherwise."""
    takes: str = ""
    """Of events, by which door they come: `events`, or `decisions`, which takes those and no others."""

    @property
    def kept(self) -> str:
        """The table that the rows lie in."""
        return self.narrow or self.rows

    def columns(self, schema: SchemaVersion | None = None) -> tuple[Column, ...]:
        """The columns that a schema version fills; those of the newest by default."""
        fields = record_schema(schema or catalogue.latest(self.subject))["fields"]
        return tuple(
            Column(field["name"], field.get("doc", ""), field["type"], field["name"] in self.never_null)
            for field in fields
        )


_RUN_NEVER_NULL = frozenset(
    {
        "run_id",
        "project",
        "workflow",
        "revision",
        "verdict",
        "close_reason",
        "missing",
        "events",
        "events_lost",
        "amended",
        "started_at",
        "finished_at",
        "duration_us",
        "closed_at",
    }
)

EVENTS = Table("event_rows", "events", "trace-batch", "narrow_event_rows", takes="events")
DECISIONS = Table("event_rows", "events", "trace-batch", "narrow_event_rows", takes="decisions")
"""The same table, by the door at which reviews and evals are believed."""
RUNS = Table(
    "run_rows",
    "runs",
    "run-batch",
    "narrow_run_rows",
    never_null=_RUN_NEVER_NULL,
    counted=("context_count", "model_names", "step_numbers", "worst_provenance", "finish_reason", "search_index"),
)
GAPS = Table("gap_rows", "gaps", "gap")
REVIEW_ITEMS = Table("review_item_rows", "reviews", "review-item")
DEAD_LETTERS = Table("dead_letter_rows", "dead_letters", "dead-letter")
POLICIES = Table("policy_use_rows", "policies", "policy-use")
ALERTS = Table("alert_rows", "alerts", "alert")
CAUSES = Table("cause_rows", "causes", "cause")

TABLES: tuple[Table, ...] = (EVENTS, RUNS, GAPS, REVIEW_ITEMS, DEAD_LETTERS, POLICIES, ALERTS, CAUSES)

STEPS_VIEW = "steps"
EVALUATIONS_VIEW = "evaluations"
VIEWS: tuple[str, ...] = (
    "events",
    "runs",
    "run_documents",
    "run_texts",
    "run_order",
    STEPS_VIEW,
    EVALUATIONS_VIEW,
    "gaps",
    "reviews",
    "dead_letters",
    "policies",
    "rollups",
    "drift",
    "alerts",
    "dead_messages",
    "emission_ledger",
    "causes",
    "neighbours",
)
"""What a reader may rely on."""

MIGRATIONS_TABLE = "schema_migrations"
LEASES_TABLE = "review_lease_rows"
"""Who works on which review item; written by the console, not by the loader."""
ROLLUPS_TABLE = "rollup_rows"
"""What drift is judged from; written by the watch."""
ROLLUP_SUMS_TABLE = "rollup_sum_rows"
"""The same for hours and days; written by the watch."""
JUDGEMENTS_TABLE = "drift_judgement_rows"
"""What came of judging windows; written by the watch."""
MARKS_TABLE = "drift_mark_rows"
"""What people said about alerts; written by the console."""
PINS_TABLE = "drift_pin_rows"
"""Which release is the reference of a workflow; written by the console."""
REPLAYS_TABLE = "dead_replay_rows"
"""Attempts to send dead letters' messages again; written by `causeline dead replay`."""
ERASURES_TABLE = "erasure_rows"
"""Runs that were erased; written by `causeline erase`."""
OWN_TABLES: tuple[str, ...] = (
    MIGRATIONS_TABLE,
    LEASES_TABLE,
    ROLLUPS_TABLE,
    ROLLUP_SUMS_TABLE,
    JUDGEMENTS_TABLE,
    MARKS_TABLE,
    PINS_TABLE,
    REPLAYS_TABLE,
    ERASURES_TABLE,
)
"""The tables that no topic fills."""


DERIVED: tuple[str, ...] = (
    "narrow_event_rows",
    "narrow_events_filler",
    "narrow_run_rows",
    "narrow_runs_filler",
    "run_document_rows",
    "run_documents_filler",
    "neighbour_rows",
    "neighbours_filler",
    "run_order_rows",
    "run_order_filler",
)
"""Filled inside the server from other tables: nobody is given the right to write them."""


def table_of(subject: str) -> Table:
    """The table that a schema subject fills; raises NotFound for a subject that fills none."""
    for table in TABLES:
        if table.subject == subject:
            return table
    raise NotFound(f"No table holds the records of {subject!r}.")


def record_schema_text(schema: SchemaVersion) -> str:
    """The JSON of one row's record: a batch's item, or the record itself; times keep their logical type."""
    return item_schema_text(schema) if schema.item is not None else schema.text


def record_schema(schema: SchemaVersion) -> Mapping[str, Any]:
    """One row's record schema, parsed, with its docs."""
    return cast("Mapping[str, Any]", json.loads(record_schema_text(schema)))


_SCALARS: Mapping[str, str] = {
    "string": "String",
    "bytes": "String",
    "int": "Int32",
    "long": "Int64",
    "double": "Float64",
    "boolean": "Bool",
}
_MICROS = "DateTime64(6, 'UTC')"


def input_type(avro: AvroType, *, nullable: bool = True) -> str:
    """The plain ClickHouse type for an Avro type; `nullable=False` reads null as the type's default.

    Arrays and their items are never null to a reader: a null array is empty, a null item its type's default. Labels
    are pairs here; the table's Map comes by the cast of INSERT … SELECT. Raises ValueError for a type we don't write.
    """
    if isinstance(avro, list):
        inner, *others = [branch for branch in avro if branch != "null"]
        if others:
            raise ValueError(f"{avro!r} is a union of more than null and one type")
        plain = input_type(cast("AvroType", inner))
        wrapped = nullable and not plain.startswith(("Array(", "Tuple("))
        return f"Nullable({plain})" if wrapped else plain
    if isinstance(avro, str):
        return _scalar(avro)
    if avro["type"] == "array":
        return f"Array({_item_type(avro['items'])})"
    if avro["type"] == "record":
        fields = ", ".join(f"{field['name']} {_member_type(avro, field)}" for field in avro["fields"])
        return f"Tuple({fields})"
    return _MICROS if avro.get("logicalType") == "timestamp-micros" else _scalar(avro["type"])


def _item_type(items: AvroType) -> str:
    return input_type(items, nullable=False)


def _member_type(record: Mapping[str, Any], field: Mapping[str, Any]) -> str:
    # A pair is a map's entry, whose key and value cannot be null.
    is_pair = [each["name"] for each in record["fields"]] == ["key", "value"]
    return input_type(field["type"], nullable=not is_pair)


def _scalar(name: str) -> str:
    if name not in _SCALARS:
        raise ValueError(f"no ClickHouse type for Avro's {name!r}")
    return _SCALARS[name]

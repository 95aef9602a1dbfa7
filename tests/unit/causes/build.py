"""Runs as messages of the runs topic, a store that answers from memory, and a topic that is a list."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from causeline.causes.diagnoser import Diagnoser, RunMessage
from causeline.causes.settings import DiagnoserSettings
from causeline.diagnosis.traits import Row
from causeline.schemas import catalogue, wire
from causeline.schemas.errors import Unreachable
from causeline.schemas.registry import Schemas
from causeline.schemas.run import Run
from causeline.schemas.topics import CAUSES, RUNS
from tests.unit.diagnosis.test_neighbours import START, a_run

HOUR_US = 3_600_000_000
START_US = round(START.timestamp() * 1e6)


def failed(number: int) -> Run:
    """A run of the same workflow whose search broke."""
    search, call = a_run(number).steps
    steps = (replace(search, status="error", error_type="IndexGone", context_refs=()), call)
    return replace(a_run(number), steps=steps, final_state="failed", status="error", error_type="IndexGone")


def plain(value: object) -> Any:
    """A run as a record of the wire has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, datetime):
        return round(value.timestamp() * 1e6)
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return [{"key": key, "value": text} for key, text in value.items()]
    return value


def message(*runs: Run, offset: int = 0, produced_us: int | None = None) -> RunMessage:
    schema = catalogue.latest(RUNS.subject)
    payload = wire.encode_datum(schema, {"source_partition": 0, "runs": [plain(run) for run in runs]})
    return RunMessage(0, offset, wire.frame(schema.schema_id, payload), produced_us)


class MemoryStore:
    """Answers what the diagnoser asks; while `away`, nothing."""

    def __init__(self) -> None:
        self.neighbours: list[Row] = []
        self.runs: dict[str, Run] = {}
        self.unsettled: list[dict[str, object]] = []
        self.away = False
        self.read_whole: list[str] = []
        """The runs that were read from it whole, by their ids."""

    def ask(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, is_small: bool = False
    ) -> Sequence[Mapping[str, object]]:
        if self.away:
            raise Unreachable("ClickHouse does not answer.")
        if "FROM neighbours" in sql:
            return [
                {"run_id": row.run_id, "at_us": round(row.started_at * 1e6), "version": 1, "blemished": not row.well,
                 "traits": row.to_text(), "piece": "at"}
                for row in self.neighbours
            ]  # fmt: skip
        if "FROM causes" in sql:
            return self.unsettled
        if "FROM runs" in sql:
            wanted = (parameters or {})["run_ids"]
            assert isinstance(wanted, list)
            if "SELECT run_id, revision FROM" in sql:
                runs = [self.runs[run_id] for run_id in wanted if run_id in self.runs]
                return [{"run_id": run.run_id, "revision": run.revision} for run in runs]
            self.read_whole += wanted
            return [plain(self.runs[run_id]) for run_id in wanted if run_id in self.runs]
        return []


class MemoryTopic:
    """What was delivered, decoded; while `away`, nothing is."""

    def __init__(self) -> None:
        self.pending: list[Mapping[str, Any]] = []
        self.records: list[Mapping[str, Any]] = []
        self.away = False

    def publish(self, partition: int, key: bytes, value: bytes) -> None:
        record = wire.decode_datum(value, CAUSES.subject, Schemas())
        assert key.decode() == record["run_id"]
        self.pending.append(record)

    def deliver(self) -> None:
        pending, self.pending = self.pending, []
        if self.away:
            raise Unreachable("Kafka does not answer.")
        self.records += pending

    def shown(self) -> dict[str, Mapping[str, Any]]:
        """What a reader of the view sees: of each run the record of the highest version, of equal ones the last."""
        best: dict[str, Mapping[str, Any]] = {}
        for record in self.records:
            known = best.get(record["run_id"])
            if known is None or record["version"] >= known["version"]:
                best[record["run_id"]] = record
        return best


class Bench:
    """A diagnoser with all around it in memory; `now_us` is its clock."""

    def __init__(self, **settings: Any) -> None:
        self.store, self.topic = MemoryStore(), MemoryTopic()
        self.now_us = START_US + 24 * HOUR_US
        self.diagnoser = self.another(**settings)

    def another(self, **settings: Any) -> Diagnoser:
        """A diagnoser that was just started."""
        made = Diagnoser(
            DiagnoserSettings(**settings),
            store=self.store,
            publisher=self.topic,
            schemas=Schemas(),
            clock=lambda: self.now_us,
            drift_of=lambda _store, _workflow: None,
            partitions=1,
        )
        made.own({0})
        return made

    def close(self, *runs: Run, **of_message: Any) -> None:
        """These runs closed: they are on the topic, and in the store."""
        self.store.runs |= {run.run_id: run for run in runs}
        self.diagnoser.take([message(*runs, **of_message)])

    def later(self, **span: float) -> None:
        self.now_us += round(timedelta(**span).total_seconds() * 1e6)

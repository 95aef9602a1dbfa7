"""From a run and its diagnosis to the record of `causeline.causes`. Pure; nothing of it is content."""

from collections.abc import Mapping

from causeline.console.views.why_view import first_line
from causeline.diagnosis import Diagnosis, Role
from causeline.diagnosis.traits import Row
from causeline.schemas import catalogue, wire
from causeline.schemas.registry import Schemas
from causeline.schemas.run import Run
from causeline.schemas.topics import CAUSES

_MOST_CHARS = 2_000
_MOST_SYMPTOMS = 50
_MILLIS_BITS = 42
_LAST_REVISION = (1 << (63 - _MILLIS_BITS)) - 1


def version_of(revision: int, now_us: int) -> int:
    """What orders two words about one run: the run's revision first, then the time in milliseconds."""
    return (min(max(revision, 0), _LAST_REVISION) << _MILLIS_BITS) | (now_us // 1000 & ((1 << _MILLIS_BITS) - 1))


def cause_record(
    run: Run, found: Diagnosis, row: Row, *, now_us: int, settled: bool, neighbours: int
) -> Mapping[str, object]:
    """The record of one run; times in microseconds since the epoch, UTC."""
    first = found.first_cause
    finding = first.finding if first is not None else None
    return {
        "run_id": run.run_id,
        "revision": run.revision,
        "version": version_of(run.revision, now_us),
        "project": run.project,
        "workflow": run.workflow,
        "run_started_at": round(row.started_at * 1e6),
        "diagnosed_at": now_us,
        "settled": settled,
        "neighbours": neighbours,
        "layer": str(finding.boundary) if finding else None,
        "step": finding.step if finding else None,
        "kind": finding.rule if finding else None,
        "thing": finding.thing[:_MOST_CHARS] if finding else None,
        "certainty": first.certainty.value if first is not None else None,
        "sentence": first_line(found)[:_MOST_CHARS],
        "fix": finding.fix[:_MOST_CHARS] if finding else None,
        "symptoms": [each.rule for each in found.symptoms if each.role is not Role.HINT][:_MOST_SYMPTOMS],
        "alerts": [each.alert_id for each in found.alerts],
        "final_state": run.final_state,
        "cost_usd": run.cost_usd,
        "duration_us": run.duration_us,
        "policy_hash": run.policy_hash,
        "blemished": not row.well,
        "traits": row.to_text(),
    }


def cause_value(record: Mapping[str, object], schemas: Schemas) -> bytes:
    """The Kafka value of a record."""
    payload = wire.encode_datum(catalogue.latest(CAUSES.subject), record)
    return wire.frame(schemas.write_id(CAUSES.subject), payload)


def read_value(value: bytes, schemas: Schemas) -> Mapping[str, object]:
    """The record of a Kafka value."""
    return wire.decode_datum(value, CAUSES.subject, schemas)


def row_in(record: Mapping[str, object]) -> Row:
    """The run of a record as a row of its neighbours."""
    started_at = int(str(record["run_started_at"])) / 1e6
    return Row.from_text(str(record["run_id"]), started_at, str(record["traits"]), well=not record["blemished"])


def as_last_word(record: Mapping[str, object], *, now_us: int, neighbours: int) -> Mapping[str, object]:
    """A record told again, beside more neighbours, as the last word."""
    return {
        **record,
        "version": version_of(int(str(record["revision"])), now_us),
        "diagnosed_at": now_us,
        "settled": True,
        "neighbours": neighbours,
    }

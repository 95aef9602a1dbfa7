"""How long windows over many runs take, in the embedded engine: counting them once, and judging them from roll-ups."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from causeline.drift.lifecycle import Span
from causeline.drift.rollups import roll_up, stale_windows
from causeline.drift.store import DriftStore, open_drift_store
from causeline.drift.watch import Plan, judge_all, sum_all
from causeline.drift.windows import Length
from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.sinks.migrate import migrate
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down, up
from causeline.stack.services import Ports, clickhouse_service
from causeline.stack.settings import StackSettings
from causeline.stack.supervisor import Service

DAY = datetime(2026, 11, 3, tzinfo=UTC)
BEFORE = DAY - timedelta(days=1)
WORKFLOWS = ("invoice", "policy", "contract", "claim", "intake", "support")
"""The first has nearly all of the runs."""
_BATCH = 1_000_000


@contextmanager
def engine() -> Iterator[ClickHouseConnection]:
    """An engine of its own with our tables, in a folder that goes with it."""

    def engine_only(_settings: StackSettings, endpoints: Endpoints, ports: Ports) -> tuple[Service, ...]:
        return (clickhouse_service(endpoints, ports),)

    with tempfile.TemporaryDirectory(prefix="causeline-drift-") as folder:
        endpoints = up(StackSettings(state_dir=Path(folder)), services_of=engine_only)
        try:
            connection = endpoints.clickhouse()
            migrate(connection)
            yield connection
        finally:
            down(endpoints.state_dir)


def _fill(connection: ClickHouseConnection, workflow: str, day: datetime, count: int, first: int) -> None:
    sql = """
    INSERT INTO run_rows (run_id, project, workflow, revision, verdict, close_reason, events, started_at, finished_at,
        closed_at, final_state, route, prompt_version, model_name, system_fingerprint, parser_version, confidence,
        gap_kinds, fallback_taken, fallback_reason, review_outcome)
    SELECT
        leftPad(lower(hex(number)), 32, '0'), 'p', {workflow:String}, 1, 'complete', 'finished', 8,
        {day:DateTime64(6, 'UTC')}
            + toIntervalMicrosecond(intDiv((number - {first:UInt64}) * 86400000000, {count:UInt64})) AS at,
        at + 1, at + 2,
        if(a < 0.95, 'answered', 'failed'), multiIf(a < 0.5, 'r1', a < 0.8, 'r2', a < 0.95, 'r3', 'r4'),
        if(b < 0.6, 'p1', 'p2'), if(c < 0.7, 'm1', 'm2'), if(b < 0.5, 'f1', 'f2'), 'x1', c,
        if(b < 0.8, [], ['weak_provenance']), if(c < 0.9, NULL, 'retry'), if(c < 0.9, NULL, 'schema'),
        if(a < 0.8, NULL, if(b < 0.8, 'approved', 'overridden'))
    FROM (SELECT number, cityHash64(number) % 10007 / 10007 AS a, cityHash64(number, 1) % 10007 / 10007 AS b,
              cityHash64(number, 2) % 10007 / 10007 AS c FROM numbers({start:UInt64}, {some:UInt64}))
    """
    with clickhouse_client(connection, timeout_s=600) as client:
        for start in range(0, count, _BATCH):
            parameters = {"workflow": workflow, "day": day.replace(tzinfo=None), "count": count, "first": first}
            parameters |= {"start": first + start, "some": min(_BATCH, count - start)}
            client.command(sql, parameters=parameters)


def _judge(store: DriftStore, lengths: tuple[Length, ...]) -> float:
    """Seconds that it takes to judge the second day, the first being judged already."""
    plan = Plan(lengths=lengths)
    judge_all(store, plan, Span(BEFORE, DAY))
    start = time.perf_counter()
    judged = judge_all(store, plan, Span(BEFORE, DAY + timedelta(days=1)))
    spent = time.perf_counter() - start
    if not judged:
        raise RuntimeError("there was nothing to judge")
    return spent


def measure_engine(runs: int) -> Mapping[str, float]:
    """Figures of a day of `runs` runs of one workflow, and a fiftieth of that of five others."""
    with engine() as connection:
        first = 0
        for workflow in WORKFLOWS:
            count = runs if workflow == WORKFLOWS[0] else runs // 50
            for day, some in ((BEFORE, count // 10), (DAY, count)):
                _fill(connection, workflow, day, some, first)
                first += some
        with open_drift_store(connection) as store:
            span = (BEFORE, DAY + timedelta(days=1))
            start = time.perf_counter()
            stale = stale_windows(store, *span)
            compared = time.perf_counter() - start
            counted = roll_up(store, stale, DEFAULT_POLICY)
            rolled = time.perf_counter() - start - compared
            start = time.perf_counter()
            sum_all(store, Plan(lengths=(Length.HOUR, Length.DAY)), Span(*span))
            summed = time.perf_counter() - start
            days = _judge(store, (Length.DAY,))
            hours = _judge(store, (Length.HOUR,))
    return {
        "engine_runs": float(first),
        "compare_s": round(compared, 3),
        "roll_up_s": round(rolled, 3),
        "roll_up_ms_a_window": round(rolled / counted * 1000, 2),
        "sum_s": round(summed, 3),
        "judge_day_of_all_workflows_ms": round(days * 1000, 1),
        "judge_day_ms_a_workflow": round(days * 1000 / len(WORKFLOWS), 1),
        "judge_hours_of_all_workflows_s": round(hours, 3),
    }

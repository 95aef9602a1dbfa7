"""Runs made by the engine itself, so that a hundred thousand take a moment."""

from causeline.runtime.clickhouse import clickhouse_client
from causeline.runtime.connections import ClickHouseConnection

MOVED = "multiIf(chance < 0.3, 'simple', chance < 0.64, 'standard', 'hard')"
"""Six runs in a hundred leave `standard` for `hard`."""
_COLUMNS = (
    "run_id, project, workflow, revision, verdict, close_reason, events, started_at, finished_at, closed_at,"
    " final_state, route, model_name, system_fingerprint, confidence, gap_kinds, review_outcome, labels"
)


def put_runs(
    database: ClickHouseConnection,
    count: int,
    *,
    start: str = "2026-11-02 00:00:00",
    over_s: int = 3600,
    first: int = 0,
    workflow: str = "invoice",
    revision: int = 1,
    where: str = "1",
    route: str = "multiIf(chance < 0.3, 'simple', chance < 0.7, 'standard', 'hard')",
    fingerprint: str = "'fp1'",
    confidence: str = "0.9",
    review: str = "NULL",
    label: str = "'en'",
    every: str = "number",
    case: str = "''",
) -> None:
    """Insert `count` runs, evenly over a span; the SQL of a value may use `number` and `chance` (0 to 1 by run)."""
    sql = f"""
    INSERT INTO run_rows ({_COLUMNS})
    SELECT
        leftPad(hex({every}), 32, '0'), 'p', '{workflow}', {revision}, 'complete', 'finished', 3,
        toDateTime64('{start}', 6, 'UTC')
            + toIntervalMicrosecond(intDiv((number - {first}) * {over_s} * 1000000, {count})) AS at,
        at + 1, at + 2, 'answered', {route}, 'm1', {fingerprint}, {confidence},
        [], {review}, map('language', {label}, 'eval.case', {case})
    FROM (SELECT number, (cityHash64(number, '{workflow}') % 1000003) / 1000003 AS chance
          FROM numbers({first}, {count}))
    WHERE {where}
    """
    with clickhouse_client(database) as client:
        client.command(sql)


def drifting(database: ClickHouseConnection, *, hours: int) -> None:
    """So many hours of 2,000 runs as ever, and one more in which six in a hundred leave `standard`."""
    put_runs(database, 2000 * hours, over_s=hours * 3600)
    put_runs(
        database,
        2000,
        first=2000 * hours,
        start=f"2026-11-02 {hours:02d}:00:00",
        route=MOVED,
        fingerprint="if(number % 2 = 0, 'fp1', 'fp2')",
        confidence="0.9 - 0.1 * (number % 2)",
    )

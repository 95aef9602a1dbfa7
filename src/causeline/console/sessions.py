"""Sessions: the runs of one conversation together, what they cost and how they came out. Over the view `runs`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from causeline.console.run_filter import RunFilter, checked_limit
from causeline.console.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One conversation; times are UTC, cost in US dollars, both tokens over all its runs."""

    session_id: str
    project: str
    user_hash: str | None
    """Of the user, where all its runs name one."""
    workflows: tuple[str, ...]
    runs: int
    failed: int
    """Runs that ended in error, or with a step in error."""
    with_gaps: int
    started_at: datetime
    finished_at: datetime
    cost_usd: float | None
    input_tokens: int | None
    output_tokens: int | None


def find_sessions(store: Store, wanted: RunFilter, *, limit: int = 50) -> list[Session]:
    """The sessions that the runs of a filter belong to, the newest first; runs without one belong to none."""
    condition = wanted.condition()
    sql = (
        "SELECT session_id, project, if(uniqExact(user_hash) = 1, any(user_hash), NULL) AS user_hash,"  # noqa: S608 - constants; values are parameters
        " arraySort(groupUniqArray(10)(workflow)) AS workflows, count() AS runs, countIf(status = 'error') AS failed,"
        " countIf(notEmpty(gap_kinds)) AS with_gaps, min(began) AS started_at, max(ended) AS finished_at,"
        " sumOrNull(cost) AS cost_usd, sumOrNull(tokens_in) AS input_tokens, sumOrNull(tokens_out) AS output_tokens"
        " FROM (SELECT ifNull(session_id, '') AS session_id, project, user_hash, workflow, status, gap_kinds,"
        " started_at AS began, finished_at AS ended, cost_usd AS cost, input_tokens AS tokens_in,"
        f" output_tokens AS tokens_out FROM runs WHERE session_id != '' AND {condition.sql})"
        " GROUP BY project, session_id ORDER BY max(began) DESC, session_id LIMIT {limit:UInt32}"
    )
    rows = store.ask(sql, {**condition.parameters, "limit": checked_limit(limit)})
    return [_session(row) for row in rows]


def _session(row: Mapping[str, Any]) -> Session:
    return Session(**{**row, "workflows": tuple(row["workflows"])})

"""Where is asked, and for which rows: filters are those of `causeline runs`, values travel as parameters."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypedDict, Unpack

from causeline.console.read_only_sql import one_statement, require_used
from causeline.console.run_filter import Condition, RunFilter
from causeline.console.run_lists import LISTED
from causeline.console.when import parse_moment
from causeline.read.rows import Rows
from causeline.runtime.clock import Clock, system_clock
from causeline.runtime.connections import ClickHouseConnection
from causeline.schemas.errors import NotFound, Unreachable, UsageError
from causeline.stack.endpoints import Endpoints

_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*", re.ASCII)
_URL = "CAUSELINE_CLICKHOUSE_URL"


class Wanted(TypedDict, total=False):
    """Which runs, and which columns of them, of their steps or of their events.

    What is left out does not restrict; several values of one field are alternatives. `columns` is a list of names, or
    `"*"`; of runs it is by default what is not nested, of steps and events everything.
    """

    run: str
    """A part of the run's id."""
    project: str | Sequence[str]
    workflow: str | Sequence[str]
    state: str | Sequence[str]
    verdict: str | Sequence[str]
    status: str | Sequence[str]
    route: str | Sequence[str]
    model: str | Sequence[str]
    prompt_version: str | Sequence[str]
    session: str | Sequence[str]
    since: str | datetime
    """Of the run's start: `7d` ago, ISO 8601 or a datetime, UTC without a zone; it belongs to the span."""
    until: str | datetime
    """It does not."""
    has_gap: bool
    gap: str | Sequence[str]
    has_fallback: bool
    labels: Mapping[str, str]
    columns: str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Site:
    """A ClickHouse to read from."""

    connection: ClickHouseConnection
    clock: Clock = system_clock

    def runs(self, **wanted: Unpack[Wanted]) -> Rows:
        """Runs of the view `runs`, one a row. Raises UsageError for what cannot be meant."""
        condition = self._condition(wanted)
        return self._rows("runs", _columns(wanted, LISTED), condition.sql, condition)

    def steps(self, **wanted: Unpack[Wanted]) -> Rows:
        """Steps of the runs that are wanted, one a row, of the view `steps`."""
        return self._of_runs("steps", wanted)

    def events(self, **wanted: Unpack[Wanted]) -> Rows:
        """Events of the runs that are wanted, one a row, of the view `events`."""
        return self._of_runs("events", wanted)

    def sql(self, statement: str, parameters: Mapping[str, str] | None = None) -> Rows:
        """The rows of one statement that reads; raises UsageError for another."""
        parameters = dict(parameters or {})
        require_used(one_statement(statement), parameters)
        return Rows(self.connection, one_statement(statement), parameters)

    def _of_runs(self, view: str, wanted: Wanted) -> Rows:
        condition = self._condition(wanted)
        where = "1" if condition.sql == "1" else f"run_id IN (SELECT run_id FROM runs WHERE {condition.sql})"  # noqa: S608
        return self._rows(view, _columns(wanted, ("*",)), where, condition)

    def _rows(self, view: str, columns: Sequence[str], where: str, condition: Condition) -> Rows:
        statement = f"SELECT {', '.join(columns)} FROM {view} WHERE {where}"  # noqa: S608 - names; values are parameters
        return Rows(self.connection, statement, condition.parameters)

    def _condition(self, wanted: Wanted) -> Condition:
        if unknown := sorted(wanted.keys() - Wanted.__annotations__.keys()):
            raise UsageError(
                f"There is no filter {unknown[0]}.", hint=f"There are {', '.join(Wanted.__annotations__)}."
            )
        return RunFilter(
            id_text=wanted.get("run"),
            projects=_listed(wanted.get("project")),
            workflows=_listed(wanted.get("workflow")),
            states=_listed(wanted.get("state")),
            verdicts=_listed(wanted.get("verdict")),
            statuses=_listed(wanted.get("status")),
            routes=_listed(wanted.get("route")),
            models=_listed(wanted.get("model")),
            prompt_versions=_listed(wanted.get("prompt_version")),
            sessions=_listed(wanted.get("session")),
            since_us=self._moment(wanted.get("since")),
            until_us=self._moment(wanted.get("until")),
            has_gap=wanted.get("has_gap", False),
            gap_kinds=_listed(wanted.get("gap")),
            has_fallback=wanted.get("has_fallback", False),
            labels=wanted.get("labels", {}),
        ).condition()

    def _moment(self, said: str | datetime | None) -> int | None:
        if said is None:
            return None
        return parse_moment(said.isoformat() if isinstance(said, datetime) else said, now_us=self.clock())


def site(
    *, url: str | None = None, state_dir: str | Path | None = None, environment: Mapping[str, str] | None = None
) -> Site:
    """Where to read from: `url`, else CAUSELINE_CLICKHOUSE_URL, else the local stack's ClickHouse as its reader.

    The password comes from CAUSELINE_CLICKHOUSE_PASSWORD or …_PASSWORD_FILE; the local stack's reader has its own.
    Raises Unreachable where no ClickHouse is named and no stack runs here.
    """
    given = dict(os.environ if environment is None else environment)
    folder = Path(state_dir or given.get("CAUSELINE_STATE_DIR") or ".causeline").absolute()
    asked = url or given.get(_URL)
    try:
        local = Endpoints.load(folder)
    except NotFound:
        local = None
    if local is not None and asked in {None, local.clickhouse_url}:
        return Site(ClickHouseConnection.from_environment(local.reading()))
    if asked is None:
        raise Unreachable(f"No stack is up in {folder} and {_URL} is not set.", hint="causeline up")
    return Site(ClickHouseConnection.from_environment({**given, _URL: asked}))


def _listed(said: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if said is None else (said,) if isinstance(said, str) else tuple(said)


def _columns(wanted: Wanted, default: Sequence[str]) -> Sequence[str]:
    columns = _listed(wanted.get("columns")) or tuple(default)
    for name in columns:
        if name != "*" and not _COLUMN.fullmatch(name):
            raise UsageError(
                f"{name[:60]!r} is no column.", hint="DESCRIBE runs names them; read.sql takes expressions."
            )
    return columns

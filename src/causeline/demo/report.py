"""The demo's account: what was published against what can be asked for against the truth, and what it shows."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple, cast

from causeline.console.answers import Record
from causeline.console.store import Store
from causeline.console.words import count, listed

PROJECT = "demo"
LABEL = "demo"
"""The label that names the session on every run of a demo."""

_IN_SESSION = f"labels['{LABEL}'] = {{session:String}}"
_IN_RANGE = "run_id BETWEEN {low:String} AND {high:String}"
_SHOWN_IDS = 3


@dataclass(frozen=True, slots=True)
class Published:
    """What the broker acknowledged of one session, and which runs the truth file speaks of."""

    session: str
    event_ids: frozenset[str]
    run_ids: frozenset[str]
    true_run_ids: frozenset[str]

    @property
    def id_range(self) -> dict[str, object]:
        """The smallest and the greatest run id, as parameters: what lies between is nearly all of the session's."""
        return {"low": min(self.run_ids, default=""), "high": max(self.run_ids, default="")}


@dataclass(frozen=True, slots=True)
class Visible:
    """What of a session can be asked for; the rows are as many as the ids unless something is shown twice."""

    event_ids: frozenset[str]
    run_ids: frozenset[str]
    event_rows: int
    run_rows: int

    @property
    def duplicates(self) -> int:
        """Rows that show an event or a run a second time."""
        return self.event_rows - len(self.event_ids) + self.run_rows - len(self.run_ids)


@dataclass(frozen=True, slots=True)
class Account:
    """The counts of one session, as `causeline demo --json` ends with them."""

    events_published: int
    events_visible: int
    runs_published: int
    runs_visible: int
    duplicates: int
    complete: int
    partial: int
    unfinished: int
    gaps: int
    fallbacks: int
    seconds: float


def seen(store: Store, published: Published) -> tuple[int, int]:
    """How many events the session's runs are made of as far as they are stored, and how many runs there are: cheap, for
    telling how far it is. A run takes in what people decided a moment after it was joined."""
    rows = store.ask(
        f"SELECT (SELECT count() FROM events WHERE {_IN_RANGE}) AS stored, sum(events) AS counted, count() AS runs"  # noqa: S608
        f" FROM runs WHERE {_IN_RANGE}",
        published.id_range,
    )
    return min(_int(rows[0]["stored"]), _int(rows[0]["counted"])), _int(rows[0]["runs"])


def visible(store: Store, published: Published) -> Visible:
    """What of the session can be asked for, id by id."""
    span = published.id_range
    events = store.ask(f"SELECT run_id, event_id FROM events WHERE {_IN_RANGE}", span)  # noqa: S608 - constants
    event_ids = [str(row["event_id"]) for row in events if row["run_id"] in published.run_ids]
    runs = store.ask(f"SELECT run_id FROM runs WHERE {_IN_SESSION}", {"session": published.session})  # noqa: S608
    run_ids = [str(row["run_id"]) for row in runs]
    return Visible(frozenset(event_ids), frozenset(run_ids), len(event_ids), len(run_ids))


def visible_spans(store: Store, run_ids: Collection[str]) -> tuple[int, int]:
    """How many of these runs can be asked for, and how many spans of theirs: steps, and pieces of evidence."""
    [row] = store.ask(
        "SELECT count() AS runs, sum(length(steps) + length(evidence)) AS spans FROM runs"
        " WHERE run_id IN {run_ids:Array(String)}",
        {"run_ids": list(run_ids)},
    )
    return _int(row["runs"]), _int(row["spans"])


def run_that_lacks_spans(store: Store, run_ids: Collection[str], spans: int) -> str:
    """How one of these runs stands that shows fewer than `spans`; empty where none does."""
    rows = store.ask(
        "SELECT run_id, length(steps) + length(evidence) AS spans, toString(verdict) AS verdict,"
        " toString(close_reason) AS close_reason, arrayStringConcat(missing, ', ') AS missing FROM runs"
        " WHERE run_id IN {run_ids:Array(String)} AND spans < {spans:UInt32} ORDER BY run_id LIMIT 1",
        {"run_ids": list(run_ids), "spans": spans},
    )
    return "".join(
        f"{row['run_id']}, {row['verdict']} with {row['spans']} of {spans}, closed as {row['close_reason']},"
        f" missing: {row['missing'] or 'nothing that it knows of'}"
        for row in rows
    )


def differences(published: Published, shown: Visible) -> list[str]:
    """Where published, visible and true are not the same, one sentence each; empty when they are."""
    pairs = (
        ("event", "was published and cannot be asked for", published.event_ids - shown.event_ids),
        ("event", "can be asked for and was never acknowledged", shown.event_ids - published.event_ids),
        ("run", "was published and cannot be asked for", published.run_ids - shown.run_ids),
        ("run", "can be asked for and was not published", shown.run_ids - published.run_ids),
        ("run", "was published and is not in the truth file", published.run_ids - published.true_run_ids),
        ("run", "is in the truth file and was not published", published.true_run_ids - published.run_ids),
    )
    found = [_difference(what, said, ids) for what, said, ids in pairs if ids]
    if shown.duplicates:
        found.append(f"{count(shown.duplicates, 'row')} show a thing a second time.")
    return found


def _difference(what: str, said: str, ids: Collection[str]) -> str:
    verb = said if len(ids) == 1 else said.replace("was ", "were ").replace("is ", "are ", 1)
    return f"{count(len(ids), what)} {verb}: {listed(sorted(ids), _SHOWN_IDS)}."


def account(store: Store, published: Published, shown: Visible, seconds: float) -> Account:
    """The counts of the session."""
    row = store.ask(
        "SELECT countIf(verdict = 'complete') AS complete, countIf(verdict = 'partial') AS partial,"  # noqa: S608
        " countIf(verdict = 'unfinished') AS unfinished, sum(length(gaps)) AS gaps, sum(length(fallbacks)) AS fallbacks"
        f" FROM runs WHERE {_IN_SESSION}",
        {"session": published.session},
    )[0]
    return Account(
        events_published=len(published.event_ids),
        events_visible=len(shown.event_ids),
        runs_published=len(published.run_ids),
        runs_visible=len(shown.run_ids),
        duplicates=shown.duplicates,
        complete=_int(row["complete"]),
        partial=_int(row["partial"]),
        unfinished=_int(row["unfinished"]),
        gaps=_int(row["gaps"]),
        fallbacks=_int(row["fallbacks"]),
        seconds=round(seconds, 1),
    )


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the report."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    right: tuple[str, ...] = ()


def tables(store: Store, session: str) -> list[Table]:
    """What the session shows: runs, fallbacks, gaps, and the steps that took and cost most."""
    return [
        _table(
            store,
            session,
            "Runs by workflow and outcome",
            "SELECT workflow, verdict AS record, ifNull(final_state, '') AS state, count() AS runs,"  # noqa: S608
            " countIf(notEmpty(gap_kinds)) AS with_gaps, countIf(status = 'error') AS with_errors,"
            " round(sum(cost_usd), 2) AS cost_usd"
            f" FROM runs WHERE {_IN_SESSION} GROUP BY ALL ORDER BY workflow, record, runs DESC",
            ("runs", "with_gaps", "with_errors", "cost_usd"),
        ),
        _table(
            store,
            session,
            "Fallbacks",
            "SELECT ifNull(fallback.kind, '') AS fallback, count() AS taken, uniqExact(run_id) AS runs,"  # noqa: S608
            " ifNull(topK(1)(ifNull(fallback.reason, ''))[1], '') AS usual_reason"
            f" FROM runs ARRAY JOIN fallbacks AS fallback WHERE {_IN_SESSION}"
            " GROUP BY ALL ORDER BY taken DESC, fallback",
            ("taken", "runs"),
        ),
        _table(
            store,
            session,
            "Evidence gaps",
            "SELECT ifNull(gap.kind, '') AS gap, count() AS found, uniqExact(run_id) AS runs,"  # noqa: S608
            " topK(1)(ifNull(gap.field_path, ''))[1] AS usual_field"
            f" FROM runs ARRAY JOIN gaps AS gap WHERE {_IN_SESSION} GROUP BY ALL ORDER BY found DESC, gap",
            ("found", "runs"),
        ),
        *(_extreme(store, session, extreme) for extreme in _EXTREMES),
    ]


class _Extreme(NamedTuple):
    title: str
    column: str
    measure: str
    unit: str


_EXTREMES = (
    _Extreme("Slowest step", "slowest_step", "duration_us / 1000000", "seconds"),
    _Extreme("Costliest step", "costliest_step", "cost_usd", "dollars"),
)


def _extreme(store: Store, session: str, extreme: _Extreme) -> Table:
    title, column, measure, unit = extreme
    return _table(
        store,
        session,
        title,
        f"SELECT workflow, ifNull({column}, '') AS step, run_id AS run,"  # noqa: S608 - constants
        f" round(arrayMax(each -> if(concat(ifNull(each.step_kind, ''), ':', ifNull(each.step_name, '')) = step,"
        f" ifNull(each.{measure}, 0), 0), steps), 6) AS {unit}"
        f" FROM runs WHERE {_IN_SESSION} AND {column} IS NOT NULL ORDER BY {unit} DESC, run LIMIT 1",
        (unit,),
    )


def _table(store: Store, session: str, title: str, sql: str, right: tuple[str, ...]) -> Table:
    rows: list[Record] = list(store.ask(sql, {"session": session}))
    columns = tuple(rows[0]) if rows else ()
    return Table(title, columns, tuple(tuple(row[name] for name in columns) for row in rows), right)


def telling_run(store: Store, session: str) -> str | None:
    """The id of the session's run that went wrong in most ways; None when none did."""
    rows = store.ask(
        "SELECT run_id, 4 * (ifNull(final_state, '') IN ('failed', 'stopped'))"  # noqa: S608 - constants
        " + 3 * (ifNull(review_outcome, '') IN ('overridden', 'rejected')) + 2 * (ifNull(status, '') = 'error')"
        " + 2 * notEmpty(gap_kinds) + notEmpty(fallbacks) + notEmpty(validation_errors) AS wrongs"
        f" FROM runs WHERE {_IN_SESSION} AND wrongs > 0 ORDER BY wrongs DESC, run_id LIMIT 1",
        {"session": session},
    )
    return str(rows[0]["run_id"]) if rows else None


def _int(value: object) -> int:
    return int(cast("int", value) or 0)

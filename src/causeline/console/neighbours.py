"""The neighbours of runs, read from ClickHouse: bounded in time and number, from a few granules of a few columns.

1. The runs around a run: the last before it, and the first within an hour after it.
2. Some of farther back, at times that quadruple, so that a release of yesterday is seen in a workflow of any pace.
3. Where the view `neighbours` has too few, and where another policy is asked than the runs were judged by, whole runs
   are read in their place: slower, and never more than `MOST`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from causeline.console import lookups, run_lists
from causeline.console.answers import Record
from causeline.console.policies import judging_policy
from causeline.console.run_filter import RunFilter
from causeline.console.store import Store
from causeline.diagnosis import Cohort, DriftAlert, diagnose, row_of
from causeline.diagnosis.cohort import MIN_RUNS
from causeline.diagnosis.grouping import Answered
from causeline.diagnosis.traits import Row
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.run import Run

MOST = 400
"""Runs of a cohort."""
BEFORE, AFTER, OLDER = 260, 80, 10
"""Of them: the last before a run, the first after it, and at each of the times farther back."""
REACH = timedelta(days=7)
"""How long before a run its neighbours may have been."""
WITHIN = timedelta(hours=1)
"""How long after it."""
BACK = tuple(timedelta(minutes=5 * 4**power) for power in range(6))
"""The times farther back, of which some runs are taken each: every one is a question of its own, a few ms of CPU."""
_BATCH = 200
SHARED = timedelta(minutes=30)
"""How far apart runs of a workflow may start that are held against the same neighbours, where those are kept."""

_COLUMNS = "run_id, toUnixTimestamp64Micro(run_started_at) AS at_us, version, blemished, traits"
_MICROS = "fromUnixTimestamp64Micro({{{}:Int64}}, 'UTC')"
_TWICE = 2
"""How often the view may show a run until its parts are merged. So many rows are asked for, in the order in which they
lie: told to keep one of each run, ClickHouse reads the whole stretch of a workflow (2.2 s at a million runs)."""


def _last_until(moment: str, limit: int) -> str:
    return (
        f"SELECT {_COLUMNS}, '{moment}' AS piece FROM neighbours WHERE workflow = {{workflow:String}}"  # noqa: S608 - constants
        f" AND run_started_at > {_MICROS.format('since')} AND run_started_at <= {_MICROS.format(moment)}"
        f" ORDER BY run_started_at DESC, run_id DESC LIMIT {_TWICE * limit}"
    )


_AFTER = (
    f"SELECT {_COLUMNS}, 'until' AS piece FROM neighbours WHERE workflow = {{workflow:String}}"  # noqa: S608 - constants
    f" AND run_started_at > {_MICROS.format('at')} AND run_started_at <= {_MICROS.format('until')}"
    f" ORDER BY run_started_at, run_id LIMIT {_TWICE * AFTER}"
)
_PIECES = {"at": BEFORE, "until": AFTER, **{f"back_{place}": OLDER for place in range(len(BACK))}}
"""How many runs of each piece of the answer count."""
_BACK = " UNION ALL ".join(f"({_last_until(f'back_{place}', OLDER)})" for place in range(len(BACK)))
_AROUND = f"({_last_until('at', BEFORE)}) UNION ALL ({_AFTER}) UNION ALL {_BACK}"


ARE_STORED = (
    f"(SELECT uniqExact(run_id) >= {MIN_RUNS} FROM (SELECT run_id FROM neighbours WHERE workflow = {{workflow:String}}"  # noqa: S608 - constants
    f" AND run_started_at > {_MICROS.format('since')} AND run_started_at <= {_MICROS.format('until')}"
    f" LIMIT {_TWICE * MIN_RUNS}))"
)
"""SQL for whether `rows_around` has enough runs to look at."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stands among those of its workflow: all that its neighbours depend on."""

    workflow: str
    policy_hash: str | None
    started_at: datetime | None

    @classmethod
    def of(cls, run: Run) -> Self:
        """The place of a run."""
        return cls(run.workflow, run.policy_hash, run.started_at)

    def nearest(self, others: Iterable["Place"]) -> "Place":
        """That of `others` whose neighbours are as good as its own and which is nearest; itself where there is none."""
        apart = {self: SHARED}
        if self.started_at is not None:
            for other in others:
                if (other.workflow, other.policy_hash) == (self.workflow, self.policy_hash) and other.started_at:
                    apart[other] = abs(other.started_at - self.started_at)
        return min(apart, key=apart.__getitem__)

    @property
    def moments(self) -> Mapping[str, object]:
        """Parameters of `ARE_STORED`, in microseconds."""
        return _moments(_at_us(self.started_at)) if self.started_at else {}


def cohort_of(store: Store, run: Run, policy: Policy) -> Cohort:
    """The runs of the same workflow that `run` is held against, as `policy` has them."""
    return cohort_at(store, Place.of(run), policy)


def cohort_at(store: Store, place: Place, policy: Policy, *, are_stored: bool = True) -> Cohort:
    """The same for a place; without `are_stored` it is known that the view has too few."""
    if place.started_at is None:
        return Cohort(())
    if are_stored and (policy is DEFAULT_POLICY or place.policy_hash in (None, policy.content_hash)):
        rows = rows_around(store, place.workflow, _at_us(place.started_at))
        if len(rows) >= MIN_RUNS:
            return Cohort(rows)
    wanted = RunFilter(
        workflows=(place.workflow,),
        since_us=_at_us(place.started_at - REACH),
        until_us=_at_us(place.started_at + WITHIN),
    )
    return Cohort(_rows(store, wanted, policy))


class Neighbours:
    """The neighbours of many runs, one after the other: asked for once for those that start near each other."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[Place, str], Cohort] = {}

    def of(self, run: Run, policy: Policy) -> Cohort:
        """As `cohort_of` has them."""
        judged_alike = [place for place, judged_by in self._known if judged_by == policy.content_hash]
        key = (Place.of(run).nearest(judged_alike), policy.content_hash)
        cohort = self._known.get(key)
        if cohort is None:
            cohort = self._known[key] = cohort_at(self._store, key[0], policy)
        return cohort


def rows_around(store: Store, workflow: str, at_us: int) -> list[Row]:
    """The runs of a workflow around a moment, and some of farther back, as they were stored with their causes."""
    moments = _moments(at_us)
    back = {f"back_{place}": at_us - _us(step) for place, step in enumerate(BACK)}
    return _newest(store.ask(_AROUND, {"workflow": workflow, **moments, **back}))


def _moments(at_us: int) -> dict[str, int]:
    return {"since": at_us - _us(REACH), "at": at_us, "until": at_us + _us(WITHIN)}


def _at_us(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


def _us(span: timedelta) -> int:
    return round(span.total_seconds() * 1e6)


def _newest(records: Iterable[Record]) -> list[Row]:
    """Each run once, by its highest version, and of each piece the runs nearest to its moment."""
    pieces: dict[str, dict[str, Record]] = {}
    for record in records:
        piece, run_id = pieces.setdefault(str(record["piece"]), {}), str(record["run_id"])
        known = piece.get(run_id)
        if known is None or int(str(record["version"])) > int(str(known["version"])):
            piece[run_id] = record
    best: dict[str, Record] = {}
    for name, found in pieces.items():
        nearest = sorted(found.values(), key=lambda each: int(str(each["at_us"])), reverse=name != "until")
        best |= {str(each["run_id"]): each for each in nearest[: _PIECES[name]]}
    return [
        Row.from_text(run_id, int(str(each["at_us"])) / 1e6, str(each["traits"]), well=not each["blemished"])
        for run_id, each in best.items()
    ]


def _rows(store: Store, wanted: RunFilter, policy: Policy) -> list[Row]:
    return [row_of(run, policy) for run in run_lists.sample_of_runs(store, wanted, most=MOST)]


def _read(store: Store, ids: Sequence[str]) -> Iterator[Run]:
    for start in range(0, len(ids), _BATCH):
        yield from lookups.runs_by_id(store, ids[start : start + _BATCH]).values()


def answered(
    store: Store,
    wanted: RunFilter,
    *,
    limit: int,
    drift_of: Callable[[str], Sequence[DriftAlert] | None],
    policy: Policy | None = None,
) -> Iterator[Answered]:
    """The newest runs of a filter, each with its diagnosis beside those of them that are of its workflow.

    They are judged by `policy`, else by the policy that judged each; `drift_of` tells the alerts of a workflow.
    """
    ids = [run.run_id for run in run_lists.find_runs(store, wanted, limit=limit)]
    by_workflow: dict[str, list[Run]] = {}
    for run in _read(store, ids):
        by_workflow.setdefault(run.workflow, []).append(run)
    known: dict[str | None, Policy] = {}
    for workflow, runs in sorted(by_workflow.items()):
        drift = drift_of(workflow)
        judging = []
        for run in runs:
            if run.policy_hash not in known:
                known[run.policy_hash] = policy or judging_policy(store, run.policy_hash) or DEFAULT_POLICY
            judging.append(known[run.policy_hash])
        cohort = Cohort([row_of(run, mine) for run, mine in zip(runs, judging, strict=True)])
        for run, mine in zip(runs, judging, strict=True):
            yield Answered(run, diagnose(run, mine, drift, cohort))

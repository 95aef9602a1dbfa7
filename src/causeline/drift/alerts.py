"""Alerts as people read them: what moved, since when, with which anchor, and runs to look at on both sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from causeline.console.run_filter import NOT_OF_A_GATE
from causeline.console.store import Store
from causeline.diagnosis.model import DriftAlert
from causeline.drift.counts import RARE
from causeline.drift.dimensions import band_parameters, value_sql
from causeline.schemas.errors import NotFound, UsageError
from causeline.schemas.policy import DEFAULT_POLICY, Policy

EXAMPLES = 10
_EXPLAINS = 0.5
"""An anchor that the shift came with for less than this is not named as its cause."""

_OF_ALERTS = """
    WHERE alert_id != '' AND (workflow = {workflow:String} OR {workflow:String} = '')
        AND startsWith(alert_id, {id:String})
"""
_ALERTS = f"""
SELECT
    a.*,
    m.mark AS mark,
    m.reason AS reason
FROM
(
    SELECT o.*, d.last_window AS last_window, d.last_state AS last_state
    FROM (SELECT * FROM drift {_OF_ALERTS} ORDER BY window_start LIMIT 1 BY alert_id) AS o
    INNER JOIN
    (
        SELECT alert_id AS last_id, window_start AS last_window, alert_state AS last_state FROM drift {_OF_ALERTS}
        ORDER BY window_start DESC LIMIT 1 BY alert_id
    ) AS d ON d.last_id = o.alert_id
) AS a
LEFT JOIN (SELECT * FROM drift_mark_rows FINAL) AS m ON m.alert_id = a.alert_id
WHERE {{ended:Bool}} OR (last_state IN ('open', 'muted') AND mark != 'acknowledged')
ORDER BY alert_since DESC, effect DESC, alert_id
"""  # noqa: S608 - constants
_COURSE = """
SELECT
    window_start,
    arrayFirst(share -> share.value = {value:String}, shares).after / greatest(after_runs, 1) AS share
FROM drift
WHERE workflow = {workflow:String} AND length = {length:String} AND dimension = {dimension:String}
    AND baseline = {baseline:String} AND window_start <= {until:DateTime('UTC')} AND after_runs > 0
ORDER BY window_start DESC LIMIT {most:UInt32}
"""
_EXAMPLES = """
SELECT run_id FROM runs
WHERE workflow = {{workflow:String}} AND started_at >= {{since:DateTime64(6, 'UTC')}}
    AND started_at < {{until:DateTime64(6, 'UTC')}} AND {holds}
    AND {people}
    AND ({{release:String}} = '' OR labels['release'] = {{release:String}})
ORDER BY run_id LIMIT {{most:UInt32}}
"""
_SECONDS = {"5m": 300, "1h": 3600, "1d": 86400}

ADVICE: Mapping[str, str] = {
    "prompt_version": "Compare the prompt's two versions on the runs of both sides; go back if the new one is worse.",
    "model_name": "Try the former model on the runs of the new side; pin it if that mends them.",
    "model_provider": "Compare the providers on the runs of both sides, and look at how traffic is split.",
    "system_fingerprint": "The provider changed its backend under the same model name: replay runs of both sides,"
    " tell the provider, and move to a pinned version.",
    "parser_version": "Parse the inputs of both sides with both parser versions, and compare what they make of them.",
    "schema_version": "Look at what the new schema asks for that the old did not.",
    "route_policy_version": "Compare the routing rules' two versions on the runs of both sides.",
    "model_policy": "Look at what the new policy sends to which model.",
    "index": "Ask the questions of both sides to both indexes, and compare what is found; rebuild or go back.",
    "release": "Compare the two releases; go back if the new one is worse.",
}
_WITHIN = (
    "No version anchor changed with it: the inputs are others, or a provider changed something that it does not tell."
    " Compare the inputs of both sides."
)


@dataclass(frozen=True, slots=True)
class Share:
    """A value's runs on both sides, and its share of them."""

    value: str
    before: int
    after: int
    before_share: float
    after_share: float


@dataclass(frozen=True, slots=True)
class Anchor:
    """An anchor's part in the shift."""

    anchor: str
    between: float
    """Part of the shift that came with the anchor's changed mix: 1 is all of it."""
    value: str
    """The value whose share of the runs grew most."""
    before: float
    after: float
    """Its share of the runs, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert: shares, anchors and runs are those of the window that opened it, its state is what the last left."""

    alert_id: str
    state: str
    workflow: str
    dimension: str
    length: str
    baseline: str
    since: datetime
    last_window: datetime
    before_from: datetime
    before_to: datetime
    before_runs: int
    after_runs: int
    effect: float
    p_adjusted: float
    pooled: int
    reason: str
    shares: tuple[Share, ...]
    anchors: tuple[Anchor, ...]

    @property
    def cause(self) -> Anchor | None:
        """The anchor that the shift came with; None when it came with none."""
        first = self.anchors[0] if self.anchors else None
        return first if first and first.between >= _EXPLAINS else None

    @property
    def grown(self) -> Share:
        """The value whose share grew most."""
        return max(self.shares, key=lambda share: share.after_share - share.before_share)

    @property
    def shrunk(self) -> Share:
        """The value whose share shrank most."""
        return min(self.shares, key=lambda share: share.after_share - share.before_share)

    @property
    def moved(self) -> Share:
        """The value whose share moved most, of those that have a name; of equals the one that gained."""
        named = [share for share in self.shares if share.value != RARE] or self.shares
        gains = [(share.after_share - share.before_share, share) for share in named]
        return max(gains, key=lambda each: (round(abs(each[0]), 9), each[0]))[1]

    @property
    def headline(self) -> str:
        """What moved, in one sentence."""
        moved = self.moved
        cause = f", with {self.cause.anchor} {self.cause.value}" if self.cause else ", with no version anchor"
        return (
            f"{self.dimension} of {self.workflow} moved: {moved.value} from {moved.before_share:.1%}"
            f" to {moved.after_share:.1%} of the runs since {self.since:%Y-%m-%d %H:%M} UTC{cause}."
        )

    @property
    def advice(self) -> str:
        """What to do next."""
        return ADVICE[self.cause.anchor] if self.cause else _WITHIN


def alerts(store: Store, *, workflow: str = "", ended: bool = False) -> tuple[Alert, ...]:
    """The alerts that last, the newest first; with `ended`, those that are over, too."""
    rows = store.ask(_ALERTS, {"workflow": workflow, "id": "", "ended": ended})
    return tuple(_alert(row) for row in rows)


def alert_by_id(store: Store, start: str) -> Alert:
    """The alert whose id begins so; raises NotFound, or UsageError when there are several."""
    found = store.ask(_ALERTS, {"workflow": "", "id": start.lower(), "ended": True}) if start else ()
    if not found:
        raise NotFound(f"There is no drift alert {start[:40]!r}.", hint="causeline drift --all")
    if len(found) > 1:
        raise UsageError(f"{len(found)} drift alerts begin with {start!r}.", hint="Give more of the id.")
    return _alert(found[0])


def course(store: Store, alert: Alert, *, windows: int = 24) -> tuple[float, ...]:
    """The share of the value that grew most, by window, the last being the alert's last."""
    rows = store.ask(
        _COURSE,
        {
            "value": alert.grown.value,
            "workflow": alert.workflow,
            "length": alert.length,
            "dimension": alert.dimension,
            "baseline": alert.baseline,
            "until": alert.last_window,
            "most": windows,
        },
    )
    return tuple(float(cast("float", row["share"])) for row in reversed(rows))


def examples(
    store: Store, alert: Alert, policy: Policy = DEFAULT_POLICY, most: int = EXAMPLES
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Run ids of both sides: before, runs with the value that shrank most; of the window that opened it, with the one
    that grew most."""
    end = alert.since.timestamp() + _SECONDS[alert.length]
    after_end = datetime.fromtimestamp(end, UTC)
    release = ""
    if alert.baseline == "pinned":
        pin = store.ask(
            "SELECT release FROM drift_pin_rows FINAL WHERE workflow = {workflow:String}", {"workflow": alert.workflow}
        )
        release = str(pin[0]["release"]) if pin else ""
    before = (alert.shrunk.value, alert.before_from, alert.before_to, release)
    after = (alert.grown.value, alert.since, after_end, "")
    found = [_runs(store, alert, policy, most, side) for side in (before, after)]
    return found[0], found[1]


def _runs(
    store: Store, alert: Alert, policy: Policy, most: int, side: tuple[str, datetime, datetime, str]
) -> tuple[str, ...]:
    value, since, until, release = side
    sql, parameters = value_sql(alert.dimension)
    asked = {
        "workflow": alert.workflow,
        "since": since,
        "until": until,
        "value": value,
        "named": [share.value for share in alert.shares if share.value != RARE],
        "release": release,
        "most": most,
        **band_parameters(policy.rules(alert.workflow)),
        **parameters,
    }
    holds = f"{sql} NOT IN {{named:Array(String)}}" if value == RARE else f"{sql} = {{value:String}}"
    return tuple(str(row["run_id"]) for row in store.ask(_EXAMPLES.format(holds=holds, people=NOT_OF_A_GATE), asked))


def alerts_for_diagnosis(store: Store, workflow: str) -> tuple[DriftAlert, ...] | None:
    """The alerts that last, as question 6 of a diagnosis takes them; None when nobody watches the workflow."""
    lasting = alerts(store, workflow=workflow)
    watched = "SELECT 1 AS yes FROM drift WHERE workflow = {workflow:String} LIMIT 1"
    if not lasting and not store.ask(watched, {"workflow": workflow}):
        return None
    return tuple(
        DriftAlert(
            alert_id=each.alert_id,
            dimension=each.dimension,
            slice={each.cause.anchor: each.cause.value} if each.cause and each.cause.anchor != "index" else {},
            headline=each.headline,
        )
        for each in lasting
    )


def _alert(row: Mapping[str, object]) -> Alert:
    def moment(name: str) -> datetime:
        found = cast("datetime", row[name])
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found

    def number(name: str) -> int:
        return int(cast("int", row[name]))

    before_runs, after_runs = number("before_runs"), number("after_runs")
    mark = str(row["mark"] or "")
    return Alert(
        alert_id=str(row["alert_id"]),
        state=mark if mark and row["last_state"] != "closed" else str(row["last_state"]),
        workflow=str(row["workflow"]),
        dimension=str(row["dimension"]),
        length=str(row["length"]),
        baseline=str(row["baseline"]),
        since=moment("alert_since"),
        last_window=moment("last_window"),
        before_from=moment("before_from"),
        before_to=moment("before_to"),
        before_runs=before_runs,
        after_runs=after_runs,
        effect=float(cast("float", row["effect"])),
        p_adjusted=float(cast("float", row["p_adjusted"])),
        pooled=number("pooled"),
        reason=str(row["reason"] or ""),
        shares=tuple(
            Share(
                str(each["value"]),
                int(each["before"]),
                int(each["after"]),
                int(each["before"]) / max(before_runs, 1),
                int(each["after"]) / max(after_runs, 1),
            )
            for each in cast("Sequence[Mapping[str, int]]", row["shares"])
        ),
        anchors=tuple(
            Anchor(
                str(each["anchor"]),
                float(cast("float", each["between"])),
                str(each["value"]),
                float(cast("float", each["before"])),
                float(cast("float", each["after"])),
            )
            for each in cast("Sequence[Mapping[str, object]]", row["attributions"])
        ),
    )

"""Judgements as they are stored: written a window at a time, and read back as what stands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from causeline.console.store import Store
from causeline.drift.judging import Baseline, Judgement
from causeline.drift.lifecycle import AlertStanding, AlertState, Mark, Span
from causeline.drift.reading import as_int, as_moment
from causeline.drift.shift import Attribution
from causeline.drift.windows import Length, Window
from causeline.schemas.errors import NotFound

Key = tuple[str, Baseline]
"""A dimension and what it is held against."""
Standings = Mapping[Key, AlertStanding]

_OF_TWO = 0
"""In place of what a window was judged by, where two watches have judged it by different counts: it is judged again."""
_SHARES = 20
_ATTRIBUTIONS = 4

_STORED = """
SELECT window_start, dimension, baseline, seen, version, alert_id, alert_state, alert_since, against_from, against_to,
    calm, normal_from
FROM drift_judgement_rows FINAL
WHERE workflow = {workflow:String} AND length = {length:String} AND window_start >= {since:DateTime('UTC')}
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A window as it was judged last."""

    seen: int
    version: int
    standings: Standings


def stored(store: Store, workflow: str, length: Length, since: datetime) -> Mapping[datetime, Stored]:
    """The judged windows of a workflow from `since` on, by their start."""
    found: dict[datetime, tuple[int, int, dict[Key, AlertStanding]]] = {}
    for row in store.ask(_STORED, {"workflow": workflow, "length": length.value, "since": since}):
        start = as_moment(row["window_start"])
        seen = as_int(row["seen"])
        known, version, standings = found.setdefault(start, (seen, 0, {}))
        standings[str(row["dimension"]), Baseline(str(row["baseline"]))] = _standing(row)
        found[start] = (seen if known == seen else _OF_TWO, max(version, as_int(row["version"])), standings)
    return {start: Stored(*parts) for start, parts in found.items()}


def _standing(row: Mapping[str, object]) -> AlertStanding:
    def moment(name: str) -> datetime | None:
        return None if row[name] is None else as_moment(row[name])

    start, end = moment("against_from"), moment("against_to")
    return AlertStanding(
        alert_id=str(row["alert_id"]),
        state=AlertState(str(row["alert_state"])) if row["alert_state"] else None,
        since=moment("alert_since"),
        against=Span(start, end) if start and end else None,
        calm=as_int(row["calm"]),
        normal_from=moment("normal_from"),
    )


def judgement_row(
    window: Window, judgement: Judgement, against: Span, standing: AlertStanding, *, seen: int, version: int
) -> Mapping[str, object]:
    """The row of one judgement."""
    question = judgement.question
    return {
        "workflow": question.workflow,
        "length": window.length.value,
        "window_start": _said(window.start),
        "dimension": question.dimension,
        "baseline": question.baseline.value,
        "outcome": judgement.outcome.value,
        "before_from": _said(against.start),
        "before_to": _said(against.end),
        "before_runs": question.before.runs,
        "after_runs": question.after.runs,
        "g": judgement.test.g,
        "degrees": judgement.test.degrees,
        "p": judgement.test.p,
        "p_adjusted": judgement.p_adjusted,
        "effect": judgement.effect,
        "needed": judgement.needed,
        "pooled": judgement.pooled.pooled,
        "shares": [{"value": v, "before": b, "after": a} for v, b, a, _ in judgement.shares()[:_SHARES]],
        "attributions": [_attribution(each) for each in _told(judgement, standing)],
        "alert_id": standing.alert_id,
        "alert_state": standing.state.value if standing.state else "",
        "alert_since": _said(standing.since),
        "against_from": _said(standing.against.start if standing.against else None),
        "against_to": _said(standing.against.end if standing.against else None),
        "calm": standing.calm,
        "normal_from": _said(standing.normal_from),
        "seen": seen,
        "version": version,
    }


def _told(judgement: Judgement, standing: AlertStanding) -> Iterable[Attribution]:
    """Where nothing stands, there is nothing to attribute."""
    return judgement.attributions()[:_ATTRIBUTIONS] if standing.lasts else ()


def _attribution(each: Attribution) -> Mapping[str, object]:
    arrived = max(each.moves, key=lambda move: move.after - move.before, default=None)
    return {
        "anchor": each.anchor,
        "between": each.between,
        "mix_change": each.mix_change,
        "value": arrived.value if arrived else "",
        "before": arrived.before if arrived else 0.0,
        "after": arrived.after if arrived else 0.0,
    }


def _said(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def marks(store: Store) -> Mapping[str, Mark]:
    """What was said about alerts, by their id."""
    rows = store.ask("SELECT alert_id, mark FROM drift_mark_rows FINAL")
    return {str(row["alert_id"]): Mark(str(row["mark"])) for row in rows}


@dataclass(frozen=True, slots=True)
class Pin:
    """The runs that a workflow is held against: those of a release, in the time that it was in use."""

    workflow: str
    release: str
    span: Span


def pins(store: Store) -> Mapping[str, Pin]:
    """The pinned references, by workflow."""
    rows = store.ask("SELECT workflow, release, pinned_from, pinned_to FROM drift_pin_rows FINAL WHERE release != ''")
    return {
        str(row["workflow"]): Pin(
            str(row["workflow"]),
            str(row["release"]),
            Span(as_moment(row["pinned_from"]), as_moment(row["pinned_to"])),
        )
        for row in rows
    }


def pin_of(store: Store, workflow: str, release: str) -> Pin:
    """A release's runs as a reference; raises NotFound when the roll-ups have none."""
    sql = """
    SELECT min(window_start) AS first, max(window_start) + toIntervalMinute(5) AS last, count() AS n FROM rollups
    WHERE workflow = {workflow:String} AND anchors['release'] = {release:String}
    """
    [row] = store.ask(sql, {"workflow": workflow, "release": release})
    if not as_int(row["n"]):
        raise NotFound(
            f"No run of {workflow!r} that was counted has the label release={release!r}.",
            hint="`causeline watch` counts runs; a release is the label `release` of a run.",
        )
    return Pin(workflow, release, Span(as_moment(row["first"]), as_moment(row["last"])))

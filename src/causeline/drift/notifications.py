"""Tells of alerts: which of them have something new to tell, and the record that says it.

What was told before is read from the view `alerts`, so a restart tells nothing twice but what was on its way; and that
is the same record under the same revision, which replaces itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import cast

from causeline.console.store import Store
from causeline.drift.alerts import Alert
from causeline.schemas import catalogue, wire
from causeline.schemas.registry import Schemas
from causeline.schemas.topics import ALERTS

WITHDRAWN = "withdrawn"
"""State of an alert whose runs were amended, so that its window never drifted."""
_LASTING = frozenset({"open", "muted"})
_TOLD = "SELECT alert_id, revision, state, window_start, effect, reason FROM alerts"


@dataclass(frozen=True, slots=True)
class Told:
    """The last word about an alert."""

    revision: int
    state: str
    window_start: datetime
    effect: float
    reason: str


@dataclass(frozen=True, slots=True)
class News:
    """A word to be told: the alert, its revision, and whether it is more than one window more."""

    alert: Alert
    revision: int
    turned: bool
    """The state is another than it was: told to people, too."""


def told(store: Store) -> Mapping[str, Told]:
    """The last word about every alert, as far as it is loaded."""
    found = {}
    for row in store.ask(_TOLD):
        moment = cast("datetime", row["window_start"])
        found[str(row["alert_id"])] = Told(
            int(cast("int", row["revision"])),
            str(row["state"]),
            moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment,
            float(cast("float", row["effect"])),
            str(row["reason"] or ""),
        )
    return found


def word_of(news: News) -> Told:
    """What is known to be told, once this is."""
    alert = news.alert
    return Told(news.revision, alert.state, alert.last_window, alert.effect, alert.reason)


def news(alerts: Sequence[Alert], before: Mapping[str, Told]) -> tuple[News, ...]:
    """What is new about the alerts as they stand; a muted one has nothing new until it ends."""
    found = []
    for alert in alerts:
        last = before.get(alert.alert_id)
        if last is None:
            found.append(News(alert, 1, turned=True))
            continue
        fresh = News(alert, last.revision + 1, turned=alert.state != last.state)
        quiet = alert.state == "muted" and not fresh.turned
        if not quiet and replace(word_of(fresh), revision=last.revision) != last:
            found.append(fresh)
    return tuple(found)


def withdrawn(alerts: Sequence[Alert], before: Mapping[str, Told]) -> tuple[str, ...]:
    """The alerts that last by what was told, and that no judgement knows any more."""
    known = {alert.alert_id for alert in alerts}
    return tuple(sorted(name for name, last in before.items() if last.state in _LASTING and name not in known))


def record(item: News, runs: tuple[Sequence[str], Sequence[str]], now_us: int) -> Mapping[str, object]:
    """The record of the topic, and the document of the webhook: times in microseconds since the epoch, UTC."""
    alert = item.alert
    return {
        "alert_id": alert.alert_id,
        "revision": item.revision,
        "state": alert.state,
        "workflow": alert.workflow,
        "dimension": alert.dimension,
        "length": alert.length,
        "baseline": alert.baseline,
        "since": _micros(alert.since),
        "window_start": _micros(alert.last_window),
        "headline": alert.headline,
        "advice": alert.advice,
        "effect": alert.effect,
        "p_adjusted": alert.p_adjusted,
        "before_from": _micros(alert.before_from),
        "before_to": _micros(alert.before_to),
        "before_runs": alert.before_runs,
        "after_runs": alert.after_runs,
        "shares": [{"value": each.value, "before": each.before, "after": each.after} for each in alert.shares],
        "anchors": [
            {
                "anchor": each.anchor,
                "between": each.between,
                "value": each.value,
                "before": each.before,
                "after": each.after,
            }
            for each in alert.anchors
        ],
        "runs_before": list(runs[0]),
        "runs_after": list(runs[1]),
        "reason": alert.reason or None,
        "told_at": now_us,
    }


def withdrawal(store: Store, alert_id: str, now_us: int) -> Mapping[str, object]:
    """The record that takes an alert back: as it was told last, withdrawn."""
    [row] = store.ask("SELECT * FROM alerts WHERE alert_id = {id:String}", {"id": alert_id})
    plain = {name: _micros(value) if isinstance(value, datetime) else value for name, value in row.items()}
    return {**plain, "revision": int(cast("int", row["revision"])) + 1, "state": WITHDRAWN, "told_at": now_us}


def value(told_record: Mapping[str, object], schemas: Schemas) -> bytes:
    """The Kafka value of a record."""
    payload = wire.encode_datum(catalogue.latest(ALERTS.subject), told_record)
    return wire.frame(schemas.write_id(ALERTS.subject), payload)


def _micros(moment: datetime) -> int:
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return round(aware.timestamp() * 1_000_000)

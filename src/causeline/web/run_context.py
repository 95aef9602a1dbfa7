"""What a page needs to know of a run beside its record, in one question: live gaps, the policy, who watches it, and
whether its neighbours are stored as rows of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

from causeline.console.answers import LiveGap
from causeline.console.neighbours import ARE_STORED, Place
from causeline.console.store import Store
from causeline.schemas.policy import Policy
from causeline.schemas.run import Run

_GAPS = (
    "(SELECT groupArray((event_id, kind, field_path, provenance_score, threshold, next_step, decided_next_step))"
    " FROM (SELECT * FROM gaps WHERE run_id = {run_id:String} ORDER BY occurred_at, gap_id))"
)
_POLICY = "(SELECT any(policy) FROM policies WHERE policy_hash = {hash:String})"
_WATCHED = "(SELECT count() FROM (SELECT 1 FROM drift WHERE workflow = {workflow:String} LIMIT 1))"
_ALERTS = "(SELECT count() FROM alerts WHERE workflow = {workflow:String})"


@dataclass(frozen=True, slots=True)
class RunContext:
    """What stands beside a run; what was not asked for is empty, or None."""

    live: tuple[LiveGap, ...] = ()
    policy: Policy | None = None
    is_watched: bool = False
    """Whether drift is watched for in its workflow."""
    has_alerts: bool = False
    """Whether its workflow ever had an alert, which may last."""
    are_stored: bool = False
    """Whether the view `neighbours` has enough of the runs around it."""


def context_of(store: Store, run: Run, *, policy: bool, drift: bool, around: Place | None) -> RunContext:
    """The live gaps of a run that has gaps, and what else is asked for; no question where that is nothing."""
    parts = {
        "live": _GAPS if run.gap_kinds else "",
        "policy": _POLICY if policy and run.policy_hash else "",
        "watched": _WATCHED if drift else "",
        "alerts": _ALERTS if drift else "",
        "neighbours": ARE_STORED if around and around.started_at else "",
    }
    wanted = [f"{sql} AS {name}" for name, sql in parts.items() if sql]
    if not wanted:
        return RunContext()
    given = {"run_id": run.run_id, "hash": run.policy_hash or "", "workflow": run.workflow}
    moments = around.moments if around else {}
    rows = store.ask(f"SELECT {', '.join(wanted)}", {**given, **moments})
    row = rows[0] if rows else {}
    return RunContext(
        live=tuple(LiveGap(*each) for each in cast("Sequence[Sequence[Any]]", row.get("live") or ())),
        policy=_read(str(row.get("policy") or "")),
        is_watched=bool(row.get("watched")),
        has_alerts=bool(row.get("alerts")),
        are_stored=bool(row.get("neighbours")),
    )


def _read(text: str) -> Policy | None:
    try:
        return Policy.model_validate_json(text) if text else None
    except ValidationError:  # written by a version whose format this one does not know
        return None

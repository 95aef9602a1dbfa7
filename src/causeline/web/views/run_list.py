"""A page of a list of runs, newest first, with the cursor of the next one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from causeline.console.words import dollars, duration, listed
from causeline.runtime.text import short_id
from causeline.schemas.errors import UsageError
from causeline.schemas.ids import is_run_id
from causeline.schemas.run import Run


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place after a run in the order newest first: its start (UTC) and its id."""

    started_at: datetime
    run_id: str

    def text(self) -> str:
        """As a link carries it."""
        return f"{self.started_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}.{self.run_id}"

    @classmethod
    def of(cls, text: str) -> "Cursor":
        """The cursor of a link; raises UsageError for what is none."""
        moment, _, run_id = text.rpartition(".")
        try:
            started_at = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=UTC)
        except ValueError:
            started_at = None
        if started_at is None or not is_run_id(run_id):
            raise UsageError("The link to the next page is not whole.", hint="Go to the first page of the list.")
        return cls(started_at, run_id)


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in a list; the short id is the end of the id, because ids of one hour begin alike."""

    run_id: str
    short_id: str
    workflow: str
    project: str
    started_at: datetime | None
    took: str
    state: str
    outcome_tone: str
    verdict: str
    trouble: str
    cost: str


@dataclass(frozen=True, slots=True)
class RunList:
    """One page of runs; `following` is the cursor of the next, None where there is none."""

    lines: tuple[RunLine, ...]
    following: str | None
    searched: str
    """The time span that was looked through, in words."""


def run_list(runs: Sequence[Run], *, limit: int, searched: str) -> RunList:
    """A page of at most `limit` runs, made of one more than that where there are more."""
    shown = runs[:limit]
    last = shown[-1] if len(runs) > limit else None
    following = Cursor(last.started_at, last.run_id).text() if last is not None and last.started_at else None
    return RunList(tuple(run_line(run) for run in shown), following, searched)


def run_line(run: Run) -> RunLine:
    """A run as a list has it."""
    return RunLine(
        run_id=run.run_id,
        short_id=short_id(run.run_id),
        workflow=run.workflow,
        project=run.project,
        started_at=run.started_at,
        took=duration(run.duration_us),
        state=run.final_state or "no end",
        outcome_tone=_tone(run),
        verdict=run.verdict,
        trouble=_trouble(run),
        cost=dollars(run.cost_usd),
    )


def _tone(run: Run) -> str:
    if run.final_state == "failed" or run.status == "error" or run.review_outcome in {"overridden", "rejected"}:
        return "bad"
    return "good" if run.final_state == "answered" and not run.gap_kinds else "doubtful"


def _trouble(run: Run) -> str:
    told = []
    if run.error_type or run.error_step:
        told.append(" at ".join(each for each in (run.error_type, run.error_step) if each))
    if run.gap_kinds:
        told.append(listed([kind.replace("_", " ") for kind in run.gap_kinds], most=2))
    if run.fallback_taken:
        told.append(f"fallback {run.fallback_taken.replace('_', ' ')}")
    if run.review_outcome:
        told.append(f"review {run.review_outcome}")
    return "; ".join(told)

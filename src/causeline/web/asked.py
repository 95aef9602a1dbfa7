"""What a list is asked for, as its address says it: the whole state of the page stands there and nowhere else."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from causeline.console.run_filter import RunFilter
from causeline.schemas.errors import UsageError
from causeline.schemas.vocabulary import FinalState, GapKind, Verdict

_HOUR_US = 3_600_000_000
SPANS: tuple[tuple[str, str], ...] = (
    ("1h", "last hour"),
    ("24h", "last 24 hours"),
    ("7d", "last 7 days"),
    ("30d", "last 30 days"),
    ("all", "all time"),
)
_HOURS: Mapping[str, int | None] = {"1h": 1, "24h": 24, "7d": 168, "30d": 720, "all": None}


class AskedRuns(BaseModel):
    """The filter of a list of runs. Empty does not restrict; `after` is the cursor of the page."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    workflow: str = Field(default="", max_length=256)
    since: str = "24h"
    state: str = ""
    verdict: str = ""
    gap: str = ""
    model: str = Field(default="", max_length=256)
    id: str = Field(default="", max_length=64)
    session: str = Field(default="", max_length=256)
    errors: bool = False
    after: str = Field(default="", max_length=80)

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the time span restricts."""
        return any((self.workflow, self.state, self.verdict, self.gap, self.model, self.id, self.session, self.errors))

    def filter(self, now_us: int) -> tuple[RunFilter, str]:
        """The filter, and the span that it looks through in words; raises UsageError for words that are none."""
        if self.since not in _HOURS:
            raise UsageError(f"{self.since[:20]!r} is no time span.", hint=f"One of {', '.join(_HOURS)}.")
        known = {
            "state": (self.state, [each.value for each in FinalState]),
            "verdict": (self.verdict, [each.value for each in Verdict]),
            "gap": (self.gap, ["any", *(each.value for each in GapKind)]),
        }
        for name, (word, words) in known.items():
            if word and word not in words:
                raise UsageError(f"{word[:40]!r} is no {name}.", hint=f"One of {', '.join(words)}.")
        hours = _HOURS[self.since]
        wanted = RunFilter(
            id_text=self.id or None,
            workflows=(self.workflow,) if self.workflow else (),
            states=(self.state,) if self.state else (),
            verdicts=(self.verdict,) if self.verdict else (),
            statuses=("error",) if self.errors else (),
            sessions=(self.session,) if self.session else (),
            models=(self.model,) if self.model else (),
            since_us=None if hours is None else now_us - hours * _HOUR_US,
            has_gap=self.gap == "any",
            gap_kinds=(self.gap,) if self.gap and self.gap != "any" else (),
        )
        return wanted, f"in the {dict(SPANS)[self.since]}" if hours is not None else "of all time"

    def as_query(self) -> dict[str, str]:
        """What of it is not as by default, for links; without the cursor."""
        fields = self.model_dump(exclude={"after"}, exclude_defaults=True)
        return {name: "1" if value is True else str(value) for name, value in fields.items() if value}

    def advice(self) -> str:
        """What to try where nothing was found."""
        if self.since != "all":
            return "Look further back, or drop a filter."
        return "Drop a filter."

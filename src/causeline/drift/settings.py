"""What may be chosen about the watch for drift."""

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field, SecretStr

from causeline.drift.judging import Rule
from causeline.drift.watch import Plan
from causeline.drift.windows import Length
from causeline.runtime.settings import Settings


class DriftSettings(Settings):
    """Settings of `causeline watch`, each also read from `CAUSELINE_DRIFT_<NAME>`."""

    prefix: ClassVar = "CAUSELINE_DRIFT_"

    lengths: tuple[Literal["5m", "1h", "1d"], ...] = Field(default=("1h", "1d"), min_length=1)
    """Windows that are judged: 5m, 1h and 1d, joined by commas."""
    every_s: float = Field(default=60.0, gt=0)
    """Seconds from one pass to the next."""
    settle_s: float = Field(default=600.0, ge=0)
    """Seconds that the runs of a window have to come to their end before it is judged."""
    lookback_days: int = Field(default=30, ge=1, le=366)
    """Runs that started earlier are left as they were counted and judged."""
    baseline_windows: int = Field(default=24, ge=1, le=100)
    """How many windows before one are its baseline, together."""
    labels: tuple[str, ...] = ()
    """Labels of runs that are watched, too, joined by commas."""
    alpha: float = Field(default=0.002, gt=0, lt=1)
    """Share of false ones among the alerts of a window that is borne."""
    floor: float = Field(default=0.03, ge=0, lt=1)
    """A move of a smaller share of the runs is none, however sure."""
    effect: float = Field(default=0.06, gt=0, lt=1)
    """The move that must not be missed: where the runs are too few to find it, that is said."""
    webhook_url: str | None = None
    """Where alerts are posted when they open, close, or are spoken about."""
    webhook_secret: SecretStr | None = None
    """Signs what is posted, by HMAC-SHA256."""
    webhook_private: bool = False
    """Post to private and loopback addresses, too."""

    def secret(self) -> str:
        """What the webhook is signed with, empty where nothing is said."""
        return self.webhook_secret.get_secret_value() if self.webhook_secret else ""

    def plan(self) -> Plan:
        """What is watched, by these settings."""
        return Plan(
            lengths=tuple(Length(length) for length in self.lengths),
            baseline_windows=self.baseline_windows,
            settle=timedelta(seconds=self.settle_s),
            lookback=timedelta(days=self.lookback_days),
            labels=self.labels,
            rule=Rule(alpha=self.alpha, floor=self.floor, effect=self.effect),
        )

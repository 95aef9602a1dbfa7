"""What may be chosen about the watch for drift."""

from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from causeline.console.drift.judging import Rule
from causeline.console.drift.watch import Plan
from causeline.console.drift.windows import Length
from causeline.schemas.errors import UsageError


class DriftSettings(BaseSettings):
    """Settings of `causeline watch`, each also read from `CAUSELINE_DRIFT_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="CAUSELINE_DRIFT_", extra="forbid", frozen=True, env_ignore_empty=True)

    lengths: tuple[Literal["5m", "1h", "1d"], ...] = Field(default=("1h", "1d"), min_length=1)
    """Windows that are judged: 5m, 1h and 1d, as a JSON list."""
    every_s: float = Field(default=60.0, gt=0)
    """Seconds from one pass to the next."""
    settle_s: float = Field(default=600.0, ge=0)
    """Seconds that the runs of a window have to come to their end before it is judged."""
    lookback_days: int = Field(default=30, ge=1, le=366)
    """Runs that started earlier are left as they were counted and judged."""
    baseline_windows: int = Field(default=24, ge=1, le=100)
    """How many windows before one are its baseline, together."""
    labels: tuple[str, ...] = ()
    """Labels of runs that are watched, too, as a JSON list."""
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
    webhook_secret_file: Path | None = None
    """A file that holds the secret; used where `webhook_secret` is not set."""
    webhook_private: bool = False
    """Post to private and loopback addresses, too."""

    @classmethod
    def from_environment(cls) -> Self:
        """What the environment says; raises UsageError naming the variable that is wrong."""
        try:
            return cls()
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = str(first["loc"][0]) if first["loc"] else "settings"
            raise UsageError(
                f"CAUSELINE_DRIFT_{name.upper()}: {first['msg']}.", hint="docs/operations.md has every setting."
            ) from None

    def secret(self) -> str | None:
        """What the webhook is signed with, read now where it is in a file; raises UsageError when it cannot be read."""
        if self.webhook_secret is not None:
            return self.webhook_secret.get_secret_value() or None
        if self.webhook_secret_file is None:
            return None
        try:
            return self.webhook_secret_file.read_text("utf-8").strip() or None
        except OSError as error:
            raise UsageError(f"CAUSELINE_DRIFT_WEBHOOK_SECRET_FILE cannot be read: {error.strerror}.") from error

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

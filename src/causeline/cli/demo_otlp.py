"""`demo`'s part that comes over OTLP: published through OpenTelemetry's SDK, waited for, counted."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from causeline.cli import connections, output
from causeline.cli.gathering import gathered

if TYPE_CHECKING:
    from causeline.console.store import Store
    from causeline.demo.over_otlp import SentOverOtlp

_ONE_IN = 50
_FEWEST = 5


@dataclass(frozen=True, slots=True)
class OtlpAccount:
    """What the receiver acknowledged, and what of it can be asked for."""

    otlp_runs_published: int = 0
    otlp_runs_visible: int = 0
    otlp_spans_published: int = 0
    otlp_spans_visible: int = 0
    otlp_example: str = ""
    """A run that lacks some, and how it stands."""

    @property
    def difference(self) -> str | None:
        """One sentence where they are not the same."""
        said = (self.otlp_runs_published, self.otlp_spans_published)
        if said == (self.otlp_runs_visible, self.otlp_spans_visible):
            return None
        return (
            f"Of {said[0]:,d} runs and {said[1]:,d} spans over OTLP"
            f" {self.otlp_runs_visible:,d} and {self.otlp_spans_visible:,d} can be asked for"
            + (f", e.g. {self.otlp_example}." if self.otlp_example else ".")
        )

    def record(self) -> dict[str, int]:
        """For JSON."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, int)}


def publish(
    folder: Path, runs: int, seed: int, session: str, project: str, *, patience_s: float
) -> "SentOverOtlp | None":
    """A fiftieth of the runs again, over OTLP; None, and said so, where there is no receiver or no SDK.

    A receiver that refuses because Kafka is slow is asked again for as long as `patience_s`.
    """
    endpoints = connections.local_endpoints(folder)
    if endpoints is None:
        output.note("No part of the demo goes over OTLP: only a local stack's receiver is known.")
        return None
    try:
        from causeline.demo.over_otlp import publish_over_otlp
    except ImportError as error:
        output.note(f"No part of the demo goes over OTLP: {error.name} is not installed (extra `demo`).")
        return None
    wanted = max(_FEWEST, runs // _ONE_IN)
    return publish_over_otlp(
        endpoints.otlp_url, runs=wanted, seed=seed, session=session, project=project, timeout_s=patience_s
    )


def account(store: "Store", sent: "SentOverOtlp | None", patience_s: float) -> OtlpAccount:
    """Wait until all of it can be asked for, or nothing comes any more, and count."""
    if sent is None:
        return OtlpAccount()
    from causeline.demo.report import run_that_lacks_spans, visible_spans

    wanted = (len(sent.run_ids), sent.spans)
    there = gathered(
        lambda: visible_spans(store, sent.run_ids),
        wanted,
        label="joining runs that came over OTLP",
        patience_s=patience_s,
    )
    example = "" if there == wanted else run_that_lacks_spans(store, sent.run_ids, sent.spans_a_run)
    return OtlpAccount(wanted[0], there[0], wanted[1], there[1], example)

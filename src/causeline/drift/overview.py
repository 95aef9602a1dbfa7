"""How well a workflow is watched: what was judged last, and where the runs are too few to tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from causeline.console.store import Store
from causeline.drift.reading import as_int, as_moment

_LAST = """
SELECT
    workflow,
    length,
    max(window_start) AS last,
    uniqExact(window_start) AS windows,
    argMax(after_runs, (window_start, after_runs)) AS runs,
    arraySort(groupUniqArrayIf(dimension, outcome = 'too_few' AND newest AND after_runs > 0)) AS too_few,
    maxIf(needed, outcome = 'too_few' AND newest) AS needed,
    max(before_runs) AS before
FROM
(
    SELECT *, window_start = max(window_start) OVER (PARTITION BY workflow, length) AS newest FROM drift
    WHERE workflow = {workflow:String} OR {workflow:String} = ''
)
GROUP BY workflow, length
ORDER BY workflow, length
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """One workflow's windows of one length."""

    workflow: str
    length: str
    windows: int
    """Judged so far."""
    last: datetime
    """Start of the last one."""
    runs: int
    """Runs in it."""
    too_few: tuple[str, ...]
    """Dimensions that could not be told in it."""
    needed: int
    """Runs that each of two equal windows would need, for the worst of them."""
    compared: bool
    """There was anything to hold it against."""

    @property
    def sentence(self) -> str:
        """How well it is watched, in one sentence."""
        said = (
            f"{self.workflow}, {self.length}: {self.windows} windows judged, the last from {self.last:%Y-%m-%d %H:%M}"
        )
        if not self.compared:
            return f"{said} UTC; nothing came before it, so that there is nothing to hold it against."
        if not self.too_few:
            return f"{said} UTC with {self.runs} runs."
        return (
            f"{said} UTC with {self.runs} runs: too few runs to tell of {', '.join(self.too_few)};"
            f" {self.needed} needed in a window and before it."
        )


def watched(store: Store, workflow: str = "") -> tuple[Watched, ...]:
    """What is watched, by workflow and length of window."""
    return tuple(
        Watched(
            workflow=str(row["workflow"]),
            length=str(row["length"]),
            windows=as_int(row["windows"]),
            last=as_moment(row["last"]),
            runs=as_int(row["runs"]),
            too_few=tuple(cast("Sequence[str]", row["too_few"])),
            needed=as_int(row["needed"]),
            compared=as_int(row["before"]) > 0,
        )
        for row in store.ask(_LAST, {"workflow": workflow})
    )

"""What a diagnosis costs by the length of a run: CPU of one run, alone and beside 300 neighbours."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from causeline.diagnosis import Cohort, diagnose, row_of
from causeline.schemas.run import Run, Step

STEPS = (100, 1_000, 5_000, 50_000)
_START = datetime(2026, 5, 1, tzinfo=UTC)
_KINDS = ("prompt", "model_call", "tool", "retrieve", "validate")


def a_run(number: int, steps: int, *, fails: bool = False) -> Run:
    """An agent that goes round: each step reads what the one before it made; the last may fail."""
    made: list[Step] = []
    for place in range(steps):
        last = fails and place == steps - 1
        made.append(
            Step(
                step_id=f"{place:016x}",
                step_kind=_KINDS[place % len(_KINDS)],
                step_name=f"step {place % 12}",
                status="error" if last else "ok",
                error_type="Timeout" if last else None,
                started_at=_START + timedelta(seconds=number, milliseconds=place),
                duration_us=900 + (number * 7 + place) % 200,
                input_ref=f"r:{place}",
                raw_output_ref=f"r:{place + 1}",
                input_tokens=100 + place % 50,
                output_tokens=10 + place % 7,
            )
        )
    return Run(
        run_id=f"{number:032x}",
        workflow="round",
        verdict="complete",
        final_state="failed" if fails else "answered",
        started_at=_START + timedelta(seconds=number),
        steps=tuple(made),
    )


def cpu_ms(lengths: Sequence[int] = STEPS) -> dict[str, float]:
    """Milliseconds of CPU: `N` alone, `N_beside` with 300 neighbours that are 100 steps long."""
    cohort = Cohort([row_of(a_run(number, 100)) for number in range(300)])
    diagnose(a_run(999, 100, fails=True), cohort=cohort)
    found: dict[str, float] = {}
    for steps in lengths:
        run = a_run(1000, steps, fails=True)
        for name, beside in ((f"{steps}", None), (f"{steps}_beside", cohort)):
            begun = time.process_time()
            diagnose(run, cohort=beside)
            found[name] = round((time.process_time() - begun) * 1e3, 2)
    return found

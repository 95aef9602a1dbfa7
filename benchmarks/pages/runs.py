"""Made-up runs of many steps: what an agent's loop leaves, with a gap of evidence and an error near the end."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from clickhouse_connect.driver.client import Client

from causeline.schemas.run import Evidence, Run, RunGap, Step
from causeline.schemas.tables import RUNS

_KINDS = ("retrieve", "prompt", "model_call", "tool", "validate")
EVERY_TENTH = 10


def made_run(number: int, steps: int, began: datetime, *, workflow: str) -> Run:
    """A run of `steps` steps in turns of ten below one parent; every tenth step checks a field, the last turn fails."""
    made = [_step(number, at, steps, began) for at in range(steps)]
    checks = [at for at in range(steps) if at % EVERY_TENTH == EVERY_TENTH - 1]
    evidence = tuple(
        Evidence(
            event_id=f"{number:016x}{at:016x}", step_id=made[at].step_id, field_path=f"$.field_{at}",
            evidence_required=True, provenance_score=0.2 if at == checks[-1] else 0.9,
            evidence_refs=(f"artifact:sha256/aa/{at:062x}#chars=1-20",), conflicting_refs=(), next_step=None,
            policy_hash=None, occurred_at=made[at].finished_at, retry_count=None,
        )
        for at in checks
    )  # fmt: skip
    last = evidence[-1]
    duration_us = steps * 1000
    return Run(
        run_id=f"{int(began.timestamp() * 1000):012x}7{number:019x}", project="benchmark", workflow=workflow,
        revision=steps + 2, verdict="complete", close_reason="finished", events=steps + 2, started_at=began,
        finished_at=began + timedelta(microseconds=duration_us), closed_at=began + timedelta(seconds=2),
        duration_us=duration_us, final_state="failed", status="error", error_type="ToolFailed", error_step="tool:turn",
        steps=tuple(made), evidence=evidence, gap_kinds=("low_provenance",),
        gaps=(RunGap(event_id=last.event_id, kind="low_provenance", field_path=last.field_path, threshold=0.7),),
    )  # fmt: skip


def _step_id(number: int, at: int) -> str:
    """No two runs share one: there are stores that keep each span id once."""
    return f"{number:08x}{at + 1:08x}"


def _step(number: int, at: int, steps: int, began: datetime) -> Step:
    kind = _KINDS[at % len(_KINDS)]
    is_wrong = at == steps - 2
    start = began + timedelta(milliseconds=at)
    return Step(
        step_id=_step_id(number, at),
        parent_step_id=_step_id(number, at - at % EVERY_TENTH) if at % EVERY_TENTH else None,
        step_kind=kind,
        step_name=f"turn {at}",
        status="error" if is_wrong else "ok",
        error_type="ToolFailed" if is_wrong else None,
        started_at=start,
        finished_at=start + timedelta(milliseconds=1),
        duration_us=1000,
        model_name="acme-large" if kind == "model_call" else None,
        prompt_version="7" if kind == "prompt" else None,
        context_refs=(f"artifact:sha256/bb/{at:062x}",) if kind == "model_call" else (),
        input_ref=f"artifact:sha256/bb/{max(at - 1, 0):062x}",
        raw_output_ref=f"artifact:sha256/bb/{at:062x}",
        input_tokens=400 if kind == "model_call" else None,
        output_tokens=80 if kind == "model_call" else None,
        cost_usd=0.002 if kind == "model_call" else None,
    )


def store_runs(client: Client, runs: Iterable[Run]) -> None:
    """Insert runs as rows of `run_rows`."""
    names = {column.name for column in RUNS.columns()}
    lines = []
    for run in runs:
        record = {name: value for name, value in asdict(run).items() if name in names}
        lines.append(json.dumps(record, default=_moment))
    settings = {"date_time_input_format": "best_effort", "input_format_null_as_default": 1}
    client.raw_insert(RUNS.rows, fmt="JSONEachRow", insert_block="\n".join(lines).encode(), settings=settings)


def _moment(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"
    raise TypeError(f"{type(value).__name__} is no value of a run")

"""Runs to show and to store: one of each kind that a reader has to tell apart."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

from causeline.schemas.run import Evidence, Fallback, Review, Run, RunGap, Step

START = datetime(2026, 3, 1, 8, 0, 0, tzinfo=UTC)
REF = "artifact:sha256/ab/" + "ab" * 32


def step(kind: str, number: int, *, took_ms: int = 100, **fields: object) -> Step:
    """A step of `kind` that starts `number` times 100 ms after the run; any field may be said besides."""
    started = START + timedelta(milliseconds=100 * number)
    common = Step(
        step_id=f"{number + 1:016x}",
        step_kind=kind,
        step_name=f"{kind}_{number}",
        status="ok",
        started_at=started,
        finished_at=started + timedelta(milliseconds=took_ms),
        duration_us=took_ms * 1000,
    )
    return replace(common, **fields)  # type: ignore[arg-type]


def clean_run(number: int = 1, **fields: object) -> Run:
    """A complete run in which nothing went wrong."""
    run = Run(
        run_id=f"{0x0198C10000007000 + number:016x}{number:016x}",
        project="demo",
        workflow="invoice",
        revision=6,
        verdict="complete",
        close_reason="finished",
        events=6,
        started_at=START,
        finished_at=START + timedelta(milliseconds=500),
        duration_us=500_000,
        closed_at=START + timedelta(seconds=1),
        final_state="answered",
        status="ok",
        route="standard",
        route_reason="two_matches",
        route_confidence=0.93,
        prompt_id="extract-totals",
        prompt_version="7",
        model_provider="acme",
        model_name="acme-large",
        model_policy="default",
        temperature=0.0,
        input_ref=REF,
        raw_output_ref=REF + "#out",
        cost_usd=0.0123,
        input_tokens=1200,
        output_tokens=80,
        slowest_step="model_call:model_call_3",
        costliest_step="model_call:model_call_3",
        labels={"demo": "one", "tenant": "a"},
        steps=(
            step("parse", 0, parser_version="2.1", input_ref=REF, parsed_artifact_ref=REF + "#page=1"),
            step("route", 1, route="standard", route_reason="two_matches", route_confidence=0.93),
            step(
                "model_call",
                3,
                model_provider="acme",
                model_name="acme-large",
                prompt_id="extract-totals",
                prompt_version="7",
                temperature=0.0,
                context_refs=(REF + "#page=1",),
                raw_output_ref=REF + "#out",
                cost_usd=0.0123,
                input_tokens=1200,
                output_tokens=80,
            ),
        ),
    )
    return replace(run, **fields)  # type: ignore[arg-type]


def failed_run(number: int = 2) -> Run:
    """A run that answered although a required field had no support, after a retry, and that a reviewer overrode."""
    clean = clean_run(number)
    return replace(
        clean,
        workflow="policy",
        verdict="partial",
        close_reason="grace",
        events_lost=2,
        missing=("output:letter",),
        status="error",
        error_type="SchemaError",
        error_step="validate:validate_4",
        fallback_taken="retry",
        fallback_reason="schema_error",
        review_outcome="overridden",
        gap_kinds=("weak_provenance",),
        missing_anchors=("model_call.seed", "model_call.system_fingerprint"),
        steps=(
            *clean.steps,
            step("validate", 4, status="error", error_type="SchemaError", validation_errors=("missing $.premium",)),
            step("evidence", 5),
        ),
        evidence=(
            Evidence(
                event_id="e" * 32,
                step_id=f"{6:016x}",
                field_path="$.premium",
                evidence_required=True,
                provenance_score=0.52,
                evidence_refs=(REF + "#chunk=12",),
                next_step="partial_output",
                occurred_at=START,
            ),
        ),
        gaps=(
            RunGap(
                event_id="e" * 32,
                kind="weak_provenance",
                field_path="$.premium",
                provenance_score=0.52,
                next_step="review",
            ),
        ),
        fallbacks=(
            Fallback(event_id="f" * 32, step_id=f"{4:016x}", kind="retry", reason="schema_error", occurred_at=START),
        ),
        reviews=(
            Review(
                event_id="d" * 32,
                outcome="overridden",
                field_path="$.premium",
                reviewer_ref="reviewer:17",
                override_ref=REF + "#override",
                occurred_at=START,
            ),
        ),
    )


def record(run: Run) -> dict[str, object]:
    """A run as ClickHouse takes it in JSON."""
    return {name: _plain(value) for name, value in asdict(run).items()}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S.%f}"
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value

"""Runs of a desk over a morning, with one release at an hour that makes most of the runs after it worse."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from causeline.schemas.run import Evidence, Run, Step

RELEASES = ("prompt", "model", "fingerprint", "index", "classifier")
HOURS, RELEASE_HOUR, RUNS_AN_HOUR = 8, 6, 50
START = datetime(2026, 9, 1, tzinfo=UTC)


def desk_runs(release: str, *, start: datetime = START, seed: int = 7) -> Iterator[Run]:
    """The runs of workflow `desk-RELEASE`: routed, searched, answered by a prompt, checked against their sources."""
    dice = Random(f"{release}/{seed}")
    for number in range(HOURS * RUNS_AN_HOUR):
        at = start + timedelta(minutes=number * 60 / RUNS_AN_HOUR, seconds=dice.uniform(0, 60))
        since = number >= RELEASE_HOUR * RUNS_AN_HOUR
        yield _run(f"desk-{release}", number, at, dice, release if since else None)


def _run(workflow: str, number: int, at: datetime, dice: Random, release: str | None) -> Run:
    worse = dice.random() < (0.75 if release else 0.03)
    new = {name: release == name for name in RELEASES}
    sources = dice.randint(3, 6)
    refs = tuple(f"doc:{dice.randrange(900)}#p{n}" for n in range(sources))
    route = Step(step_id=f"{number * 8 + 1:016x}", step_kind="route", step_name="kind of question", status="ok",
                 route="refund" if dice.random() < 0.4 else "delivery",
                 route_confidence=dice.uniform(0.35, 0.6) if worse and new["classifier"] else dice.uniform(0.8, 0.98),
                 route_policy_version="rules-8" if new["classifier"] else "rules-7", started_at=at)  # fmt: skip
    search = Step(step_id=f"{number * 8 + 2:016x}", step_kind="retrieve", step_name="kb", status="ok",
                  context_refs=refs, labels={"retrieve.index": "kb-2026-09" if new["index"] else "kb-2026-08"},
                  started_at=at + timedelta(milliseconds=40))  # fmt: skip
    call = Step(step_id=f"{number * 8 + 3:016x}", step_kind="model_call", step_name="answer", status="ok",
                prompt_id="answer", prompt_version="13" if new["prompt"] else "12", model_provider="acme",
                model_name="acme-2" if new["model"] else "acme-1",
                system_fingerprint="fp-b" if new["fingerprint"] else "fp-a", context_refs=refs,
                raw_output_ref=f"artifact:{number}", input_tokens=400 + 120 * sources + dice.randint(0, 80),
                output_tokens=dice.randint(60, 140), cost_usd=0.002 + 0.0004 * sources,
                started_at=at + timedelta(milliseconds=90))  # fmt: skip
    check = Step(step_id=f"{number * 8 + 4:016x}", step_kind="validate", step_name="shape", status="ok",
                 schema_version="4", started_at=at + timedelta(milliseconds=700))  # fmt: skip
    if worse:
        check = replace(check, status="error", validation_errors=("$.answer: too short",))
    ended = at + timedelta(milliseconds=800)
    evidence = Evidence(event_id=f"{number:032x}", step_id=check.step_id, field_path="$.answer",
                        evidence_required=True, provenance_score=dice.uniform(0.75, 0.98), evidence_refs=refs[:1],
                        occurred_at=ended)  # fmt: skip
    # Ids of foreign form: nothing may depend on an id being in order of time.
    return Run(run_id=f"{dice.getrandbits(127) | 1:032x}", project="desk", workflow=workflow, revision=9,
               verdict="complete", close_reason="finished", events=9, started_at=at, finished_at=ended,
               closed_at=ended, duration_us=800_000, final_state="partial" if worse else "answered", status="ok",
               route=route.route, route_confidence=route.route_confidence,
               route_policy_version=route.route_policy_version, prompt_id="answer",
               prompt_version=call.prompt_version, model_provider="acme", model_name=call.model_name,
               system_fingerprint=call.system_fingerprint, schema_version="4", cost_usd=call.cost_usd,
               input_tokens=call.input_tokens, output_tokens=call.output_tokens,
               validation_errors=check.validation_errors, steps=(route, search, call, check),
               evidence=(evidence,))  # fmt: skip

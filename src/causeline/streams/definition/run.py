"""A run, from its events: every field of its record, in the order of `run-batch`, with the rule that gives it.

This is the specification: the words of the schema (`run-batch`), one rule a function. Whatever else joins runs is held
against it, and gives the same records (`streams/runs`). What a run says follows from its events alone, whatever the
order in which they came; when it was closed, and why, is told.

    joined = run_of([Arrival(event_of(record)) for record in records], closed_at=now_us, policy=policy)

Decided in ADR 69.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.vocabulary import CloseReason, EventType, Status
from causeline.streams.definition import completeness, findings, measures
from causeline.streams.definition.anchors import missing_anchors
from causeline.streams.definition.decisions import (
    CONTEXT,
    MODEL,
    PROMPT,
    ROUTE,
    evidence_refs,
    first,
    last,
    last_of,
    raw_output_ref,
    speaker,
    validation_errors,
)
from causeline.streams.definition.ends import ends_of, finished_at, live, started_at
from causeline.streams.definition.events import Arrival, by_run, canonical, each_once, owned, workflow
from causeline.streams.definition.fallbacks import fallbacks
from causeline.streams.definition.labels import clock_skew_s, labels
from causeline.streams.definition.records import RunRecord
from causeline.streams.definition.steps import record, slowest_step, steps_of

ASSEMBLER_VERSION: Final = "8"
"""Raised with every change of what the same events give."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A run, and of its events how many came again; `conflicting` of those say something else than the first."""

    run: RunRecord
    duplicates: int
    conflicting: int


def runs_of(arrivals: Iterable[Arrival], *, closed_at: int, policy: Policy = DEFAULT_POLICY) -> dict[str, Joined]:
    """The runs of events of several, by id, each closed as what it is."""
    return {run_id: run_of(some, closed_at=closed_at, policy=policy) for run_id, some in by_run(arrivals).items()}


def run_of(
    arrivals: Sequence[Arrival],
    *,
    closed_at: int,
    reason: str | None = None,
    amended: bool = False,
    policy: Policy = DEFAULT_POLICY,
) -> Joined:
    """The run whose events arrived, at least one, all of that run; in order of arrival where none knows its place.

    `reason` is why it was closed; without it, it is closed as what it is. `policy` judges its evidence.
    """
    # Which events: each once, in canonical order, of its own project and workflow.
    once = each_once(arrivals)
    arrived = canonical(once.arrivals)
    own = owned([arrival.event for arrival in arrived])
    events = own.events
    places = [arrival.place for arrival in arrived if arrival.place is not None]

    # How it began and ended, and what its steps said.
    ends = ends_of(events)
    began, ended = started_at(events, ends), finished_at(events, ends)
    steps = steps_of(events)
    failed = [step for step in steps if step.failed]
    believed = [ends.end] if ends.end else []

    # What is lacking.
    overflow = reason == CloseReason.OVERFLOW
    missing = completeness.missing(events, ends, overflow=overflow)
    told_lost = completeness.told_lost(events)
    lost = max(completeness.holes(events), told_lost)
    is_whole = not missing and not lost

    # What was decided, measured and found.
    route, prompt, model, context = (speaker(each, steps, events) for each in (ROUTE, PROMPT, MODEL, CONTEXT))
    fallback = last_of(events, EventType.FALLBACK_TAKEN)
    review, case = last_of(events, EventType.REVIEW_RECORDED), last_of(events, EventType.EVAL_RECORDED)
    costs = measures.counted(steps, lambda said: said.cost_usd)
    checks = [event for event in events if event.event_type == EventType.EVIDENCE_CHECKED]
    gaps = findings.gaps(checks, policy)
    skew_s = clock_skew_s(live(events), began, ended)

    run: RunRecord = {
        "run_id": events[0].run_id,
        "project": own.project,
        "workflow": workflow(events),
        "revision": len(arrived),
        "verdict": completeness.verdict(ends, is_whole=is_whole, told=told_lost, overflow=overflow).value,
        "close_reason": reason or completeness.close_reason(ends, is_whole=is_whole).value,
        "missing": missing,
        "events": len(events),
        "events_lost": lost,
        "amended": amended,
        "started_at": began,
        "finished_at": ended,
        "duration_us": max(0, ended - began),
        "closed_at": closed_at,
        "final_state": ends.final_state,
        "status": (Status.ERROR if failed or any(end.status == Status.ERROR for end in believed) else Status.OK).value,
        "error_type": first(lambda said: said.error_type, [*(step.said for step in failed), *believed]),
        "error_step": failed[0].label if failed else None,
        "route": route.route,
        "route_reason": route.route_reason,
        "route_confidence": route.route_confidence,
        "route_policy_version": route.route_policy_version,
        "prompt_id": prompt.prompt_id,
        "prompt_version": prompt.prompt_version,
        "model_provider": model.model_provider,
        "model_name": model.model_name,
        "model_policy": last(lambda event: event.model_policy, events),
        "temperature": model.temperature,
        "top_p": model.top_p,
        "seed": model.seed,
        "system_fingerprint": model.system_fingerprint,
        "confidence": last(lambda event: event.confidence, events),
        "refusal": last(lambda event: event.refusal, events),
        "parser_version": last(lambda event: event.parser_version, events),
        "schema_version": last(lambda event: event.schema_version, events),
        "input_ref": first(lambda event: event.input_ref, events),
        "parsed_artifact_ref": last(lambda event: event.parsed_artifact_ref, events),
        "context_refs": context.context_refs,
        "raw_output_ref": raw_output_ref(events),
        "evidence_refs": evidence_refs(events),
        "validation_errors": validation_errors(steps),
        "fallback_taken": fallback.fallback_taken,
        "fallback_reason": fallback.fallback_reason,
        "review_outcome": review.review_outcome,
        "reviewer_ref": review.reviewer_ref,
        "override_ref": review.override_ref,
        "review_note_ref": review.review_note_ref,
        "eval_case_id": case.eval_case_id,
        "eval_outcome": case.eval_outcome,
        "retry_count": measures.total(measures.counted(steps, lambda said: said.retry_count)),
        "cost_usd": measures.usd(costs),
        "input_tokens": measures.total(measures.counted(steps, lambda said: said.input_tokens)),
        "output_tokens": measures.total(measures.counted(steps, lambda said: said.output_tokens)),
        "slowest_step": slowest_step(steps),
        "costliest_step": measures.costliest_step(costs),
        "missing_anchors": missing_anchors(steps),
        "gap_kinds": findings.gap_kinds(gaps),
        "policy_hash": policy.content_hash,
        "labels": labels(events, ends, skew_s=skew_s, set_aside=own.set_aside),
        "steps": [record(step) for step in steps],
        "evidence": findings.evidence(checks),
        "gaps": gaps,
        "fallbacks": fallbacks(events, steps, ends.final_state, ended),
        "reviews": findings.reviews(events),
        "evals": findings.evals(events),
        "source_partition": places[0].partition if places else None,
        "first_offset": min((place.offset for place in places), default=None),
        "last_offset": max((place.offset for place in places), default=None),
        "assembler_version": ASSEMBLER_VERSION,
        "conflict_sides": findings.conflict_sides(checks, policy),
        "session_id": first(lambda event: event.session_id, events),
        "user_hash": first(lambda event: event.user_hash, events),
        "evaluations": findings.evaluations(events),
    }
    return Joined(run, once.duplicates, once.conflicting)

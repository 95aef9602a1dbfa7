"""Proof by measure: what a run says of its own quality, held against the policy; and gaps, evaluations, reviews.

Recorded scores that are low are no failure by themselves: they count where something went wrong, and what is usual in a
workflow is left out by whoever asks.
"""

from collections.abc import Iterator

from causeline.diagnosis.finding import (
    about_field,
    about_step,
    evidence_fact,
    listed,
    review_fact,
    run_fact,
    side_facts,
    step_fact,
    who,
)
from causeline.diagnosis.model import Fact, Finding, Proof, Role
from causeline.diagnosis.record import FieldState, Record, measure
from causeline.schemas import measures
from causeline.schemas.judge import Judgement
from causeline.schemas.run import Step
from causeline.schemas.vocabulary import EvalOutcome, GapKind, ReviewOutcome, Status, StepKind

_HAS = {
    GapKind.MISSING_CITATION: "has no source",
    GapKind.WEAK_PROVENANCE: "is supported only weakly by its source",
    GapKind.UNSUPPORTED_FIELD: "is not supported by the source it cites",
    GapKind.SOURCE_CONFLICT: "rests on sources that disagree",
}
_GAP_STRENGTH = {
    GapKind.MISSING_CITATION: 0.4,
    GapKind.WEAK_PROVENANCE: 0.3,
    GapKind.UNSUPPORTED_FIELD: 0.45,
    GapKind.SOURCE_CONFLICT: 0.5,
}
_GAP_FIX = {
    GapKind.MISSING_CITATION: "Why nothing is cited for {path}: retrieval, or a document that does not say it",
    GapKind.WEAK_PROVENANCE: "What {path} is held against, and how it is matched",
    GapKind.UNSUPPORTED_FIELD: "What the model is asked for {path}, and what it is held against",
    GapKind.SOURCE_CONFLICT: "Which source stands for {path}: the policy's authority, or whoever decides",
}


def findings(record: Record) -> Iterator[Finding]:
    """What is measured and low, and what people and evaluators found."""
    yield from _low_scores(record)
    yield from _retrieved(record)
    yield from _gaps(record)
    yield from _evaluations(record)
    yield from _reviews(record)


def _low_scores(record: Record) -> Iterator[Finding]:
    rules = record.rules
    for step in record.last_of_each(*record.by_kind):
        if step.status == Status.ERROR:
            continue
        quality = measure(step, measures.PARSE_QUALITY)
        if quality is not None and quality < rules.parse_quality_floor:
            yield _low(
                step,
                "parse_quality",
                measures.PARSE_QUALITY,
                f"The document was parsed badly: quality {quality:.2f}, and {rules.parse_quality_floor:g} is asked.",
                "a better scan, OCR or layout model",
                0.7,
            )
        if step.route_confidence is not None and step.route_confidence < rules.confidence_floor:
            yield _low(
                step,
                "route_unsure",
                "route_confidence",
                f"The route {step.route} was decided with little confidence: {step.route_confidence:.2f}, "
                f"and {rules.confidence_floor:g} is asked.",
                f"the rule for {step.route_reason or step.route}",
                0.66,
            )
        if step.confidence is not None and step.confidence < rules.confidence_floor:
            yield _low(
                step,
                "unsure",
                "confidence",
                f"{who(step)} was not sure of what it gave: confidence {step.confidence:.2f}, "
                f"and {rules.confidence_floor:g} is asked.",
                "what it is given, and by what key it looks things up",
                0.62,
            )


def _low(step: Step, rule: str, name: str, headline: str, fix: str, strength: float) -> Finding:  # noqa: PLR0917 - a table's row
    return about_step(
        step,
        rule=rule,
        proof=Proof.MEASURE,
        role=Role.HINT,
        strength=strength,
        headline=headline,
        fix=fix,
        facts=(step_fact(step, name),),
    )


def _retrieved(record: Record) -> Iterator[Finding]:
    missed: dict[tuple[str | None, str, Role, float], list[Step]] = {}
    for step in record.last_of_each(StepKind.RETRIEVE):
        path = step.labels.get(measures.RETRIEVE_FIELD)
        if step.status != Status.ERROR and (said := _misses(record, step, path)) is not None:
            missed.setdefault((path, *said), []).append(step)
    for (path, headline, role, strength), steps in missed.items():  # made again in vain is one finding
        yield about_step(
            steps[0],
            rule="retrieval",
            proof=Proof.MEASURE,
            role=role,
            strength=strength,
            headline=headline,
            fix="its query, its index, and how many chunks are kept",
            facts=[
                step_fact(step, name) for step in steps for name in sorted(step.labels) if name.startswith("retrieve.")
            ],
            fields=(path,) if path else (),
            mark=path or "",
        )


def _misses(record: Record, step: Step, path: str | None) -> tuple[str, Role, float] | None:
    matches = measure(step, measures.RETRIEVE_MATCHES)
    shown = measure(step, measures.RETRIEVE_SHOWN)
    top = measure(step, measures.RETRIEVE_TOP_SCORE)
    sought = f" for {path}" if path else ""
    known = path in record.corrections
    if matches == 0 or (shown == 0 and matches is None):
        ending = ", and a reviewer had the value" if known else ""
        return f"Retrieval found nothing{sought}{ending}.", Role.TROUBLE, 0.8
    if matches is not None and shown is not None and shown == 0 < matches:
        return f"Retrieval found {matches:.0f} chunks{sought}, and none went on.", Role.SIGN, 0.85
    if matches is not None and shown is not None and shown < matches:
        return (
            f"Retrieval cut what it had found{sought}: {shown:.0f} of {matches:.0f} matching chunks went on.",
            Role.HINT,
            0.6,
        )
    if top is not None and top < record.rules.standard(path).support_floor:
        return f"The best chunk that retrieval found{sought} fits badly (score {top:.2f}).", Role.HINT, 0.68
    return None


# --- gaps


def _gaps(record: Record) -> Iterator[Finding]:
    unsupported = _none_supported(record)
    if unsupported:
        yield _check_in_question(unsupported)
    for path, state in record.open_gaps.items():
        if state.gap is None:
            continue
        yield _gap(record, state, state.gap)
        author = record.call_before(state.last.occurred_at)
        if author is not None and record.is_doubtful(state.last) and path not in record.shape_errors:
            yield about_step(
                author,
                rule="unsupported_value",
                proof=Proof.MEASURE,
                role=Role.HINT,
                strength=0.52,
                headline=f"{who(author)} gave a value for {path} that its source does not bear out.",
                fix="what it is asked and shown, or the model",
                facts=(evidence_fact(state.last, "provenance_score"), evidence_fact(state.last, "evidence_refs")),
                fields=(path,),
                mark=path,
            )


def _none_supported(record: Record) -> dict[str, FieldState]:
    """The fields that cite a source, where none of several is well supported and most not at all; empty elsewhere."""
    citing = {path: state for path, state in record.fields.items() if state.last.evidence_refs}
    doubtful = [path for path, state in citing.items() if record.is_doubtful(state.last)]
    none = all(state.gap is not None for state in citing.values())
    return citing if none and len(citing) >= _MANY and len(doubtful) * 2 > len(citing) else {}


_MANY = 2
"""Values of a run that are all found unsupported, from which on the check itself is in question."""


def _check_in_question(states: dict[str, FieldState]) -> Finding:
    last = [state.last for state in states.values()]
    return Finding(
        rule="none_supported",
        proof=Proof.MEASURE,
        role=Role.HINT,
        boundary=StepKind.EVIDENCE,
        headline=f"Not one of {len(states)} values is well supported by the source it cites: {listed(states)}.",
        fix="How values are held against their sources: which part of the source, and how it is matched.",
        thing="the check of evidence",
        strength=0.57,
        facts=tuple(evidence_fact(evidence, "provenance_score") for evidence in last),
        step_id=last[0].step_id,
        fields=frozenset(states),
    )


def _gap(record: Record, state: FieldState, gap: Judgement) -> Finding:
    given = ", and was given as an answer all the same" if record.answered and not record.run.reviews else ""
    return about_field(
        state,
        rule=f"gap_{gap.kind.value}",
        role=Role.TROUBLE,
        strength=_GAP_STRENGTH[gap.kind],
        headline=f"The value of {state.field_path} {_HAS[gap.kind]}{given}.",
        fix=(
            f"{_GAP_FIX[gap.kind].format(path=state.field_path)}; "
            f"evidence rule: threshold {gap.threshold:g}, next step {gap.next_step.value}."
        ),
        facts=(
            evidence_fact(state.last, "provenance_score"),
            evidence_fact(state.last, "evidence_refs"),
            evidence_fact(state.last, "conflicting_refs"),
            *side_facts(record.run, state.field_path),
            run_fact(record.run, "final_state"),
        ),
    )


# --- what people and evaluators found


def _evaluations(record: Record) -> Iterator[Finding]:
    failed: dict[str, Fact] = {}
    for each in record.run.evals:
        fact = Fact("eval", each.case_id, each.outcome or "none", each.event_id)
        if each.outcome in (EvalOutcome.FAILED, EvalOutcome.ERRORED):
            failed[each.case_id] = fact
        elif each.outcome == EvalOutcome.PASSED:
            failed.pop(each.case_id, None)  # of one name the last outcome stands
    if failed:
        yield Finding(
            rule="evaluation_failed",
            proof=Proof.MEASURE,
            role=Role.TROUBLE,
            boundary=StepKind.EVAL,
            headline=f"The evaluation {listed(failed)} failed.",
            fix=f"What {listed(failed)} measures is not good enough, and nothing on record says why: "
            "record scores and references at the steps before.",
            thing=f"evaluation {listed(failed)}",
            strength=0.2,
            facts=tuple(failed.values()),
            mark=",".join(sorted(failed)),
        )


def _reviews(record: Record) -> Iterator[Finding]:
    for path, review in record.corrections.items():
        verb = "rejected" if review.outcome == ReviewOutcome.REJECTED else "corrected"
        yield Finding(
            rule="review_disagreed",
            proof=Proof.CONTRADICTION,
            role=Role.FAILURE,
            boundary=StepKind.REVIEW,
            headline=f"A reviewer {verb} {path or 'the answer'}.",
            fix=f"What led to {path or 'the answer'}.",
            thing=f"field {path}" if path else "answer",
            strength=0.18,
            facts=(review_fact(review, "outcome"), review_fact(review, "override_ref")),
            fields=frozenset({path}) if path else frozenset(),
            mark=path,
        )

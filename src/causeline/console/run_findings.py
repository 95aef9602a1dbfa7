"""What in a run's record a reader should look at, in the order in which causes flow: facts, no guesses."""

from collections.abc import Iterator
from dataclasses import dataclass

from causeline.console.notes import Context, Tone, evidence_note, fallback_note
from causeline.console.words import count, listed
from causeline.schemas.run import Run
from causeline.schemas.vocabulary import StepKind

_ORDER = {kind.value: place for place, kind in enumerate(StepKind)}
_REVIEW_TONES = {"approved": Tone.GOOD, "overridden": Tone.BAD, "rejected": Tone.BAD, "escalated": Tone.DOUBTFUL}
_REVIEW_VERBS = {"overridden": "overrode"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at: the boundary it belongs to, and a sentence."""

    boundary: str
    text: str
    tone: Tone
    refs: tuple[str, ...] = ()


def findings(context: Context) -> list[Finding]:
    """Everything that stands out in a run, by boundary; empty when nothing does."""
    run = context.run
    found = [
        *_record(run),
        *_steps(run),
        *_gaps(context),
        *_fallbacks(context),
        *_reviews(run),
        *_evals(run),
        *_anchors(context),
    ]
    return sorted(found, key=lambda finding: _ORDER.get(finding.boundary, -1))


def verdict_in_words(run: Run) -> str:
    """The verdict on the record, with what is missing."""
    said = [run.verdict or "no verdict"]
    if run.verdict == "complete":
        said.append(f"— all {count(run.events, 'event')} that its workflow sent are in")
    elif run.verdict == "unfinished":
        said.append(f"— its end never came; {_closed_because(run)}")
    else:
        said.append(f"— {_closed_because(run)}")
    if run.events_lost:
        said.append(f"; {count(run.events_lost, 'event')} lost")
    if run.missing:
        said.append(f"; missing: {listed(run.missing)}")
    return " ".join(said).replace(" ;", ";")


def _closed_because(run: Run) -> str:
    return {
        "finished": "closed when its end was in",
        "grace": "closed because what was missing did not come in time",
        "idle": "closed after no event came for the idle timeout",
        "max_open": "closed because it was open for as long as a run may be",
        "overflow": "closed because it, or all open runs, had more events than may be held",
    }.get(run.close_reason or "", "closed for a reason that was not recorded")


def _record(run: Run) -> Iterator[Finding]:
    if run.verdict != "complete":
        yield Finding("record", f"The record is {verdict_in_words(run)}.", Tone.DOUBTFUL)
    if run.final_state == "failed":
        yield Finding("output", "The run ended as failed.", Tone.BAD)
    elif run.final_state in {"partial", "stopped", "handed_over"}:
        yield Finding("output", f"The run ended as {run.final_state}, short of an answer.", Tone.DOUBTFUL)


def _steps(run: Run) -> Iterator[Finding]:
    last_check = next((step for step in reversed(run.steps) if step.step_kind == "validate"), None)
    for step in run.steps:
        if step.status == "error":
            class_ = f" {step.error_type}" if step.error_type else ", its class not recorded"
            yield Finding(step.step_kind, f"{step.full_name} ended in error{class_}.", Tone.BAD)
        if step.status == "skipped":
            yield Finding(step.step_kind, f"{step.full_name} was skipped.", Tone.DOUBTFUL)
        if step.status is None:
            yield Finding(step.step_kind, f"{step.full_name} started; its end was never seen.", Tone.DOUBTFUL)
        if step.refusal:
            yield Finding(step.step_kind, f"{step.full_name}: the model declined to answer.", Tone.BAD)
        if step.step_kind == "retrieve" and step.status == "ok" and not step.context_refs:
            yield Finding("retrieve", f"{step.full_name} found no context.", Tone.DOUBTFUL)
        if step.validation_errors:
            mended = last_check is not None and last_check is not step and not last_check.validation_errors
            after = f"; {last_check.full_name} found none later" if mended and last_check else ""
            text = f"{step.full_name}: {listed(step.validation_errors)}{after}."
            yield Finding(step.step_kind, text, Tone.DOUBTFUL if mended else Tone.BAD)


def _gaps(context: Context) -> Iterator[Finding]:
    answered = context.run.final_state == "answered"
    for each in context.run.evidence:
        if each.event_id in context.gaps:
            note = evidence_note(each, context)
            last = " — and the run answered all the same" if answered and each.evidence_required else ""
            yield Finding("evidence", f"{note.text}{last}.", note.tone, note.refs)


def _fallbacks(context: Context) -> Iterator[Finding]:
    names = {step.step_id: step.full_name for step in context.run.steps}
    for taken in context.run.fallbacks:
        at = f" at {names[taken.step_id]}" if taken.step_id in names else ""
        yield Finding("fallback", f"{fallback_note(taken).text}{at}.", Tone.DOUBTFUL)


def _reviews(run: Run) -> Iterator[Finding]:
    for review in run.reviews:
        of = f" {review.field_path}" if review.field_path else ""
        bare = ""
        if review.outcome == "overridden" and not review.override_ref:
            bare = ", and no corrected value was recorded"
        refs = tuple(ref for ref in (review.override_ref, review.note_ref) if ref)
        tone = _REVIEW_TONES.get(review.outcome, Tone.DOUBTFUL)
        did = _REVIEW_VERBS.get(review.outcome, review.outcome)
        yield Finding("review", f"{review.reviewer_ref or 'A reviewer'} {did}{of or ' the run'}{bare}.", tone, refs)


def _evals(run: Run) -> Iterator[Finding]:
    for each in run.evals:
        tone = Tone.GOOD if each.outcome == "passed" else Tone.DOUBTFUL if each.outcome != "failed" else Tone.BAD
        yield Finding("eval", f"Eval case {each.case_id}: {each.outcome or 'linked'}.", tone)


def _anchors(context: Context) -> Iterator[Finding]:
    for kind, fields in context.anchors.items():
        text = f"Never recorded, so nothing is known of it: {listed([f'{kind}.{name}' for name in fields])}."
        yield Finding(kind, text, Tone.DOUBTFUL)

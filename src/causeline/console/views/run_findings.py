"""What in a run's record a reader should look at, in the order in which causes flow: facts, no guesses."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace

from causeline.console.views.notes import Context, Tone, evaluation_in_words, evidence_note, fallback_note
from causeline.console.words import count, listed
from causeline.schemas.run import Run, Step
from causeline.schemas.vocabulary import StepKind, is_bad

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
    after: tuple[int, int] | None = None
    """Of a failed step that encloses failed ones: the last boundary of theirs, and how many enclose each other."""


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
        *_evaluations(run),
        *_anchors(context),
    ]
    return sorted(_once(found), key=_place)


def _place(finding: Finding) -> tuple[int, int]:
    return finding.after or (_ORDER.get(finding.boundary, -1), 0)


def _once(found: Iterable[Finding]) -> Iterator[Finding]:
    """What was found several times over, as one finding that says how often."""
    for finding, times in Counter(found).items():
        yield finding if times == 1 else replace(finding, text=f"{finding.text.removesuffix('.')} ({times:,d} times).")


def verdict_in_words(run: Run) -> str:
    """The verdict on the record, with what is missing."""
    parts = [run.verdict or "no verdict"]
    if run.verdict == "complete" and run.is_foreign:
        parts.append(f"— its root and every span that another names are in, {count(len(run.steps), 'span')}")
    elif run.verdict == "complete":
        parts.append(f"— all {count(run.events, 'event')} that its workflow sent are in")
    elif run.verdict == "unfinished":
        parts.append(f"— its end never came; {_closed_because(run)}")
    else:
        parts.append(f"— {_closed_because(run)}")
    if run.events_lost:
        parts.append(f"; {count(run.events_lost, 'event')} lost")
    if run.missing:
        parts.append(f"; missing: {listed(run.missing)}")
    return " ".join(parts).replace(" ;", ";")


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
    checks = [step for step in run.steps if step.step_kind == "validate"]
    enclosing = _enclosing_failures(run)
    for step in run.steps:
        if step.status == "error" or step.validation_errors:
            said = _failed(step, last_check=checks[-1] if checks else None)
            yield replace(said, after=enclosing.get(step.step_id or ""))
        if step.status == "skipped":
            yield Finding(step.step_kind, f"{step.full_name} was skipped.", Tone.DOUBTFUL)
        if step.status is None:
            yield Finding(step.step_kind, f"{step.full_name} started; its end was never seen.", Tone.DOUBTFUL)
        if step.refusal:
            yield Finding(step.step_kind, f"{step.full_name}: the model declined to answer.", Tone.BAD)
        if step.step_kind == "retrieve" and step.status == "ok" and not step.context_refs:
            yield Finding("retrieve", f"{step.full_name} found no context.", Tone.DOUBTFUL)


def _enclosing_failures(run: Run) -> dict[str, tuple[int, int]]:
    """By id the failed steps that enclose failed ones, and where they are told: an error flows from within outwards."""
    failed = {
        step.step_id: _ORDER.get(step.step_kind, -1) for step in run.steps if step.step_id and step.status == "error"
    }
    parents = {step.step_id: step.parent_step_id for step in run.steps if step.step_id}
    above = {step_id: _nearest(step_id, parents, failed) for step_id in failed}
    waits = Counter(each for each in above.values() if each)
    ready = [step_id for step_id in failed if not waits[step_id]]
    found: dict[str, tuple[int, int]] = {}
    while ready:
        within = ready.pop()
        outer = above[within]
        if outer is not None:
            place, height = found.get(within, (failed[within], 0))
            known_place, known_height = found.get(outer, (failed[outer], 0))
            found[outer] = (max(place, known_place), max(height + 1, known_height))
            waits[outer] -= 1
            if not waits[outer]:
                ready.append(outer)
    return found


def _nearest(step_id: str, parents: dict[str, str | None], failed: Container[str]) -> str | None:
    """The nearest failed step around a step. What lies between is passed over from then on: no way is gone twice."""
    met = {step_id}
    outer = parents[step_id]
    while outer is not None and outer not in failed and outer not in met:
        met.add(outer)
        outer = parents.get(outer)
    outer = outer if outer in failed else None
    parents.update(dict.fromkeys(met, outer))
    return outer


def _failed(step: Step, *, last_check: Step | None) -> Finding:
    text = step.full_name
    if step.status == "error":
        text += f" ended in error {step.error_type}" if step.error_type else " ended in error, its class not recorded"
    if not step.validation_errors:
        return Finding(step.step_kind, f"{text}.", Tone.BAD)
    text += f": {listed(step.validation_errors)}"
    if last_check is None or last_check is step or last_check.validation_errors:
        return Finding(step.step_kind, f"{text}.", Tone.BAD)
    return Finding(step.step_kind, f"{text}; {last_check.full_name} found none later.", Tone.DOUBTFUL)


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


def _evaluations(run: Run) -> Iterator[Finding]:
    """Verdicts that are words: what a score means is the evaluator's own affair."""
    names = {step.step_id: step.full_name for step in run.steps}
    for each in run.evaluations:
        if (failed := is_bad(each.label)) is not None:
            of = f" of {names[each.step_id]}" if each.step_id in names else ""
            refs = (each.explanation_ref,) if each.explanation_ref else ()
            yield Finding("eval", f"{evaluation_in_words(each)}{of}.", Tone.BAD if failed else Tone.GOOD, refs)


def _anchors(context: Context) -> Iterator[Finding]:
    if context.run.is_foreign:  # its instrumentation has no word for them; `lint-traces` says once what to add
        return
    for kind, fields in context.anchors.items():
        text = f"Never recorded, so nothing is known of it: {listed([f'{kind}.{name}' for name in fields])}."
        yield Finding(kind, text, Tone.DOUBTFUL)

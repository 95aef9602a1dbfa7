"""Question 1: did the model see the right source?"""

from collections.abc import Iterator

from causeline.console.diagnosis.finding import about_step, evidence_fact, listed, step_fact
from causeline.console.diagnosis.model import Finding, Health, Question
from causeline.console.diagnosis.record import Record, base
from causeline.schemas import measures
from causeline.schemas.run import Step
from causeline.schemas.vocabulary import Status, StepKind

_Q = Question.SOURCE


def findings(record: Record) -> Iterator[Finding]:
    """What the record says against the source."""
    yield from _parse(record)
    yield from _masked(record)
    yield from _retrieved(record)
    yield from _context(record)
    yield from _cited(record)


def _parse(record: Record) -> Iterator[Finding]:
    for step in record.last_of_each(StepKind.PARSE):
        if step.status == Status.ERROR:
            yield about_step(
                step,
                rule="parse_error",
                question=_Q,
                health=Health.FAILED,
                headline=f"{step.step_name} could not be parsed: {step.error_type or 'an error'}.",
                fix=f"Parser {step.parser_version or '(version never recorded)'}, step {step.full_name}.",
                facts=(step_fact(step, "status"), step_fact(step, "error_type")),
            )
            continue
        yield from _pages(record, step)
        quality = record.measure(step, measures.PARSE_QUALITY)
        if quality is not None and quality < record.rules.parse_quality_floor:
            yield about_step(
                step,
                rule="parse_quality",
                question=_Q,
                health=Health.SUSPECT,
                headline=(
                    f"The document was parsed badly: quality {quality:.2f}, "
                    f"and {record.rules.parse_quality_floor:g} is asked."
                ),
                fix=f"Parser {step.parser_version or '(version never recorded)'}: a better scan, OCR or layout model.",
                facts=(step_fact(step, measures.PARSE_QUALITY),),
            )
    yield from _shared_artifact(record)


def _pages(record: Record, step: Step) -> Iterator[Finding]:
    pages = record.measure(step, measures.PARSE_PAGES)
    read = record.measure(step, measures.PARSE_PAGES_READ)
    if pages is not None and read is not None and read < pages:
        yield about_step(
            step,
            rule="pages_lost",
            question=_Q,
            health=Health.SUSPECT,
            headline=f"The parser lost pages: {read:.0f} of {pages:.0f} were read.",
            fix=f"Parser {step.parser_version or '(version never recorded)'}, step {step.full_name}: read every page.",
            facts=(step_fact(step, measures.PARSE_PAGES), step_fact(step, measures.PARSE_PAGES_READ)),
        )


def _shared_artifact(record: Record) -> Iterator[Finding]:
    owners: dict[str, Step] = {}
    for step in record.steps(StepKind.PARSE):
        made = step.parsed_artifact_ref
        if made is None or step.input_ref is None:
            continue
        first = owners.setdefault(base(made), step)
        if first.input_ref is not None and base(first.input_ref) != base(step.input_ref):
            yield about_step(
                step,
                rule="shared_artifact",
                question=_Q,
                health=Health.SUSPECT,
                headline=f"Two inputs have one parsed artifact: {first.step_name} and {step.step_name}.",
                fix="The parser's cache key: it must depend on the whole input.",
                facts=(step_fact(step, "input_ref"), step_fact(step, "parsed_artifact_ref")),
            )


def _masked(record: Record) -> Iterator[Finding]:
    for step in record.steps(StepKind.MASK):
        if step.status == Status.ERROR:
            yield about_step(
                step,
                rule="mask_error",
                question=_Q,
                health=Health.FAILED,
                headline=f"Masking ended in {step.error_type or 'an error'}, so nothing safe could be shown.",
                fix=f"Masking rules of step {step.full_name}.",
                facts=(step_fact(step, "error_type"),),
            )
        taken = {name.removeprefix(measures.MASKED) for name in step.labels if name.startswith(measures.MASKED)}
        hidden: dict[str, set[str]] = {}
        for path in record.troubled:
            rule = record.rules.evidence.get(path)
            for kind in taken.intersection(rule.masked_as if rule else ()):
                hidden.setdefault(kind, set()).add(path)
        for kind, paths in sorted(hidden.items()):
            yield about_step(
                step,
                rule="masked_source",
                question=_Q,
                health=Health.FAILED,
                headline=f"Masking removed the source of {listed(paths)}: entities of type {kind} were taken out.",
                fix=(
                    f"Masking rule for {kind} in step {step.full_name}: "
                    f"let it through for workflow {record.run.workflow}."
                ),
                facts=(step_fact(step, f"{measures.MASKED}{kind}"),),
                fields=paths,
            )


def _retrieved(record: Record) -> Iterator[Finding]:
    missed: dict[tuple[str | None, str, bool], list[Step]] = {}
    for step in record.last_of_each(StepKind.RETRIEVE):
        path = step.labels.get(measures.RETRIEVE_FIELD)
        if (said := _misses(record, step, path)) is not None:
            missed.setdefault((path, *said), []).append(step)
    for (path, headline, failed), steps in missed.items():  # a search that is made again in vain is one finding
        yield about_step(
            steps[0],
            rule="retrieval",
            question=_Q,
            health=Health.FAILED if failed else Health.SUSPECT,
            headline=headline,
            fix=(
                f"Retrieval in {listed(step.full_name for step in steps)}: query, index, and how many chunks are kept."
            ),
            facts=[
                step_fact(step, name) for step in steps for name in sorted(step.labels) if name.startswith("retrieve.")
            ],
            fields=(path,) if path else (),
        )


def _misses(record: Record, step: Step, path: str | None) -> tuple[str, bool] | None:
    """What a retrieval missed, and whether that is known to have done harm.

    That nothing was found is harm only when somebody knows better: the document may not have it.
    """
    matches = record.measure(step, measures.RETRIEVE_MATCHES)
    shown = record.measure(step, measures.RETRIEVE_SHOWN)
    top = record.measure(step, measures.RETRIEVE_TOP_SCORE)
    sought = f" for {path}" if path else ""
    known = path in record.corrections
    if step.status == Status.ERROR:
        return f"Retrieval{sought} ended in {step.error_type or 'an error'}.", True
    if matches == 0 or (shown == 0 and matches is None):
        return f"Retrieval found nothing{sought}{', and a reviewer had the value' if known else ''}.", known
    if matches is not None and shown is not None and shown < matches:
        cut = f"Retrieval cut what it had found{sought}: {shown:.0f} of {matches:.0f} matching chunks went on."
        return cut, path in record.troubled
    if top is not None and top < record.rules.standard(path).support_floor:
        return f"The best chunk that retrieval found{sought} fits badly (score {top:.2f}).", known
    return None


def _context(record: Record) -> Iterator[Finding]:
    if not record.rules.context_expected:
        return
    # Where retrieval was tried and found nothing, that is the failure, and a prompt without context follows from it.
    retrievals = record.steps(StepKind.RETRIEVE)
    found_none = bool(retrievals) and not any(
        step.context_refs or (record.measure(step, measures.RETRIEVE_SHOWN) or 0) > 0 for step in retrievals
    )
    for step in record.last_of_each(StepKind.MODEL_CALL):
        if not step.context_refs and step.input_ref is None:
            yield about_step(
                step,
                rule="empty_context",
                question=_Q,
                health=Health.SUSPECT if found_none else Health.FAILED,
                headline=f"The model was asked without any source: {step.step_name} had no context.",
                fix=f"Context selection before {step.full_name}.",
                facts=(step_fact(step, "context_refs", "none"),),
                boundary=StepKind.PROMPT,
            )


def _cited(record: Record) -> Iterator[Finding]:
    calls = record.steps(StepKind.MODEL_CALL)
    shown = {ref for step in calls for ref in step.context_refs}
    if not shown:
        return
    whole = {base(ref) for ref in shown if "#" not in ref}
    for path, state in record.fields.items():
        strange = [ref for ref in state.last.evidence_refs if ref not in shown and base(ref) not in whole]
        if strange and len(strange) == len(state.last.evidence_refs):
            yield about_step(
                calls[-1],
                rule="cited_unseen",
                question=_Q,
                health=Health.FAILED,
                headline=f"The source cited for {path} was never shown to the model.",
                fix=(
                    f"Citations in prompt {calls[-1].prompt_id or '(never recorded)'} "
                    f"version {calls[-1].prompt_version or '(never recorded)'}: cite from the context only."
                ),
                facts=(evidence_fact(state.last, "evidence_refs"),),
                fields=(path,),
            )

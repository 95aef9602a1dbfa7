"""What could not be told, and how to record it: in the words of whoever recorded the run. Never a finding.

Said only where it would have changed the answer: of a run that went wrong and whose cause is not certain.
"""

from collections.abc import Iterator

from causeline.diagnosis.model import Cause, Certainty
from causeline.diagnosis.record import Record
from causeline.schemas.otel_names import EVIDENCE, SCOPE_LABEL, STEP, Alias
from causeline.schemas.vocabulary import StepKind, Verdict

MOST = 3


def unknown(record: Record, first: Cause | None, untold: str | None) -> tuple[str, ...]:
    """At most MOST sentences, what would have told most first; `untold` is what the neighbours could not tell."""
    found = list(_holes(record))
    if first is not None and first.certainty is not Certainty.CERTAIN:
        found += measures_lacking(record)
        if untold:
            found.append(f"Neighbours: {untold}.")
    return tuple(found[:MOST])


def _holes(record: Record) -> Iterator[str]:
    run = record.run
    if run.verdict == Verdict.PARTIAL:
        lost = f"{run.events_lost} events were lost" if run.events_lost else "the record is partial"
        missing = f" (missing: {', '.join(run.missing[:3])})" if run.missing else ""
        yield f"{lost[:1].upper()}{lost[1:]}{missing}: what they said is not known."


def measures_lacking(record: Record) -> Iterator[str]:
    """What none of a run's steps of a kind recorded, and would have told more of it, each with the way to record it."""
    foreign = SCOPE_LABEL in record.run.labels
    for kind, field, code in _WOULD_TELL:
        steps = record.of_kind(kind)
        if steps and not any(getattr(step, field) for step in steps):
            name = steps[-1].full_name
            how = (
                f"the attribute {_first(STEP[field])} on its span" if foreign else code.format(name=steps[-1].step_name)
            )
            yield f"{field} of {name} was never recorded: {how}."
    if not record.run.evidence and not record.run.evals:
        how = (
            f"a span with causeline.step.kind = evidence, {_first(EVIDENCE['field_path'])} and "
            f"{_first(EVIDENCE['provenance_score'])}"
            if foreign
            else "run.evidence(field, refs=…, score=…)"
        )
        yield f"Nothing says how well the answer is supported: {how}."


_WOULD_TELL: tuple[tuple[StepKind, str, str], ...] = (
    (StepKind.RETRIEVE, "context_refs", "run.retrieve({name!r}, context_refs=…)"),
    (StepKind.MODEL_CALL, "context_refs", "run.model_call({name!r}, context_refs=…)"),
    (StepKind.TOOL, "input_ref", "run.tool({name!r}, input_ref=…, raw_output_ref=…)"),
    (StepKind.MODEL_CALL, "prompt_version", "run.model_call({name!r}, prompt_id=…, prompt_version=…)"),
    (StepKind.PARSE, "parser_version", "run.parse({name!r}, parser_version=…)"),
)


def _first(alias: Alias) -> str:
    return alias.keys[0]

"""Question 3: did the model produce the wrong shape?"""

from collections.abc import Iterator

from causeline.console.diagnosis.finding import (
    about_step,
    fallback_facts,
    listed,
    prompt_of,
    review_fact,
    run_fact,
    step_fact,
    who,
)
from causeline.console.diagnosis.model import Finding, Health, Question
from causeline.console.diagnosis.record import Record, error_path, named
from causeline.console.diagnosis.route import ROUTE_FIELDS
from causeline.schemas import measures
from causeline.schemas.run import Step
from causeline.schemas.vocabulary import Status, StepKind, Verdict

_Q = Question.SHAPE
_AGAIN = {True: ", and was asked again", False: ""}


def findings(record: Record) -> Iterator[Finding]:
    """What the record says against the shape of the answer, and against those who check it."""
    yield from _asked(record)
    yield from _calls(record)
    yield from _invalid(record)
    yield from _corrected(record)
    yield from _unchecked(record)
    yield from _left_out(record)


def _asked(record: Record) -> Iterator[Finding]:
    required = {path for path, rule in record.rules.evidence.items() if rule.required}
    for step in record.last_of_each(StepKind.PROMPT):
        asks = record.items(step, measures.PROMPT_ASKS)
        lacking = required - asks if asks is not None else frozenset()
        if lacking:
            yield about_step(
                step,
                rule="prompt_omits",
                question=_Q,
                health=Health.FAILED,
                headline=f"The prompt does not ask for {listed(lacking)}, which the policy requires.",
                fix=f"Prompt {step.prompt_id or step.step_name} version {step.prompt_version or '(never recorded)'}.",
                facts=(step_fact(step, measures.PROMPT_ASKS), step_fact(step, "prompt_version")),
                fields=lacking,
            )


def _calls(record: Record) -> Iterator[Finding]:
    last = {step.full_name: step for step in record.last_of_each(StepKind.MODEL_CALL, StepKind.TOOL)}
    attempts: dict[str, list[Step]] = {}
    for step in record.steps(StepKind.MODEL_CALL, StepKind.TOOL):
        attempts.setdefault(step.full_name, []).append(step)
        final = last[step.full_name] is step
        if step.status == Status.ERROR:
            if not final and last[step.full_name].status == Status.ERROR:
                continue  # what failed to its last attempt is one finding
            failed = sum(each.status == Status.ERROR for each in attempts[step.full_name]) if final else 1
            often = f", {failed} times over" if failed > 1 else ""
            yield about_step(
                step,
                rule="call_error",
                question=_Q,
                health=Health.FAILED if final else Health.SUSPECT,
                headline=f"{who(step)} failed with {step.error_type or 'an error'}{often}{_AGAIN[not final]}.",
                fix=_provider_fix(step),
                facts=(
                    step_fact(step, "status"),
                    step_fact(step, "error_type"),
                    *([step_fact(step, "model_name")] if step.step_kind == StepKind.MODEL_CALL else []),
                    *fallback_facts(record.run),
                ),
            )
        elif step.step_kind == StepKind.TOOL and (step.confidence or 1.0) < record.rules.confidence_floor:
            yield about_step(
                step,
                rule="tool_unsure",
                question=_Q,
                health=Health.SUSPECT,
                headline=(
                    f"The tool {step.step_name} was not sure of what it found: confidence {step.confidence:.2f}, "
                    f"and {record.rules.confidence_floor:g} is asked."
                ),
                fix=f"What {step.full_name} looks up, and by what key.",
                facts=(step_fact(step, "confidence"),),
            )
        elif step.refusal:
            yield about_step(
                step,
                rule="refusal",
                question=_Q,
                health=Health.FAILED if final else Health.SUSPECT,
                headline=f"{who(step)} refused to answer.",
                fix=f"{prompt_of(step)}, or the policy that chose the model.",
                facts=(step_fact(step, "refusal"),),
            )
        elif step.labels.get(measures.FINISH_REASON) == "length":
            yield about_step(
                step,
                rule="cut_off",
                question=_Q,
                health=Health.SUSPECT,
                headline=f"{who(step)} was cut off before it had finished.",
                fix="The limit on output tokens, or a shorter task.",
                facts=(step_fact(step, measures.FINISH_REASON),),
            )


def _invalid(record: Record) -> Iterator[Finding]:
    for last in record.last_of_each(StepKind.VALIDATE):
        attempts = [step for step in record.steps(StepKind.VALIDATE) if step.full_name == last.full_name]
        wrong = _paths(last)
        if last.validation_errors:
            failed = sum(bool(step.validation_errors) for step in attempts)
            often = f", {failed} times over" if failed > 1 else ""
            yield _wrong_shape(record, last, wrong, rule="wrong_shape", health=Health.FAILED, ending=often)
        mended = [step for step in attempts if step.validation_errors and not (_paths(step) & wrong)]
        if mended and mended[-1] is not last:
            yield _wrong_shape(
                record,
                mended[-1],
                frozenset().union(*map(_paths, mended)),
                rule="mended_shape",
                health=Health.SUSPECT,
                ending=", which a later attempt mended",
            )


def _paths(step: Step) -> frozenset[str]:
    return frozenset(path for error in step.validation_errors if (path := error_path(error)))


def _wrong_shape(
    record: Record, step: Step, paths: frozenset[str], *, rule: str, health: Health, ending: str
) -> Finding:
    author = _author(record, step)
    where = f" at {listed(paths)}" if paths else ""
    return about_step(
        author,
        rule=rule,
        question=_Q,
        health=health,
        headline=f"The answer of {_lower(who(author))} has the wrong shape{where}{ending}.",
        fix=f"{prompt_of(author)} or schema {step.schema_version or '(version never recorded)'}.",
        facts=(
            step_fact(step, "validation_errors", ", ".join(step.validation_errors[:5])),
            *fallback_facts(record.run),
            *(review_fact(record.corrections[path], "outcome") for path in sorted(paths & record.corrections.keys())),
        ),
        fields=paths,
    )


def _corrected(record: Record) -> Iterator[Finding]:
    calls = [step for step in record.steps(StepKind.MODEL_CALL) if step.status != Status.ERROR]
    for path, review in record.corrections.items():
        if not calls or not path or path in ROUTE_FIELDS or review.override_ref is None:
            continue
        if path in record.shape_errors:
            continue  # what has the wrong shape is wrong
        state = record.fields.get(path)
        given = state is not None and bool(state.last.evidence_refs)
        author = calls[-1]
        yield about_step(
            author,
            rule="corrected_value",
            question=_Q,
            health=Health.FAILED,
            headline=(
                f"{who(author)} gave {'a wrong value' if given else 'no value'} for {path}, as a reviewer found."
            ),
            fix=f"{prompt_of(author)}, or the model for it.",
            facts=(
                review_fact(review, "outcome"),
                review_fact(review, "override_ref"),
                step_fact(author, "model_name"),
            ),
            fields=(path,),
        )


def _author(record: Record, validation: Step) -> Step:
    """The step whose output was validated: the one that made what the validation read, else the call before it."""
    calls = [
        step
        for step in record.steps(StepKind.MODEL_CALL, StepKind.TOOL, StepKind.PARSE)
        if step.started_at is None or validation.started_at is None or step.started_at <= validation.started_at
    ]
    makers = [step for step in calls if step.raw_output_ref and step.raw_output_ref == validation.input_ref]
    models = [step for step in calls if step.step_kind == StepKind.MODEL_CALL]
    return (makers or models or calls or [validation])[-1]


def _unchecked(record: Record) -> Iterator[Finding]:
    required = {path for path, rule in record.rules.evidence.items() if rule.required}
    for step in record.last_of_each(StepKind.VALIDATE):
        if step.status == Status.SKIPPED:
            yield about_step(
                step,
                rule="validation_skipped",
                question=_Q,
                health=Health.FAILED,
                headline=f"The answer was not validated: {step.step_name} was skipped.",
                fix=f"Validation step {step.full_name}, schema {step.schema_version or '(version never recorded)'}.",
                facts=(step_fact(step, "status"),),
            )
            continue
        checked = record.items(step, measures.VALIDATED)
        lacking = required - checked if checked is not None else frozenset()
        if lacking:
            yield about_step(
                step,
                rule="not_validated",
                question=_Q,
                health=Health.FAILED,
                headline=f"The validation does not look at {listed(lacking)}, which the policy requires.",
                fix=f"Schema {step.schema_version or '(version never recorded)'} of step {step.full_name}.",
                facts=(step_fact(step, measures.VALIDATED), step_fact(step, "schema_version")),
                fields=lacking,
            )


def _left_out(record: Record) -> Iterator[Finding]:
    run = record.run
    if run.verdict != Verdict.COMPLETE or run.final_state in ("stopped", "failed"):
        return
    taken = (
        set(named(run.steps))
        | {f"{StepKind.EVIDENCE}" for _ in run.evidence}
        | {f"{StepKind.REVIEW}" for _ in run.reviews}
    )
    for expected in record.rules.expect:
        if expected.step not in taken:
            kind = StepKind(expected.step.partition(":")[0])
            yield Finding(
                rule="step_left_out",
                question=_Q,
                health=Health.FAILED,
                boundary=kind,
                headline=f"The step {expected.step} never ran, and every {run.workflow} run should take it.",
                fix=f"The workflow's call of {expected.step}, or the policy's list of expected steps.",
                facts=(run_fact(run, "verdict"),),
            )


def _lower(text: str) -> str:
    """As it stands within a sentence."""
    return text[:1].lower() + text[1:]


def _provider_fix(step: Step) -> str:
    if step.step_kind != StepKind.MODEL_CALL:
        return f"What {step.full_name} calls, and how it retries."
    return (
        f"Provider {step.model_provider or '(never recorded)'}: quota, time-out and retry policy of {step.full_name}."
    )

"""Proof by error: steps and runs that failed, were cut off, refused, blocked or never came to their end."""

from collections import Counter
from collections.abc import Iterator

from causeline.diagnosis.finding import (
    about_step,
    fallback_facts,
    is_verdict,
    listed,
    run_fact,
    step_fact,
    thing_of,
    touch,
    who,
)
from causeline.diagnosis.model import Fact, Finding, Proof, Role
from causeline.diagnosis.record import Record, asked_in_vain, error_path, errors_of, says_nothing
from causeline.diagnosis.traits import is_feedback
from causeline.schemas import measures
from causeline.schemas.run import Step
from causeline.schemas.vocabulary import FinalState, Status, StepKind, Verdict

_WRITTEN_BY_A_MODEL = (
    "argument", "parameter", "schema", "json", "decode", "syntax", "column", "malformed", "valueerror", "typeerror",
    "keyerror", "validation", "unknowntool", "nosuch", "parse", "badrequest", "invalid", "operationalerror",
    "programmingerror", "unexpected",
)  # fmt: skip
"""Words in an error's class that speak of what the step was given rather than of what it reached."""
_LIMITS = ("budget", "limit", "recursion", "maxstep", "maxiter", "maxturn", "loop", "exceeded", "exhausted", "toomany")
_RATE = ("rate", "quota", "throttl", "429")
_BAD_WORDS = frozenset(
    {
        "failed", "fail", "failure", "error", "blocked", "block", "denied", "deny", "rejected", "reject", "refused",
        "timeout", "timed_out", "truncated", "expired", "stale", "unsafe", "violation", "overflow", "corrupt",
        "corrupted", "aborted", "cancelled", "dropped", "unavailable", "degraded", "tripped", "flagged", "partial",
        "length", "incomplete", "exhausted", "mismatch", "invalid",
    }
)  # fmt: skip
"""Words by which any label says that something went wrong."""
_ENDS = frozenset({"partial", "incomplete", "degraded"})
"""Words by which a whole run says how it ended."""
_FAILED = frozenset({"failed", "fail", "failure", "error"})
"""Words that say no more than the status of a step in error does."""


def findings(record: Record) -> Iterator[Finding]:
    """What failed, step by step, and the run as a whole."""
    carried = _carried(record)
    told: set[str] = set()
    for place, step in enumerate(record.steps):
        if step.status == Status.ERROR and not step.validation_errors and place not in carried:
            yield from _error(record, place, told)
        elif step.status == Status.SKIPPED:
            yield _skipped(step)
        elif step.refusal or step.labels.get(measures.FINISH_REASON) in ("content_filter", "refusal"):
            yield _refusal(record, place)
        elif step.labels.get(measures.FINISH_REASON) in ("length", "error", "max_tokens"):
            yield _cut_off(record, place)
        elif step.step_kind == StepKind.MODEL_CALL and step.labels.get(measures.OUTPUT_FORM) in _NO_ANSWER:
            yield _no_answer(record, place)
        yield from _bad_words(record, place)
    yield from _wrong_shape(record)
    yield from _loops(record)
    yield from _run(record, bool(told))
    yield from _fallbacks(record)
    yield from _feedback(record)
    yield from _answered_badly(record)


def _carried(record: Record) -> set[int]:
    """Steps in error only because a step within them was: the error began further in.

    Between the two may be steps that say nothing of it, as long as the outer one names no other error. What a call does
    by a request of no class of its own, such as an HTTP client's, says less than the call.
    """
    carried: set[int] = set()
    for place, step in enumerate(record.steps):
        if step.status != Status.ERROR:
            continue
        above, is_next = record.place.get(step.parent_step_id or ""), True
        seen = {place}
        while above is not None and above not in seen:
            seen.add(above)
            outer = record.steps[above]
            if is_next and _is_transport(step) and outer.status == Status.ERROR and outer.step_kind in _CALLS:
                carried.add(place)
                break
            if outer.status == Status.ERROR:
                if is_next or outer.error_type in (None, step.error_type):
                    carried.add(above)  # whatever class it was wrapped in
                break
            above, is_next = record.place.get(outer.parent_step_id or ""), False
    return carried


def _is_transport(step: Step) -> bool:
    return step.step_kind == StepKind.CUSTOM and (step.error_type is None or step.error_type.isdigit())


_CALLS = frozenset({StepKind.MODEL_CALL, StepKind.EMBEDDING, StepKind.RERANKER, StepKind.TOOL, StepKind.RETRIEVE})


def _error(record: Record, place: int, told: set[str]) -> Iterator[Finding]:
    step = record.steps[place]
    mended = record.is_mended(place)
    if not mended:
        if step.full_name in told:
            return  # what failed to its last attempt is one finding
        told.add(step.full_name)
    failed = sum(record.steps[each].status == Status.ERROR for each in record.attempts[step.full_name])
    often = f", {failed} times over" if failed > 1 and not mended else ""
    error = step.error_type or "an error of no recorded class"
    role = Role.HINT if mended else Role.TROUBLE if record.answered else Role.FAILURE
    facts = [step_fact(step, "status"), step_fact(step, "error_type"), *fallback_facts(record.run)]
    if step.retry_count:
        facts.insert(2, step_fact(step, "retry_count"))
    again = ", and was tried again with success" if mended else ""
    call = _writer(record, place)
    if call is not None and not mended:
        yield about_step(
            call,
            rule="wrote_what_failed",
            proof=Proof.ERROR,
            role=role,
            strength=0.88,
            headline=f"{who(call)} gave {step.full_name} what it could not take: {error}{often}.",
            fix=f"say in the prompt what {step.step_name} takes, and check it before the call",
            facts=[*facts, step_fact(call, "raw_output_ref")],
            mark=error,
        )
    yield about_step(
        step,
        rule="mended_error" if mended else "step_error",
        proof=Proof.ERROR,
        role=role,
        strength=0.35 if mended else 0.9 if call is None else 0.8,
        headline=f"{_subject(step)} failed with {error}{often}{again}.",
        fix=_what_to_do(step),
        facts=facts,
        mark=error,
    )


def _subject(step: Step) -> str:
    if step.step_kind == StepKind.MODEL_CALL:
        return who(step)
    kind = step.step_kind.replace("_", " ")
    return (
        f"The {'step' if kind == 'custom' else kind} {step.step_name}" if kind != step.step_name else f"The {kind} step"
    )


def _what_to_do(step: Step) -> str:
    error = (step.error_type or "").lower()
    if any(word in error for word in _RATE):
        return "quota, retry and pacing of these calls"
    if "timeout" in error or "deadline" in error:
        return "its time-out, and what it waits for"
    if step.step_kind == StepKind.TOOL:
        return "what it calls, what it is given, and how it retries"
    return (
        f"why it raises {step.error_type}" if step.error_type else "record error_type, so that the next answer names it"
    )


def _writer(record: Record, place: int) -> Step | None:
    """The model call whose output a tool could not take: read by reference, else the one just before its error."""
    step = record.steps[place]
    error = (step.error_type or "").lower()
    if step.step_kind != StepKind.TOOL or not any(word in error for word in _WRITTEN_BY_A_MODEL):
        return None
    for before in range(place - 1, max(-1, place - 1 - _REACH), -1):
        call = record.steps[before]
        if call.step_kind == StepKind.MODEL_CALL and call.status == Status.OK:
            by_reference = step.input_ref is not None and step.input_ref == call.raw_output_ref
            nothing_said = step.input_ref is None or call.raw_output_ref is None
            return call if by_reference or nothing_said or before == place - 1 else None
        if call.step_kind not in (StepKind.VALIDATE, StepKind.CUSTOM, StepKind.TOOL):
            return None
    return None


_REACH = 4


def _skipped(step: Step) -> Finding:
    return about_step(
        step,
        rule="skipped",
        proof=Proof.ERROR,
        role=Role.TROUBLE,
        strength=0.8,
        headline=f"{_subject(step)} was skipped.",
        fix="why it is left out for this input",
        facts=(step_fact(step, "status"),),
    )


def _refusal(record: Record, place: int) -> Finding:
    step = record.steps[place]
    mended = record.is_mended(place)
    return about_step(
        step,
        rule="mended_refusal" if mended else "refusal",
        proof=Proof.ERROR,
        role=Role.HINT if mended else Role.FAILURE,
        strength=0.35 if mended else 0.85,
        headline=f"{who(step)} refused to answer{', and answered when it was asked again' if mended else ''}.",
        fix="what the prompt asks, or the model that it is sent to",
        facts=(step_fact(step, "refusal"), step_fact(step, measures.FINISH_REASON)),
    )


def _cut_off(record: Record, place: int) -> Finding:
    step = record.steps[place]
    reason = step.labels[measures.FINISH_REASON]
    mended = record.is_mended(place) and record.last_attempt(step).labels.get(measures.FINISH_REASON) != reason
    what = "was cut off before it had finished" if reason != "error" else "stopped with an error"
    return about_step(
        step,
        rule="cut_off",
        proof=Proof.ERROR,
        role=Role.HINT if mended else Role.TROUBLE,
        strength=0.35 if mended else 0.88,
        headline=f"{who(step)} {what} (finish reason {reason}).",
        fix="the limit on output tokens (max_tokens), or a shorter task",
        facts=(step_fact(step, measures.FINISH_REASON), step_fact(step, "output_tokens")),
        mark=reason,
    )


_NO_ANSWER = {"empty": "gave an empty answer", "broken_json": "gave JSON that cannot be parsed"}


def _no_answer(record: Record, place: int) -> Finding:
    step = record.steps[place]
    form = step.labels[measures.OUTPUT_FORM]
    mended = record.is_mended(place) and record.last_attempt(step).labels.get(measures.OUTPUT_FORM) != form
    return about_step(
        step,
        rule="no_answer",
        proof=Proof.ERROR,
        role=Role.HINT if mended else Role.TROUBLE,
        strength=0.35 if mended else 0.7,
        headline=f"{who(step)} {_NO_ANSWER[form]}.",
        fix="what it is asked, and whether it is held to a schema",
        facts=(step_fact(step, measures.OUTPUT_FORM), step_fact(step, "output_tokens")),
        mark=form,
    )


def _bad_words(record: Record, place: int) -> Iterator[Finding]:
    """Labels that say by their value that something went wrong, whatever their key."""
    step = record.steps[place]
    for key, text in step.labels.items():
        if key == measures.FINISH_REASON or text.lower() not in _BAD_WORDS:
            continue
        last = record.last_attempt(step).labels.get(key) == text
        of_others = step.step_id in record.around or is_verdict(step.full_name)
        if of_others and text.lower() in _ENDS:
            continue
        if step.status == Status.ERROR and text.lower() in _FAILED:
            continue
        yield about_step(
            step,
            rule="label_says_so",
            proof=Proof.ERROR,
            role=Role.TROUBLE if last else Role.HINT,
            strength=0.2 if of_others else 0.72 if last else 0.3,
            headline=f"{_subject(step)} says {key} = {text}.",
            fix=f"why {key} is {text} here",
            facts=(step_fact(step, key),),
            mark=f"{key}={text}",
        )


# --- the shape of answers


def _wrong_shape(record: Record) -> Iterator[Finding]:
    for last in record.last_of_each(*_CHECKS):
        attempts = [record.steps[place] for place in record.attempts[last.full_name]]
        wrong = [step for step in attempts if errors_of(step)]
        if not wrong:
            continue
        mended = not errors_of(last) and last.status != Status.ERROR
        step = wrong[-1]
        author = _author(record, step)
        paths = frozenset(path for error in errors_of(step) if (path := error_path(error)))
        where = f" at {listed(paths)}" if paths else f": {listed(errors_of(step)[:3])}"
        ending = ", which a later attempt mended" if mended else f", {len(wrong)} times over" if len(wrong) > 1 else ""
        what = "The answer of " + who(author)[:1].lower() + who(author)[1:]
        yield about_step(
            author,
            rule="mended_shape" if mended else "wrong_shape",
            proof=Proof.ERROR,
            role=Role.HINT if mended else Role.FAILURE,
            strength=0.3 if mended else 0.5 if asked_in_vain(record, last) else 0.62,
            headline=f"{what} has the wrong shape{where}{ending}.",
            fix=f"what it is asked, or schema {step.schema_version or '(no version recorded)'} of {step.full_name}",
            facts=(step_fact(step, "validation_errors"), *fallback_facts(record.run)),
            fields=paths,
            mark=",".join(sorted(paths) or errors_of(step)[:3]),
        )


_CHECKS = tuple(kind.value for kind in StepKind if kind is not StepKind.EVIDENCE)


def _author(record: Record, validation: Step) -> Step:
    """The step whose output was validated: the one that made what the validation read, else the call before it."""
    if validation.step_kind in (StepKind.MODEL_CALL, StepKind.PARSE, StepKind.TOOL, StepKind.RETRIEVE):
        return validation
    before = record.place[validation.step_id]
    if validation.input_ref is not None:
        for step in reversed(record.steps[:before]):
            if validation.input_ref in (step.raw_output_ref, step.parsed_artifact_ref):
                return step
    for step in reversed(record.steps[:before]):
        if step.step_kind == StepKind.MODEL_CALL and step.status != Status.ERROR:
            return step
    tools = [step for step in record.steps[:before] if step.step_kind in (StepKind.TOOL, StepKind.PARSE)]
    return tools[-1] if tools else validation


# --- loops and budgets


def _loops(record: Record) -> Iterator[Finding]:
    """The same thing done again and again with the same input: whoever decides what comes next goes in a circle."""
    failed = sum(step.status == Status.ERROR for step in record.steps)
    for name, places in record.attempts.items():
        if len(places) < _AGAIN or failed >= len(places) - 1:
            continue  # what is tried again because it failed goes in no circle
        steps = [record.steps[place] for place in places]
        inputs = Counter(step.input_ref for step in steps if step.input_ref is not None)
        ref, times = inputs.most_common(1)[0] if inputs else ("", 0)
        stopped = _limit_hit(record)
        if times < _AGAIN and not stopped:
            continue
        if times < _AGAIN and len(places) * 3 < len(record.steps) / 2:
            continue
        yield about_step(
            _decider(record, steps[0]),
            rule="loop",
            proof=Proof.CONTRADICTION,
            role=Role.SIGN if times >= _AGAIN else Role.HINT,
            strength=0.86 if stopped else 0.8,
            headline=f"{name} was done {len(places)} times"
            f"{f', {times} of them with the same input' if times >= _AGAIN else ''}: the run went in a circle.",
            fix=f"when to stop calling {steps[0].step_name}, and what to do when it brings nothing new",
            facts=(Fact(name, "times", f"{len(places)}"), step_fact(steps[0], "input_ref", ref or None), *stopped),
            mark=name,
        )
        return


_AGAIN = 4


def _limit_hit(record: Record) -> list[Fact]:
    run = record.run
    errors = [run.error_type or "", *(step.error_type or "" for step in record.steps if step.status == Status.ERROR)]
    return [Fact("run", "error_type", error) for error in errors if any(word in error.lower() for word in _LIMITS)][:1]


def _decider(record: Record, step: Step) -> Step:
    """Who has a step done: the agent around it, else the model call before it, else itself."""
    parent = record.place.get(step.parent_step_id or "")
    if parent is not None:
        return record.steps[parent]
    return step


# --- the run as a whole


def _run(record: Record, steps_told: bool) -> Iterator[Finding]:
    run = record.run
    last = record.steps[-1] if record.steps else None
    at = next((step for step in reversed(record.steps) if step.full_name == run.error_step), None)
    if run.final_state == FinalState.FAILED or (run.final_state is None and run.status == Status.ERROR):
        error = run.error_type or "no recorded error"
        where = f" at {(at or last).full_name}" if last is not None else ""
        yield _about_run(
            record,
            rule="run_failed",
            role=Role.FAILURE,
            strength=0.3 if steps_told else 0.5,
            headline=f"The run failed{where} with {error}.",
            fix=(
                f"What led to it is not on record: record the step that raises {error}, with its error_type."
                if not steps_told
                else f"Why {error} ends the run."
            ),
            facts=(run_fact(run, "final_state"), run_fact(run, "error_type")),
            step=at or last,
            mark=error,
        )
    elif run.final_state in (FinalState.STOPPED, FinalState.PARTIAL, FinalState.HANDED_OVER):
        yield _about_run(
            record,
            rule="short_of_an_answer",
            role=Role.TROUBLE,
            strength=0.15,
            headline=f"The run ended as {run.final_state.replace('_', ' ')}, short of an answer.",
            fix=f"Why the run ends as {run.final_state}.",
            facts=(run_fact(run, "final_state"), *fallback_facts(run)),
            step=None,
            mark=run.final_state or "",
        )
    if run.verdict == Verdict.UNFINISHED:
        yield _about_run(
            record,
            rule="no_end",
            role=Role.TROUBLE,
            strength=0.4,
            headline=f"The run never came to an end; the last that is known of it is {last.full_name}."
            if last
            else "The run never came to an end, and none of its steps is on record.",
            fix="The process that ran it: whether it was killed or hangs"
            + (f", at or after {touch(last)}." if last else "."),
            facts=(run_fact(run, "verdict"), run_fact(run, "close_reason")),
            step=last,
        )


def _about_run(
    record: Record,
    *,
    rule: str,
    role: Role,
    strength: float,
    headline: str,
    fix: str,
    facts: tuple[Fact, ...],
    step: Step | None,
    mark: str = "",
) -> Finding:
    return Finding(
        rule=rule,
        proof=Proof.ERROR,
        role=role,
        boundary=step.step_kind if step is not None else StepKind.OUTPUT,
        headline=headline,
        fix=fix if step is None or touch(step) in fix else f"{touch(step)}. {fix}",
        thing=thing_of(step) if step is not None else f"workflow {record.run.workflow}",
        strength=strength,
        facts=facts,
        step_id=step.step_id if step is not None else None,
        step=step.full_name if step is not None else "",
        mark=mark,
    )


def _fallbacks(record: Record) -> Iterator[Finding]:
    """What the workflow itself says it did instead: that it had to is trouble unless it often does."""
    for kind, reasons in _by_kind(record).items():
        yield Finding(
            rule="fallback",
            proof=Proof.ERROR,
            role=Role.TROUBLE,
            boundary=StepKind.FALLBACK,
            headline=f"The workflow took a fallback: {kind.replace('_', ' ')}"
            f"{f', because of {listed(reasons)}' if reasons else ''}.",
            fix=f"What {listed(reasons) if reasons else 'made it necessary'} comes from.",
            thing=f"fallback {kind}",
            strength=0.2,
            facts=fallback_facts(record.run),
            mark=f"{kind}:{','.join(sorted(reasons))}",
        )


def _by_kind(record: Record) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in record.run.fallbacks:
        if not each.inferred:
            found.setdefault(each.kind, set()).update({each.reason} if each.reason else ())
    return found


def _feedback(record: Record) -> Iterator[Finding]:
    """What people made of the answer, where a label of the run says it."""
    roots = [step.labels for step in record.steps if step.parent_step_id not in record.place]
    for key, text in {pair for labels in (record.run.labels, *roots) for pair in labels.items()}:
        word = text.lower()
        if word in _COMPLAINTS or (
            is_feedback(key)
            and key.removeprefix(_EVENT).count(".") >= key.startswith(_EVENT)  # how often an event came says nothing
            and word not in _ENDS
            and (word in _BAD_WORDS or word in _DISLIKED or _is_yes(key, word))
        ):
            yield _about_run(
                record,
                rule="feedback",
                role=Role.FAILURE,
                strength=0.16,
                headline=f"People were not content with the answer: {key} = {text}.",
                fix=f"What led to the answer; nothing on record says why {key} is {text}.",
                facts=(Fact("run", key, text, record.run.run_id),),
                step=None,
                mark=f"{key}={word}",
            )


_EVENT = "event."


def _is_yes(key: str, word: str) -> bool:
    return any(bad in key.lower() for bad in ("complain", "reopen", "dispute")) and word in ("yes", "true", "1")


_COMPLAINTS = frozenset(
    {
        "complaint", "complained", "dispute", "disputed", "reopened", "chargeback", "thumbs_down", "unhappy",
        "dissatisfied", "disliked", "wrong_answer",
    }
)  # fmt: skip
_DISLIKED = frozenset(
    {"down", "thumbs_down", "negative", "bad", "no", "false", "0", "1", "-1", "poor", "unhappy", "dislike"}
)


def _answered_badly(record: Record) -> Iterator[Finding]:
    """Who gave the answer, for where people or evaluators found it bad and nothing before it stands out."""
    run = record.run
    call = record.call_before(None)
    blind = _least_known(record) if call is not None and call.output_tokens is not None else None
    if blind is not None:
        yield about_step(
            blind,
            rule="least_known",
            proof=Proof.MEASURE,
            role=Role.HINT,
            strength=0.48,
            headline=f"Nothing on record stands out; least is known of {blind.full_name}: neither what it was asked "
            "nor what it gave.",
            fix="hold what it gives against what it should, and record input_ref and raw_output_ref",
            facts=(step_fact(blind, "input_ref"), step_fact(blind, "raw_output_ref")),
        )
    if call is not None:
        yield about_step(
            call,
            rule="gave_the_answer",
            proof=Proof.MEASURE,
            role=Role.HINT,
            strength=0.34,
            headline=f"{who(call)} gave the answer; nothing on record before it stands out.",
            fix="what it is asked and shown, or the model",
            facts=(step_fact(call, "raw_output_ref"), run_fact(run, "final_state")),
        )


def _least_known(record: Record) -> Step | None:
    """The last tool or search that went well and of which nothing says what went in or came out."""
    for step in reversed(record.of_kind(StepKind.TOOL, StepKind.RETRIEVE)):
        if says_nothing(step):
            return step
    return None

"""Asking the model: render the prompt, call, validate; retry a wrong shape, then ask a stronger model, then give in."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from causeline.demo import model, work
from causeline.demo.cases import FIELDS
from causeline.demo.desk import Desk, Turns
from causeline.producers.steps import Step
from causeline.schemas import measures

_ATTEMPTS = 4

Asked = tuple[Mapping[str, str], Sequence[work.Chunk]]
"""Labels by field path, and what to read."""
Turned = Generator[None, None, model.ModelReply | None]


def extract(desk: Desk) -> Turns:
    """Get every field's value with its citation, or say how the run ends without."""
    asked = dict(desk.labels)
    if "omits_field" in desk.twist:
        asked.pop(desk.target, None)
    context = [] if "drops_context" in desk.twist else desk.context
    persona = desk.behaviour.persona
    for attempt in range(_ATTEMPTS):
        answer = yield from _ask(desk, "extract", (asked, context), persona, attempt)
        if answer is None:
            continue
        if answer.refused:
            desk.run.fallback("safe_message", reason="refusal")
            desk.over = "stopped"
            return
        errors = _validate(desk, answer)
        yield
        desk.take(answer)
        if not errors:
            return
        if attempt == 0:
            desk.run.fallback("retry", reason="schema_error")
        elif attempt == 1:
            desk.run.fallback("stronger_model", reason="schema_error")
            persona = model.STRONGER
        else:
            desk.run.fallback("partial_answer", reason="schema_error")
            desk.partial = True
            return
    if not desk.values:
        desk.over = "failed"


def ask_again(desk: Desk, path: str, label: str, context: list[work.Chunk]) -> Turns:
    """Ask for one field alone, by these pieces alone."""
    answer = yield from _ask(desk, f"again {path[2:]}", ({path: label}, context), desk.behaviour.persona, 1)
    if answer is not None and not answer.refused:
        desk.take(answer)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, what there is to read, of which model, and at which attempt (0 is the first)."""

    name: str
    labels: Mapping[str, str]
    context: Sequence[work.Chunk]
    persona: model.Persona
    attempt: int
    prompt: Mapping[str, Any]
    """The prompt's version anchors."""

    @property
    def context_refs(self) -> list[str]:
        return [chunk.ref for chunk in self.context]


def _ask(desk: Desk, name: str, asked: Asked, persona: model.Persona, attempt: int) -> Turned:
    version = "8" if "omits_field" in desk.twist else "7"
    prompt = {"prompt_id": f"{desk.case.workflow}-{name}", **desk.version(prompt_version=version)}
    question = _Question(name, *asked, persona, attempt, prompt)
    prompt_ref = _render(desk, question)
    yield
    answer = _call(desk, question, prompt_ref)
    yield
    if answer is None:
        desk.run.fallback("retry", reason="provider_error")
    return answer


def _render(desk: Desk, question: _Question) -> str | None:
    """The prompt as an artifact; None when there is nothing to read, and so nothing but the template."""
    ask = "Give these as JSON, each with its source: " + ", ".join(question.labels.values())
    pieces = [chunk.text for chunk in question.context]
    ref = desk.put("\n\n".join([ask, *pieces]).encode()) if pieces else None
    with desk.run.prompt(question.name, **question.prompt, context_refs=question.context_refs) as step:
        desk.clock.advance(1_500)
        if ref is not None:
            step.set(raw_output_ref=ref)
        step.label({measures.PROMPT_ASKS: ",".join(question.labels)} if len(question.labels) > 1 else {})
    return ref


def _call(desk: Desk, question: _Question, prompt_ref: str | None) -> model.ModelReply | None:
    persona, behaviour = question.persona, desk.behaviour
    shown = set(question.context_refs)
    asked = model.Asked(question.labels, question.context, [c for c in desk.chunks if c.ref not in shown])
    said: dict[str, Any] = {
        "model_provider": persona.provider,
        "model_name": persona.name,
        "model_policy": persona.policy,
        "temperature": persona.temperature,
        "top_p": persona.top_p,
        "seed": desk.case.index,
        "retry_count": question.attempt,
        "context_refs": question.context_refs,
        **question.prompt,
        **desk.version(system_fingerprint=persona.fingerprint),
    }
    with desk.run.model_call(question.name, **said) as step:
        if prompt_ref is not None:
            step.set(input_ref=prompt_ref)
        try:
            answer = model.call(
                asked, persona, desk.twist, behaviour.rng, attempt=question.attempt, stumbles=behaviour.stumbles
            )
        except (model.RateLimited, model.ProviderTimeout) as error:
            desk.clock.advance(900_000)
            step.set(status="error", error_type=type(error).__name__)
            step.label({measures.FINISH_REASON: "error"})
            return None
        desk.clock.advance(180_000 + 9_000 * answer.output_tokens)
        _say_answer(desk, step, answer, persona)
    return answer


def _say_answer(desk: Desk, step: Step, answer: model.ModelReply, persona: model.Persona) -> None:
    desk.answer_ref = desk.put(work.as_json({"values": answer.values, "cites": answer.cites}))
    step.set(
        raw_output_ref=desk.answer_ref,
        refusal=answer.refused,
        confidence=answer.confidence,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cost_usd=round((answer.input_tokens + 3 * answer.output_tokens) * persona.usd_per_token, 8),
    )
    step.label({measures.FINISH_REASON: answer.finish_reason})


def _validate(desk: Desk, answer: model.ModelReply) -> list[str]:
    checked = [field.path for field in FIELDS[desk.case.workflow]]
    version = "2026-03"
    if "validation_lax" in desk.twist:
        checked.remove(desk.target)
        version = "2025-11"
    with desk.run.validate("schema", input_ref=desk.answer_ref, **desk.version(schema_version=version)) as step:
        desk.clock.advance(900)
        if "validation_off" in desk.twist:
            step.set(status="skipped")
            return []
        errors = work.shape_errors(desk.case.workflow, answer.values, checked)
        step.label({measures.VALIDATED: ",".join(checked)})
        if errors:
            step.set(status="error", error_type="schema_mismatch", validation_errors=errors)
    return errors

"""From spans and log records to trace events. Pure: no clock, no store; the same span gives the same events.

A trace is a run, each span one of its steps; the root span also says the run's start and end. What a span says of
evidence, fallbacks, reviews and evaluations becomes events of their own.
"""

from collections.abc import Mapping
from typing import Any, Final

from causeline.producers.otlp.attributes import Sorted, sort_out
from causeline.producers.otlp.drafts import Content, Draft
from causeline.producers.otlp.from_content import add_facts_of_call, documents_of
from causeline.producers.otlp.kinds import kind_of
from causeline.producers.otlp.telemetry import Attributes, LogRecord, Origin, Span, SpanEvent, StatusCode, Value
from causeline.producers.otlp.values import READERS, find, plain
from causeline.producers.propagation import root_of
from causeline.schemas import otel_names as aliases
from causeline.schemas.events import MAX_LABELS, MAX_LIST
from causeline.schemas.ids import derived_id, is_run_id
from causeline.schemas.measures import FINISH_REASON
from causeline.schemas.vocabulary import (
    EvalOutcome,
    EventType,
    FallbackKind,
    FinalState,
    ReviewOutcome,
    Status,
    StepKind,
)

_NAME: Final = 256
_NO_NAME: Final = "unnamed"
_ALIKE: Final = {
    "tool-calls": "tool_calls", "tool_call": "tool_calls", "tool_use": "tool_calls", "end_turn": "stop",
    "stop_sequence": "stop", "max_tokens": "length", "content-filter": "content_filter",
}  # fmt: skip
"""Finish reasons that are said in several ways."""
_REFUSALS: Final = frozenset({"content_filter", "refusal", "safety"})
_GROUNDING: Final = ("ground", "faithful", "citation", "provenance", "attribution")
"""Evaluators with such a name measure how well an answer is supported by its sources."""
_PASSED: Final = frozenset({"pass", "passed", "true", "correct", "relevant", "grounded", "factual", "yes"})
_FAILED: Final = frozenset({"fail", "failed", "false", "incorrect", "irrelevant", "ungrounded", "hallucinated", "no"})
_WHOLE_ANSWER: Final = "$"
_STATES: Final = frozenset(word.value for word in FinalState)
_FALLBACKS: Final = frozenset(word.value for word in FallbackKind)
_OUTCOMES: Final = frozenset(word.value for word in ReviewOutcome)
_EVAL_OUTCOMES: Final = frozenset(word.value for word in EvalOutcome)


def of_span(span: Span, default_project: str) -> Draft:
    """The events of a span."""
    said = span.attributes
    end_us = max(span.start_us, span.end_us)
    draft = Draft(
        span.trace_id,
        span.span_id,
        project_of(span.origin, default_project),
        _workflow_of(span),
        span.start_us or end_us,
    )
    sorted_out = sort_out(said)
    draft.dropped = sorted_out.dropped
    linked = said.get(aliases.LINKED_RUN)
    if isinstance(linked, str) and is_run_id(linked):
        draft.trace_id = linked
        _afterthoughts(sorted_out, draft, end_us)
        return draft
    for event in span.events:
        _note_content(event.name, event.attributes, None, sorted_out, draft)
    step = _step(span, sorted_out, end_us)
    if span.parent_id is None:
        _run(span, step, sorted_out, draft, end_us)
    if aliases.RUN_ID not in said:
        _add_step(span, step, sorted_out, draft, end_us)
    if sorted_out.fallback.get("fallback_taken") in _FALLBACKS:
        draft.add(EventType.FALLBACK_TAKEN, end_us, _within(step) | sorted_out.fallback)
    if sorted_out.review.get("review_outcome") in _OUTCOMES:
        draft.add(EventType.REVIEW_RECORDED, end_us, sorted_out.review)
    _own_events(span, step, draft, end_us)
    for place, event in enumerate(span.events):
        if event.name == aliases.EVALUATION_EVENT:
            _evaluation(event.attributes, event.at_us or end_us, draft, told_apart=str(place), step_id=span.span_id)
    return draft


def of_log(log: LogRecord, default_project: str) -> Draft | None:
    """The events of a log record; None for one that says nothing of a step."""
    draft = Draft(
        log.trace_id, log.span_id, project_of(log.origin, default_project), _service_of(log.origin), log.at_us
    )
    told_apart = derived_id(log.name, str(log.at_us), str(plain(log.body)))[:16]
    if log.name == aliases.EVALUATION_EVENT:
        _evaluation(log.attributes, log.at_us, draft, told_apart=told_apart, step_id=log.span_id)
        return draft
    found = Sorted()
    if not _note_content(log.name, log.attributes, log.body, found, draft):
        return None
    step: dict[str, Any] = {
        "step_id": log.span_id,
        "step_kind": StepKind.MODEL_CALL,
        "step_name": log.name,
        "started_at": log.at_us,
        "status": Status.OK,
        "input_ref": Content.of(found.inputs),
        "raw_output_ref": Content.of(found.outputs),
    }
    step |= sort_out(log.attributes).step
    draft.add(EventType.STEP_FINISHED, log.at_us, step, told_apart)
    return draft


def project_of(origin: Origin, default: str) -> str:
    """Whose run it is."""
    return READERS["text"](find(origin.resource, aliases.PROJECT)) or default


def _service_of(origin: Origin) -> str:
    return READERS["text"](origin.resource.get(aliases.SERVICE)) or "unknown"


def _workflow_of(span: Span) -> str:
    named: str | None = READERS["text"](find(span.attributes, aliases.WORKFLOW))
    if named is None and span.parent_id is None:
        named = span.name[:_NAME]
    return named or _service_of(span.origin)


# --- steps


def _step(span: Span, found: Sorted, end_us: int) -> dict[str, Any]:
    said = span.attributes
    step: dict[str, Any] = {
        "step_id": span.span_id,
        "parent_step_id": None if span.parent_id == root_of(span.trace_id) else span.parent_id,
        "step_kind": kind_of(said),
        "step_name": READERS["text"](said.get(aliases.STEP_NAME)) or span.name[:_NAME] or _NO_NAME,
        "started_at": span.start_us or end_us,
        "status": Status.ERROR if span.status is StatusCode.ERROR else Status.OK,
        **found.step,
    }
    if span.status is StatusCode.ERROR:
        step.setdefault("error_type", _exception(span.events))
    elif "error_type" in step and span.status is StatusCode.UNSET:
        step["status"] = Status.ERROR
    step.setdefault("input_ref", Content.of(found.inputs))
    step.setdefault("raw_output_ref", Content.of(found.outputs))
    if step["step_kind"] is StepKind.MODEL_CALL:
        add_facts_of_call(said, step)
    if found.retrieved or aliases.RETRIEVED_BY_ID in said or step["step_kind"] is StepKind.RETRIEVE:
        documents = _documents(documents_of(said), found.retrieved)
        if documents:
            step.setdefault("context_refs", documents)
    _finish_reason(said, step, found)
    step["labels"] = _labels(span, found)
    return step


def _add_step(span: Span, step: dict[str, Any], found: Sorted, draft: Draft, end_us: int) -> None:
    kind = step["step_kind"]
    evidence = found.evidence
    if kind is StepKind.EVIDENCE and "field_path" in evidence:
        own = {name: step[name] for name in ("step_id", "parent_step_id", "step_kind", "step_name", "labels")}
        evidence.setdefault("evidence_required", True)
        draft.add(EventType.EVIDENCE_CHECKED, end_us, own | evidence)
        return
    status = span.attributes.get(aliases.STEP_STATUS)
    if status == aliases.UNFINISHED:
        started = {name: step[name] for name in ("step_id", "parent_step_id", "step_kind", "step_name", "started_at")}
        draft.add(EventType.STEP_STARTED, step["started_at"], started | {"labels": step["labels"]})
        return
    if status == Status.SKIPPED:
        step["status"] = Status.SKIPPED
    draft.add(EventType.STEP_FINISHED, end_us, step)
    if "eval_case_id" in found.eval:
        draft.add(EventType.EVAL_RECORDED, end_us, _eval_fields(found.eval))
    if kind is StepKind.EVAL:
        _evaluation(_as_result(span), end_us, draft, told_apart="", step_id=span.span_id, given=step.get("input_ref"))


def _run(span: Span, step: dict[str, Any], found: Sorted, draft: Draft, end_us: int) -> None:
    said = span.attributes
    failed = step["status"] is Status.ERROR
    state = READERS["text"](said.get(aliases.FINAL_STATE))
    ours = aliases.RUN_ID in said
    labels = found.labels if ours else _origin_labels(span)
    draft.add(
        EventType.RUN_STARTED,
        step["started_at"],
        {"input_ref": step.get("input_ref"), "labels": labels},
    )
    if ours and state is None:  # a run of ours whose end never came
        return
    draft.add(
        EventType.RUN_FINISHED,
        end_us,
        {
            "final_state": state if state in _STATES else FinalState.FAILED if failed else FinalState.ANSWERED,
            "status": step["status"],
            "error_type": step.get("error_type"),
            "raw_output_ref": step.get("raw_output_ref"),
        },
    )


def _origin_labels(span: Span) -> dict[str, str]:
    said = {
        "service.name": _service_of(span.origin),
        aliases.SCOPE_LABEL: span.origin.scope[:_NAME],
        "conversation.id": READERS["text"](find(span.attributes, aliases.CONVERSATION)),
    }
    return {key: text for key, text in said.items() if text}


def _own_events(span: Span, step: Mapping[str, Any], draft: Draft, end_us: int) -> None:
    """What the exporter tells as span events."""
    for place, event in enumerate(span.events):
        if event.name == aliases.EVIDENCE_EVENT:
            checked = sort_out(event.attributes).evidence
            if "field_path" in checked:
                own = {"step_id": span.span_id, "step_kind": StepKind.EVIDENCE, "step_name": step["step_name"]}
                checked.setdefault("evidence_required", True)
                draft.add(EventType.EVIDENCE_CHECKED, event.at_us or end_us, own | checked, str(place))
        elif event.name == aliases.FALLBACK_EVENT:
            fallback = sort_out(event.attributes).fallback
            if fallback.get("fallback_taken") in _FALLBACKS:
                where = {} if aliases.RUN_ID in span.attributes else _within(step)
                draft.add(EventType.FALLBACK_TAKEN, event.at_us or end_us, where | fallback, str(place))


def _afterthoughts(found: Sorted, draft: Draft, at_us: int) -> None:
    """What a span says of another run."""
    if found.review.get("review_outcome") in _OUTCOMES:
        draft.add(EventType.REVIEW_RECORDED, at_us, found.review)
    if "eval_case_id" in found.eval:
        draft.add(EventType.EVAL_RECORDED, at_us, _eval_fields(found.eval))


def _within(step: Mapping[str, Any]) -> dict[str, Any]:
    return {name: step[name] for name in ("step_id", "step_kind", "step_name")}


def _exception(events: tuple[SpanEvent, ...] | Any) -> str | None:
    for event in events:
        if event.name == aliases.EXCEPTION_EVENT:
            found: str | None = READERS["text"](event.attributes.get(aliases.EXCEPTION_TYPE))
            return found
    return None


def _finish_reason(said: Attributes, step: dict[str, Any], found: Sorted) -> None:
    reasons = READERS["phrases"](find(said, aliases.FINISH_REASONS))
    if not reasons:
        return
    reason = _ALIKE.get(reasons[0].lower(), reasons[0].lower())
    found.labels.setdefault(FINISH_REASON, reason[:_NAME])
    if reason in _REFUSALS:
        step.setdefault("refusal", True)


def _labels(span: Span, found: Sorted) -> dict[str, str]:
    labels = found.labels
    if span.end_us < span.start_us:
        labels["otel.end_before_start"] = "true"
    for place, (trace, linked) in enumerate(span.links[:4]):
        labels[aliases.OTEL_LINK_LABEL.format(place)] = f"{trace}:{linked}"
    if len(labels) > MAX_LABELS:
        labels = dict(list(labels.items())[:MAX_LABELS])
    return labels


def _documents(by_id: Value, flat: list[tuple[str, Value]]) -> tuple[Any, ...]:
    """References to the documents a retrieval gave: their ids, else their content."""
    by_id = plain(by_id)
    if isinstance(by_id, str):
        by_id = READERS["refs"](by_id) or [by_id]
    documents: list[tuple[Value, list[tuple[str, Value]]]] = []
    if isinstance(by_id, list | tuple):
        for item in by_id:
            members = item if isinstance(item, dict) else {"id": item}
            documents.append((members.get("id"), list(members.items())))
    numbered: dict[str, dict[str, Value]] = {}
    for key, value in flat:
        _, _, rest = key.partition("documents.")
        number, _, name = rest.partition(".")
        numbered.setdefault(number, {})[name.removeprefix("document.")] = value
    for number in sorted(numbered, key=lambda text: (len(text), text)):
        members = numbered[number]
        documents.append((members.get("id"), list(members.items())))
    found = [READERS["ref"](plain(given)) or Content.of(parts) for given, parts in documents]
    return tuple(each for each in found if each is not None)[:MAX_LIST]


# --- evaluations and reviews


def _evaluation(
    said: Attributes, at_us: int, draft: Draft, *, told_apart: str, step_id: str, given: Content | str | None = None
) -> None:
    name = READERS["text"](plain(said.get("gen_ai.evaluation.name")))
    if name is None:
        return
    score = READERS["score"](plain(said.get("gen_ai.evaluation.score.value")))
    label = READERS["text"](plain(said.get("gen_ai.evaluation.score.label")))
    draft.add(EventType.EVAL_RECORDED, at_us, _eval_fields({"eval_case_id": name, "eval_outcome": label}), told_apart)
    if score is not None and any(word in name.lower() for word in _GROUNDING):
        checked = {
            "step_id": derived_id(draft.trace_id, draft.span_id, name, told_apart)[:16],
            "parent_step_id": step_id,
            "step_kind": StepKind.EVIDENCE,
            "step_name": name,
            "field_path": _WHOLE_ANSWER,
            "evidence_required": True,
            "provenance_score": score,
            "evidence_refs": (given or f"span:{step_id}",),
        }
        draft.add(EventType.EVIDENCE_CHECKED, at_us, checked, told_apart)


def _as_result(span: Span) -> dict[str, Value]:
    """An evaluator's span as the evaluation event it could have been."""
    said = span.attributes
    return {
        "gen_ai.evaluation.name": said.get("gen_ai.evaluation.name") or said.get("eval.name") or span.name,
        "gen_ai.evaluation.score.value": said.get("gen_ai.evaluation.score.value", said.get("eval.score")),
        "gen_ai.evaluation.score.label": said.get("gen_ai.evaluation.score.label") or said.get("eval.label"),
    }


def _eval_fields(fields: dict[str, Any]) -> dict[str, Any]:
    label = str(fields.get("eval_outcome") or "").lower()
    outcome: str | None = None
    if label in _EVAL_OUTCOMES:
        outcome = label
    elif label in _PASSED:
        outcome = EvalOutcome.PASSED
    elif label in _FAILED:
        outcome = EvalOutcome.FAILED
    return {"eval_case_id": fields["eval_case_id"], "eval_outcome": outcome}


# --- content in events and logs


def _note_content(name: str, said: Attributes, body: Value, found: Sorted, draft: Draft) -> bool:
    """Take the content that a span event or a log record carries; False when it carries none that is known."""
    parts = [(f"{name}:{key}", value) for key, value in said.items() if key not in _ABOUT]
    if body not in (None, ""):
        parts.append((name, body))
    if name in aliases.INPUT_EVENTS:
        found.inputs += _numbered(parts, len(found.inputs))
    elif name in aliases.OUTPUT_EVENTS:
        found.outputs += _numbered(parts, len(found.outputs))
    elif name in aliases.DETAIL_EVENTS:
        inner = sort_out(said)
        found.inputs += inner.inputs
        found.outputs += inner.outputs
    elif name not in _OWN_EVENTS:
        draft.dropped += [key for key, _ in parts if name != aliases.EVALUATION_EVENT]
        return False
    else:
        return False
    return True


_OWN_EVENTS: Final = frozenset({aliases.EVIDENCE_EVENT, aliases.GAP_EVENT, aliases.FALLBACK_EVENT})
_ABOUT: Final = frozenset({"event.name", "gen_ai.system", "gen_ai.provider.name"})


def _numbered(parts: list[tuple[str, Value]], already: int) -> list[tuple[str, Value]]:
    """Several messages of one kind keep their order."""
    return [(f"{already + place:03d}:{key}", value) for place, (key, value) in enumerate(parts)]

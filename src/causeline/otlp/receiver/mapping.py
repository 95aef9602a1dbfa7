"""From spans and log records to trace events. Pure: no clock, no store; the same span gives the same events.

A trace is a run, each span one of its steps; a span that enters (its root, or one whose parent is in another process)
also says the run's start and end. What a span says of evidence, fallbacks, reviews and evaluations becomes events of
their own; what has no place of its own is kept with the step, whole, and never travels.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from causeline.otlp.receiver import evaluations, facts, plain_words
from causeline.otlp.receiver.attributes import Sorted, sort_out
from causeline.otlp.receiver.drafts import Content, Draft
from causeline.otlp.receiver.errors import error_of
from causeline.otlp.receiver.from_content import documents
from causeline.otlp.receiver.kinds import WITH_MODEL, kind_of
from causeline.otlp.receiver.rules import Rules
from causeline.otlp.receiver.run_words import (
    enters,
    of_every_event,
    project_of,
    run_labels,
    service_of,
    workflow_of,
)
from causeline.otlp.receiver.telemetry import LogRecord, Span, StatusCode, Value
from causeline.otlp.receiver.values import READERS, plain, step_name
from causeline.producers.propagation import root_of
from causeline.schemas import otel_names as names
from causeline.schemas.events import MAX_LABELS
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
    is_bad,
)

_NO_NAME: Final = "unnamed"
_NAME: Final = 256
_ALIKE: Final = {
    "tool-calls": "tool_calls", "tool_call": "tool_calls", "tool_use": "tool_calls", "end_turn": "stop",
    "stop_sequence": "stop", "max_tokens": "length", "content-filter": "content_filter",
}  # fmt: skip
"""Finish reasons that are said in several ways."""
_REFUSALS: Final = frozenset({"content_filter", "refusal", "safety"})
_OF_THE_MODEL: Final = (
    "model_provider", "model_name", "request_model", "temperature", "top_p", "seed", "system_fingerprint",
)  # fmt: skip
_OF_NO_FIELD: Final = frozenset({"finish_reason", "level"})
_STATES: Final = frozenset(word.value for word in FinalState)
_FALLBACKS: Final = frozenset(word.value for word in FallbackKind)
_OUTCOMES: Final = frozenset(word.value for word in ReviewOutcome)
_EVAL_OUTCOMES: Final = frozenset(word.value for word in EvalOutcome)
_MOST_LINKS: Final = 4
_root_of = lru_cache(maxsize=1024)(root_of)


def of_span(span: Span, rules: Rules, origin: Content | None = None) -> Draft:
    """The events of a span; `origin` is what its resource and its scope say that has no place of its own."""
    end_us = max(span.start_us, span.end_us)
    found = sort_out(span.attributes, rules.labels)
    own = span.attributes.get(names.STEP_NAME)
    models = (found.step.get("model_name"), found.step.get("request_model"))
    name = READERS["phrase"](own) if isinstance(own, str) else step_name(span.name, *models)
    name = (name or "")[:_NAME] or _NO_NAME
    workflow = workflow_of(span, found, name)
    draft = Draft(
        span.trace_id, span.span_id, project_of(span.origin, rules.project), workflow.name, span.start_us or end_us
    )
    draft.of_all = of_every_event(found, rules, workflow)
    linked = span.attributes.get(names.LINKED_RUN)
    if isinstance(linked, str) and is_run_id(linked):
        draft.trace_id = linked
        _afterthoughts(found, draft, end_us)
        return draft
    for event in span.events:
        _note_content(event.name, event.attributes, None, found)
    step = _step(span, name, found, end_us, rules)
    _own_events(span, step, draft, end_us)
    for place, event in enumerate(span.events):
        if event.name == names.EVALUATION_EVENT:
            at_us = event.at_us or end_us
            evaluations.of_event(event.attributes, at_us, draft, told_apart=str(place), step_id=span.span_id)
    if step["step_kind"] is StepKind.EVAL or "name" in found.evaluation:
        evaluations.of_span(span, found, end_us, draft, step.get("input_ref"))
    is_run = names.RUN_ID in span.attributes
    step.setdefault("attributes_ref", Content.of(_rest(span, name, found, origin), is_object=True))
    if enters(span):
        _run(span, step, found, draft, rules)
    if not is_run:
        _add_step(span, step, found, draft, end_us)
    if found.fallback.get("fallback_taken") in _FALLBACKS:
        draft.add(EventType.FALLBACK_TAKEN, end_us, _within(step) | found.fallback)
    if found.review.get("review_outcome") in _OUTCOMES:
        draft.add(EventType.REVIEW_RECORDED, end_us, found.review)
    return draft


def of_log(log: LogRecord, rules: Rules) -> Draft | None:
    """The events of a log record; None for one that says nothing of a step."""
    workflow = service_of(log.origin) or "unknown"
    draft = Draft(log.trace_id, log.span_id, project_of(log.origin, rules.project), workflow, log.at_us)
    draft.of_all = {"workflow_source": "service" if workflow != "unknown" else "span"}
    draft.identity = log.identity
    told_apart = log.identity[:16] or derived_id(log.name, str(log.at_us), str(plain(log.body)))[:16]
    if log.name == names.EVALUATION_EVENT:
        evaluations.of_event(log.attributes, log.at_us, draft, told_apart=told_apart, step_id=log.span_id or None)
        return draft
    found = Sorted()
    step: dict[str, Any] = {
        "step_id": log.span_id,
        "step_kind": StepKind.MODEL_CALL,
        "step_name": plain_words.name(log.name) or _NO_NAME,
        "started_at": log.at_us,
        "status": Status.OK,
    }
    if log.name in names.EXCEPTION_LOGS or names.EXCEPTION_TYPE in log.attributes:
        kind = READERS["word"](plain(log.attributes.get(names.EXCEPTION_TYPE)))
        rest = [(f"log:{key}", value) for key, value in log.attributes.items()]
        step |= {"step_kind": StepKind.CUSTOM, "error_type": kind}  # whether it failed by it, its span says
        step["attributes_ref"] = Content.of([*rest, ("log:body", log.body)], is_object=True)
    elif _note_content(log.name, log.attributes, log.body, found):
        said = sort_out(log.attributes)
        step |= {"input_ref": Content.of(found.inputs), "raw_output_ref": Content.of(found.outputs)}
        step |= {field: value for field, value in said.step.items() if field not in _OF_NO_FIELD}
        step["attributes_ref"] = Content.of(dict([*found.rest, *said.rest]).items(), is_object=True)
    else:
        return None
    draft.add(EventType.STEP_FINISHED, log.at_us, step, told_apart)
    return draft


# --- steps


def _step(span: Span, name: str, found: Sorted, end_us: int, rules: Rules) -> dict[str, Any]:
    kind, original = kind_of(span.attributes)
    said = found.step
    reason, level = said.pop("finish_reason", None), said.pop("level", None)
    step: dict[str, Any] = {
        "step_id": span.span_id,
        "parent_step_id": None if span.parent_id == _root_of(span.trace_id) else span.parent_id,
        "step_kind": kind,
        "step_name": name,
        "original_kind": original,
        "started_at": span.start_us or end_us,
        "status": Status.ERROR if span.status is StatusCode.ERROR or level == "ERROR" else Status.OK,
        **said,
    }
    if step["status"] is Status.ERROR:
        step.setdefault("error_type", error_of(span))
    elif "error_type" in step and span.status is StatusCode.UNSET:
        step["status"] = Status.ERROR
    step.setdefault("input_ref", Content.of(found.inputs))
    step.setdefault("raw_output_ref", Content.of(found.outputs))
    if kind is StepKind.MODEL_CALL:
        for field, value in found.call.items():
            step.setdefault(field, value)
    else:
        found.rest += [(f"call.{field}", value) for field, value in found.call.items()]
    if kind not in WITH_MODEL and names.STEP_KIND not in span.attributes:
        found.rest += [(f"step.{field}", step.pop(field)) for field in _OF_THE_MODEL if field in step]
    if (
        found.retrieved
        or kind in (StepKind.RETRIEVE, StepKind.RERANKER)
        or "gen_ai.retrieval.documents" in span.attributes
    ):
        given = documents(span.attributes, found.retrieved, span.events)
        if given.refs:
            step.setdefault("context_refs", given.refs)
        if given.refs or given.is_empty or facts.is_nothing(found.outputs):
            facts.of_documents(len(given.refs), given.scores, found.labels)
    _finish_reason(reason, step, found)
    step["labels"] = _labels(span, found, rules)
    return step


def _add_step(span: Span, step: dict[str, Any], found: Sorted, draft: Draft, end_us: int) -> None:
    kind = step["step_kind"]
    evidence = found.evidence
    of_any = ("step_id", "parent_step_id", "step_kind", "step_name", "labels", "original_kind", "attributes_ref")
    if kind is StepKind.EVIDENCE and "field_path" in evidence:
        evidence.setdefault("evidence_required", True)
        draft.add(EventType.EVIDENCE_CHECKED, end_us, {name: step[name] for name in of_any} | evidence)
        return
    status = span.attributes.get(names.STEP_STATUS)
    if status == names.UNFINISHED:
        started = {name: step[name] for name in (*of_any, "started_at")}
        draft.add(EventType.STEP_STARTED, step["started_at"], started)
        return
    if status == Status.SKIPPED:
        step["status"] = Status.SKIPPED
    draft.add(EventType.STEP_FINISHED, end_us, step)
    if "eval_case_id" in found.eval:
        draft.add(EventType.EVAL_RECORDED, end_us, _eval_fields(found.eval))


def _run(span: Span, step: dict[str, Any], found: Sorted, draft: Draft, rules: Rules) -> None:
    end_us = max(span.start_us, span.end_us)
    state = READERS["text"](span.attributes.get(names.FINAL_STATE))
    ours = names.RUN_ID in span.attributes
    elsewhere = span.parent_id
    started = {
        "input_ref": step.get("input_ref"),
        "labels": found.labels if ours else run_labels(span, found, rules),
        "parent_step_id": elsewhere,
    }
    draft.add(EventType.RUN_STARTED, step["started_at"], started)
    if ours and state is None:  # a run of ours whose end never came
        return
    failed = step["status"] is Status.ERROR
    ended = {
        "final_state": state if state in _STATES else FinalState.FAILED if failed else FinalState.ANSWERED,
        "status": step["status"],
        "error_type": step.get("error_type"),
        "raw_output_ref": step.get("raw_output_ref"),
        "parent_step_id": elsewhere,
    }
    draft.add(EventType.RUN_FINISHED, end_us, ended)


def _own_events(span: Span, step: Mapping[str, Any], draft: Draft, end_us: int) -> None:
    """What the exporter tells as span events."""
    for place, event in enumerate(span.events):
        if event.name == names.EVIDENCE_EVENT:
            checked = sort_out(event.attributes).evidence
            if "field_path" in checked:
                own = {"step_id": span.span_id, "step_kind": StepKind.EVIDENCE, "step_name": step["step_name"]}
                checked.setdefault("evidence_required", True)
                draft.add(EventType.EVIDENCE_CHECKED, event.at_us or end_us, own | checked, str(place))
        elif event.name == names.FALLBACK_EVENT:
            fallback = sort_out(event.attributes).fallback
            if fallback.get("fallback_taken") in _FALLBACKS:
                where = {} if names.RUN_ID in span.attributes else _within(step)
                draft.add(EventType.FALLBACK_TAKEN, event.at_us or end_us, where | fallback, str(place))


def _afterthoughts(found: Sorted, draft: Draft, at_us: int) -> None:
    """What a span says of another run."""
    if found.review.get("review_outcome") in _OUTCOMES:
        draft.add(EventType.REVIEW_RECORDED, at_us, found.review)
    if "eval_case_id" in found.eval:
        draft.add(EventType.EVAL_RECORDED, at_us, _eval_fields(found.eval))


def _within(step: Mapping[str, Any]) -> dict[str, Any]:
    return {name: step[name] for name in ("step_id", "step_kind", "step_name")}


def _finish_reason(said: str | None, step: dict[str, Any], found: Sorted) -> None:
    if said is None:
        return
    reason = _ALIKE.get(said, said)
    found.labels.setdefault(FINISH_REASON, reason)
    if reason in _REFUSALS:
        step.setdefault("refusal", True)


def _labels(span: Span, found: Sorted, rules: Rules) -> dict[str, str]:
    labels = found.labels
    if (agent := found.run.get("agent")) is not None:
        labels.setdefault("gen_ai.agent.name", agent)
    if span.end_us < span.start_us:
        labels["otel.end_before_start"] = "true"
    for place, (trace, linked) in enumerate(span.links[:_MOST_LINKS]):
        labels[names.OTEL_LINK_LABEL.format(place)] = f"{trace}:{linked}"
    if names.STEP_KIND not in span.attributes:  # what the Tracer says of a step it has said wholly
        facts.of_content(found.inputs, found.outputs, rules, labels)
        facts.of_events(span.events, _WITH_PLACE, labels)
        facts.of_unheard(found.unheard, rules, labels)
    if len(labels) > MAX_LABELS:
        labels = dict(list(labels.items())[:MAX_LABELS])
    return labels


def _eval_fields(fields: dict[str, Any]) -> dict[str, Any]:
    label = str(fields.get("eval_outcome") or "").lower()
    outcome: str | None = label if label in _EVAL_OUTCOMES else None
    if outcome is None and (failed := is_bad(label)) is not None:
        outcome = EvalOutcome.FAILED if failed else EvalOutcome.PASSED
    return {"eval_case_id": fields["eval_case_id"], "eval_outcome": outcome}


# --- content in events and logs, and what has no place of its own


def _note_content(name: str, said: Mapping[str, Value], body: Value, found: Sorted) -> bool:
    """Take the content that a span event or a log record carries; False when it carries none that is known."""
    parts = [(f"{name}:{key}", value) for key, value in said.items() if key not in _ABOUT]
    if body not in (None, ""):
        parts.append((name, body))
    if name in names.INPUT_EVENTS:
        found.inputs += _numbered(parts, len(found.inputs))
    elif name in names.OUTPUT_EVENTS or name == names.RESULT_EVENT:
        found.outputs += _numbered(parts, len(found.outputs))
    elif name in names.DETAIL_EVENTS:
        inner = sort_out(said)
        found.inputs += inner.inputs
        found.outputs += inner.outputs
        found.rest += inner.rest
        if body not in (None, ""):
            found.rest.append((name, body))
    else:
        return False
    return True


_ABOUT: Final = frozenset({"event.name", "gen_ai.system", "gen_ai.provider.name"})
_WITH_PLACE: Final = frozenset(
    {
        names.EVIDENCE_EVENT, names.GAP_EVENT, names.FALLBACK_EVENT, names.EVALUATION_EVENT, names.RESULT_EVENT,
        *names.INPUT_EVENTS, *names.OUTPUT_EVENTS, *names.DETAIL_EVENTS,
    }
)  # fmt: skip


def _rest(span: Span, name: str, found: Sorted, origin: Content | None) -> list[tuple[str, Value | Content]]:
    """All that a span says and that has no place of its own, by key."""
    rest: list[tuple[str, Value | Content]] = [*found.rest, *span.said_besides]
    if span.name != name and names.STEP_NAME not in span.attributes:
        rest.append(("span.name", span.name))
    for place, event in enumerate(span.events):
        if event.name not in _WITH_PLACE:
            rest.append((f"event.{place}:name", event.name))
            rest += [(f"event.{place}:{key}", value) for key, value in event.attributes.items()]
    user = found.run.get("user")
    if user is not None:
        rest.append(("user", user))
    session = found.run.get("session")
    if session is not None and plain_words.word(session) is None:
        rest.append(("session", session))
    if origin is not None:
        rest.append(("resource", origin))
    return rest


def _numbered(parts: list[tuple[str, Value]], already: int) -> list[tuple[str, Value]]:
    """Several messages of one kind keep their order."""
    return [(f"{already + place:03d}:{key}", value) for place, (key, value) in enumerate(parts)]

"""A run as a trace: its root span, a span a step, and what people and gates said of it later as linked traces.

Ids are those of the run and its steps, and those made up are made from them: a run that is sent twice is the same
spans twice, which a backend that keys by trace and span id shows once.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from causeline.otlp.exporter import span_attributes as attributes
from causeline.otlp.exporter.span_attributes import Said, Style, pairs
from causeline.otlp.exporter.span_kinds import RUN, STEPS, span_name
from causeline.schemas import otel_names as names
from causeline.schemas.ids import derived_id
from causeline.schemas.run import Evidence, Run, Step
from causeline.schemas.vocabulary import StepKind

_ERROR = "error"
_EPOCH_NS = 0


def resource_of(run: Run) -> Resource:
    """The resource that a run's spans belong to: the workflow is the service."""
    said: Said = {"service.name": run.labels.get("service.name", run.workflow), "causeline.project": run.project}
    return Resource(attributes=pairs(said))


def spans_of(run: Run, style: Style = Style.BOTH) -> list[Span]:
    """The spans of a run's own trace, root first; times are nanoseconds, UTC."""
    root_id = derived_id(run.run_id)[:16]
    known = {step.step_id for step in run.steps}
    events: dict[str, list[Span.Event]] = defaultdict(list)
    homeless = []
    for evidence in run.evidence:
        home = evidence.step_id if evidence.step_id in known else None
        if home is None:
            homeless.append(evidence)
        else:
            events[home].append(_event(names.EVIDENCE_EVENT, evidence.occurred_at, attributes.of_evidence(evidence)))
    homes = {each.event_id: each.step_id or root_id for each in run.evidence}
    times = {each.event_id: each.occurred_at for each in run.evidence}
    for gap in run.gaps:
        home = homes.get(gap.event_id, root_id)
        events[home].append(_event(names.GAP_EVENT, times.get(gap.event_id), attributes.of_gap(gap)))
    for fallback in run.fallbacks:
        if not fallback.inferred:  # whoever receives the steps infers it again
            home = fallback.step_id if fallback.step_id in known else root_id
            events[home].append(_event(names.FALLBACK_EVENT, fallback.occurred_at, attributes.of_fallback(fallback)))
    for evaluation in run.evaluations:
        home = evaluation.step_id if evaluation.step_id in known else root_id
        said = attributes.of_evaluation(evaluation)
        events[home or root_id].append(_event(names.EVALUATION_EVENT, evaluation.occurred_at, said))
    root = Span(
        trace_id=bytes.fromhex(run.run_id),
        span_id=bytes.fromhex(root_id),
        name=f"invoke_workflow {run.workflow}",
        kind=RUN.otel,
        start_time_unix_nano=_nanos(run.started_at),
        end_time_unix_nano=_nanos(run.finished_at),
        attributes=pairs(attributes.of_run(run, style)),
        events=events[root_id],
        status=_status(run.status),
    )
    steps = [_step(run, step, root_id, events[step.step_id], style) for step in run.steps]
    return [root, *steps, *(_evidence(run, each, root_id, events[each.step_id or ""]) for each in homeless)]


def linked_spans_of(run: Run) -> list[Span]:
    """Reviews and evals of a run, each a trace of its own that is linked to the run's."""
    return list(_linked(run))


def _step(run: Run, step: Step, root_id: str, events: Sequence[Span.Event], style: Style) -> Span:
    kind = STEPS.get(step.step_kind, STEPS[StepKind.CUSTOM])
    return Span(
        trace_id=bytes.fromhex(run.run_id),
        span_id=bytes.fromhex(step.step_id),
        parent_span_id=bytes.fromhex(step.parent_step_id or root_id),
        name=span_name(step),
        kind=kind.otel,
        start_time_unix_nano=_nanos(step.started_at),
        end_time_unix_nano=_nanos(step.finished_at or step.started_at),
        attributes=pairs(attributes.of_step(step, style)),
        events=events,
        status=_status(step.status),
    )


def _evidence(run: Run, evidence: Evidence, root_id: str, events: Sequence[Span.Event]) -> Span:
    """Evidence that stands by itself: a span without duration."""
    at = _nanos(evidence.occurred_at)
    name = evidence.field_path or StepKind.EVIDENCE.value
    said: Said = {
        names.STEP_KIND: StepKind.EVIDENCE.value,
        names.STEP_NAME: name,
        "openinference.span.kind": STEPS[StepKind.EVIDENCE].openinference,
        **attributes.of_evidence(evidence),
    }
    return Span(
        trace_id=bytes.fromhex(run.run_id),
        span_id=bytes.fromhex(evidence.step_id or derived_id(evidence.event_id)[:16]),
        parent_span_id=bytes.fromhex(root_id),
        name=f"evidence {name}",
        kind=STEPS[StepKind.EVIDENCE].otel,
        start_time_unix_nano=at,
        end_time_unix_nano=at,
        attributes=pairs(said),
        events=events,
    )


def _linked(run: Run) -> Iterator[Span]:
    for review in run.reviews:
        said: Said = {names.STEP_KIND: StepKind.REVIEW.value, "openinference.span.kind": "EVALUATOR"}
        yield _later(run, review.event_id, "review", review.occurred_at, said | attributes.of_review(review))
    for case in run.evals:
        said = {names.STEP_KIND: StepKind.EVAL.value, "openinference.span.kind": "EVALUATOR"}
        yield _later(
            run, case.event_id, "eval", case.occurred_at, said | attributes.of_eval(case.case_id, case.outcome)
        )


def _later(run: Run, event_id: str, name: str, at: datetime | None, said: Said) -> Span:
    moment = _nanos(at)
    link = Span.Link(trace_id=bytes.fromhex(run.run_id), span_id=bytes.fromhex(derived_id(run.run_id)[:16]))
    return Span(
        trace_id=bytes.fromhex(derived_id(run.run_id, event_id)),
        span_id=bytes.fromhex(derived_id(event_id)[:16]),
        name=f"{name} {run.workflow}",
        kind=STEPS[StepKind.REVIEW].otel,
        start_time_unix_nano=moment,
        end_time_unix_nano=moment,
        attributes=pairs({names.LINKED_RUN: run.run_id, "causeline.workflow": run.workflow} | said),
        links=[link],
    )


def _event(name: str, at: datetime | None, said: Said) -> Span.Event:
    return Span.Event(name=name, time_unix_nano=_nanos(at), attributes=pairs(said))


def _status(status: str | None) -> Status:
    return Status(code=Status.STATUS_CODE_ERROR if status == _ERROR else Status.STATUS_CODE_UNSET)


def _nanos(moment: datetime | None) -> int:
    if moment is None:
        return _EPOCH_NS
    whole = int(moment.timestamp())  # a float of nanoseconds would lose the last digits
    return whole * 1_000_000_000 + moment.microsecond * 1000

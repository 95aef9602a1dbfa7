"""How to record what a run lacks: in the words of whoever recorded it, a `Tracer` or an OpenTelemetry SDK."""

from causeline.console.diagnosis.model import Question
from causeline.schemas.otel_names import EVIDENCE, SCOPE_LABEL, STEP, Alias
from causeline.schemas.run import Run

_BY_TRACER = {
    Question.SOURCE: "no parse, mask or retrieve step was recorded: run.parse(…), run.mask(…), run.retrieve(…).",
    Question.ROUTE: "no route was recorded: run.route(…, route=…, route_reason=…, route_confidence=…).",
    Question.SHAPE: "no validation was recorded: run.validate(…, schema_version=…, validation_errors=…).",
    Question.SUPPORT: "no evidence was recorded: run.evidence(field, refs=…, score=…).",
}


def _first(alias: Alias) -> str:
    return alias.keys[0]


_BY_ATTRIBUTE = {
    Question.SOURCE: "no parse, mask or retrieve step was recorded: a span with causeline.step.kind = parse or mask,"
    f" or gen_ai.operation.name = retrieval and {_first(STEP['context_refs'])}.",
    Question.ROUTE: f"no route was recorded: a span with {_first(STEP['route'])}, {_first(STEP['route_reason'])} and"
    f" {_first(STEP['route_confidence'])}.",
    Question.SHAPE: "no validation was recorded: a span with causeline.step.kind = validate,"
    f" {_first(STEP['schema_version'])} and {_first(STEP['validation_errors'])}.",
    Question.SUPPORT: "no evidence was recorded: a span with causeline.step.kind = evidence,"
    f" {_first(EVIDENCE['field_path'])}, {_first(EVIDENCE['provenance_score'])} and"
    f" {_first(EVIDENCE['evidence_refs'])}.",
}


def anchor_unrecorded(run: Run, kind: str, field: str) -> str:
    """The sentence for an anchor that the steps of a kind lack."""
    if SCOPE_LABEL in run.labels and field in STEP:
        return f"{field} was never recorded: set {_first(STEP[field])} on the {kind} span."
    return f"{field} was never recorded: run.{kind}(…, {field}=…)."


def steps_unrecorded(run: Run, question: Question) -> str:
    """The sentence for a question that no step speaks of."""
    return (_BY_ATTRIBUTE if SCOPE_LABEL in run.labels else _BY_TRACER)[question]

"""What kind of span each kind of step is, in OpenTelemetry's words and in OpenInference's."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from causeline.schemas.run import Step
from causeline.schemas.vocabulary import StepKind


class SpanKind(NamedTuple):
    """How a step of one kind is written: the span's kind, its GenAI operation, and OpenInference's kind."""

    otel: "Span.SpanKind.ValueType"
    operation: str | None
    openinference: str


_INTERNAL, _CLIENT = Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_CLIENT
RUN: Final = SpanKind(_INTERNAL, "invoke_workflow", "CHAIN")
STEPS: Final[Mapping[str, SpanKind]] = {
    StepKind.INPUT: SpanKind(_INTERNAL, None, "CHAIN"),
    StepKind.PARSE: SpanKind(_INTERNAL, None, "TOOL"),
    StepKind.MASK: SpanKind(_INTERNAL, None, "GUARDRAIL"),
    StepKind.CLASSIFY: SpanKind(_INTERNAL, None, "CHAIN"),
    StepKind.ROUTE: SpanKind(_INTERNAL, None, "CHAIN"),
    StepKind.AGENT: SpanKind(_INTERNAL, "invoke_agent", "AGENT"),
    StepKind.WORKFLOW: SpanKind(_INTERNAL, "invoke_workflow", "CHAIN"),
    StepKind.CHAIN: SpanKind(_INTERNAL, None, "CHAIN"),
    StepKind.EMBEDDING: SpanKind(_CLIENT, "embeddings", "EMBEDDING"),
    StepKind.RETRIEVE: SpanKind(_CLIENT, "retrieval", "RETRIEVER"),
    StepKind.RERANKER: SpanKind(_INTERNAL, None, "RERANKER"),
    StepKind.PROMPT: SpanKind(_INTERNAL, None, "PROMPT"),
    StepKind.MODEL_CALL: SpanKind(_CLIENT, "chat", "LLM"),
    StepKind.TOOL: SpanKind(_INTERNAL, "execute_tool", "TOOL"),
    StepKind.GUARDRAIL: SpanKind(_INTERNAL, None, "GUARDRAIL"),
    StepKind.VALIDATE: SpanKind(_INTERNAL, None, "GUARDRAIL"),
    StepKind.EVIDENCE: SpanKind(_INTERNAL, None, "EVALUATOR"),
    StepKind.FALLBACK: SpanKind(_INTERNAL, None, "CHAIN"),
    StepKind.REVIEW: SpanKind(_INTERNAL, None, "EVALUATOR"),
    StepKind.EVAL: SpanKind(_INTERNAL, None, "EVALUATOR"),
    StepKind.OUTPUT: SpanKind(_INTERNAL, None, "CHAIN"),
    StepKind.CUSTOM: SpanKind(_INTERNAL, None, "CHAIN"),
}


def span_name(step: Step) -> str:
    """The span's name: as the GenAI conventions have it where they name the operation, else the step's own."""
    kind = STEPS.get(step.step_kind, STEPS[StepKind.CUSTOM])
    match kind.operation:
        case "chat":
            return f"chat {step.model_name or step.step_name}"
        case "execute_tool":
            return f"execute_tool {step.step_name}"
        case "invoke_agent" | "embeddings":
            return f"{kind.operation} {step.step_name}"
        case "retrieval":
            return f"retrieval {step.step_name}"
        case _:
            return step.step_name or step.step_kind

"""Which boundary of a workflow a span is: our own word, then OpenInference's, then OpenTelemetry's and others'."""

from collections.abc import Mapping
from typing import Final

from causeline.producers.otlp.telemetry import Attributes
from causeline.schemas.otel_names import STEP, STEP_KIND
from causeline.schemas.vocabulary import StepKind

BY_KEY: Final[tuple[tuple[str, Mapping[str, StepKind]], ...]] = (
    (STEP_KIND, {kind.value: kind for kind in StepKind}),
    (
        "openinference.span.kind",
        {
            "llm": StepKind.MODEL_CALL,
            "retriever": StepKind.RETRIEVE,
            "reranker": StepKind.RETRIEVE,
            "tool": StepKind.TOOL,
            "guardrail": StepKind.VALIDATE,
            "evaluator": StepKind.EVAL,
            "prompt": StepKind.PROMPT,
            "embedding": StepKind.CUSTOM,
            "chain": StepKind.CUSTOM,
            "agent": StepKind.CUSTOM,
        },
    ),
    (
        "gen_ai.operation.name",
        {
            "chat": StepKind.MODEL_CALL,
            "text_completion": StepKind.MODEL_CALL,
            "generate_content": StepKind.MODEL_CALL,
            "completion": StepKind.MODEL_CALL,
            "retrieval": StepKind.RETRIEVE,
            "execute_tool": StepKind.TOOL,
            "embeddings": StepKind.CUSTOM,
            "create_agent": StepKind.CUSTOM,
            "invoke_agent": StepKind.CUSTOM,
            "invoke_workflow": StepKind.CUSTOM,
        },
    ),
    (
        "ai.operationId",
        {
            "ai.generatetext": StepKind.CUSTOM,
            "ai.streamtext": StepKind.CUSTOM,
            "ai.generateobject": StepKind.CUSTOM,
            "ai.streamobject": StepKind.CUSTOM,
            "ai.generatetext.dogenerate": StepKind.MODEL_CALL,
            "ai.streamtext.dostream": StepKind.MODEL_CALL,
            "ai.generateobject.dogenerate": StepKind.MODEL_CALL,
            "ai.streamobject.dostream": StepKind.MODEL_CALL,
            "ai.toolcall": StepKind.TOOL,
            "ai.embed": StepKind.CUSTOM,
            "ai.embed.doembed": StepKind.CUSTOM,
            "ai.embedmany": StepKind.CUSTOM,
            "ai.embedmany.doembed": StepKind.CUSTOM,
        },
    ),
    (
        "langfuse.observation.type",
        {
            "generation": StepKind.MODEL_CALL,
            "retriever": StepKind.RETRIEVE,
            "tool": StepKind.TOOL,
            "guardrail": StepKind.VALIDATE,
            "evaluator": StepKind.EVAL,
            "span": StepKind.CUSTOM,
            "event": StepKind.CUSTOM,
            "agent": StepKind.CUSTOM,
            "chain": StepKind.CUSTOM,
            "embedding": StepKind.CUSTOM,
        },
    ),
    (
        "traceloop.span.kind",
        {
            "workflow": StepKind.CUSTOM,
            "task": StepKind.CUSTOM,
            "agent": StepKind.CUSTOM,
            "tool": StepKind.TOOL,
        },
    ),
    (
        "llm.request.type",
        {
            "chat": StepKind.MODEL_CALL,
            "completion": StepKind.MODEL_CALL,
            "rerank": StepKind.RETRIEVE,
            "embedding": StepKind.CUSTOM,
        },
    ),
    (
        "mlflow.spanType",
        {
            "llm": StepKind.MODEL_CALL,
            "chat_model": StepKind.MODEL_CALL,
            "retriever": StepKind.RETRIEVE,
            "reranker": StepKind.RETRIEVE,
            "tool": StepKind.TOOL,
            "parser": StepKind.PARSE,
            "guardrail": StepKind.VALIDATE,
            "evaluator": StepKind.EVAL,
            "chain": StepKind.CUSTOM,
            "agent": StepKind.CUSTOM,
            "embedding": StepKind.CUSTOM,
            "workflow": StepKind.CUSTOM,
            "task": StepKind.CUSTOM,
        },
    ),
)
"""For each key, in order of precedence, what its values say; values are compared in lower case."""

_TOOL_KEYS: Final = ("gen_ai.tool.name", "tool.name")


def kind_of(attributes: Attributes) -> StepKind:
    """The kind of step that a span's attributes tell; `custom` when none does."""
    for key, words in BY_KEY:
        said = attributes.get(key)
        if isinstance(said, str) and (kind := words.get(said.strip('"').lower())) is not None:
            return kind
    if any(key in attributes for key in _TOOL_KEYS):
        return StepKind.TOOL
    if any(key in attributes for key in STEP["model_name"].keys):
        return StepKind.MODEL_CALL
    return StepKind.CUSTOM

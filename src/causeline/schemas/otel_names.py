"""Which OpenTelemetry attribute says what, as data: for each field the keys that carry it, the newest name first.

The receiver reads all of them, the exporter writes the first.

Sources: the GenAI semantic conventions of OpenTelemetry (main, 2026-08) and their older names, OpenInference 0.1.42,
OpenLLMetry's semantic conventions 0.5.1, and the attributes of Langfuse, the Vercel AI SDK, MLflow and OpenLIT. Our own
`causeline.…` keys come first: they are what `causeline export` writes. A key `outer#inner` is a member of a JSON text.
docs/opentelemetry.md is made from these tables.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Alias(NamedTuple):
    """One field of an event: how its value is read, and the attribute keys that carry it."""

    read: str
    """text, phrase, ref, score, amount, whole, count, flag, refs or phrases."""
    keys: tuple[str, ...]


SCOPE_LABEL: Final = "otel.scope"
"""The label of a run that came from another's instrumentation: the scope of its root span."""

OTEL_LINK_LABEL: Final = "otel.link.{}"
"""The label that names a span which something is linked to, as trace id and span id; numbered from 0."""

STEP: Final[Mapping[str, Alias]] = {
    "model_provider": Alias(
        "text",
        (
            "gen_ai.provider.name",
            "gen_ai.system",
            "llm.provider",
            "llm.system",
            "ai.model.provider",
            "mlflow.llm.provider",
        ),
    ),
    "model_name": Alias(
        "text",
        (
            "gen_ai.response.model",
            "llm.response.model_name",
            "llm.response.model",
            "ai.response.model",
            "gen_ai.request.model",
            "llm.request.model_name",
            "llm.model_name",
            "llm.request.model",
            "embedding.model_name",
            "reranker.model_name",
            "ai.model.id",
            "langfuse.observation.model.name",
            "mlflow.llm.model",
        ),
    ),
    "model_policy": Alias("text", ("causeline.model_policy",)),
    "temperature": Alias(
        "amount",
        (
            "gen_ai.request.temperature",
            "llm.request.temperature",
            "llm.invocation_parameters#temperature",
            "langfuse.observation.model.parameters#temperature",
        ),
    ),
    "top_p": Alias(
        "score",
        (
            "gen_ai.request.top_p",
            "llm.request.top_p",
            "llm.invocation_parameters#top_p",
            "langfuse.observation.model.parameters#top_p",
            "langfuse.observation.model.parameters#topP",
        ),
    ),
    "seed": Alias(
        "whole",
        (
            "gen_ai.request.seed",
            "gen_ai.openai.request.seed",
            "llm.invocation_parameters#seed",
            "langfuse.observation.model.parameters#seed",
        ),
    ),
    "system_fingerprint": Alias(
        "text",
        (
            "causeline.response.system_fingerprint",
            "openai.response.system_fingerprint",
            "gen_ai.openai.response.system_fingerprint",
            "gen_ai.openai.system_fingerprint",
        ),
    ),
    "input_tokens": Alias(
        "count",
        (
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.prompt_tokens",
            "llm.token_count.prompt",
            "llm.usage.prompt_tokens",
            "ai.usage.inputTokens",
            "ai.usage.promptTokens",
            "langfuse.observation.usage_details#input",
            "langfuse.observation.usage_details#input_tokens",
            "langfuse.observation.usage_details#prompt_tokens",
            "mlflow.chat.tokenUsage#input_tokens",
        ),
    ),
    "output_tokens": Alias(
        "count",
        (
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.token_count.completion",
            "llm.usage.completion_tokens",
            "ai.usage.outputTokens",
            "ai.usage.completionTokens",
            "langfuse.observation.usage_details#output",
            "langfuse.observation.usage_details#output_tokens",
            "langfuse.observation.usage_details#completion_tokens",
            "mlflow.chat.tokenUsage#output_tokens",
        ),
    ),
    "cost_usd": Alias(
        "amount", ("causeline.cost_usd", "llm.cost.total", "gen_ai.usage.cost", "mlflow.llm.cost#total_cost")
    ),
    "prompt_id": Alias(
        "text", ("gen_ai.prompt.name", "prompt.id", "langfuse.observation.prompt.name", "traceloop.prompt.key")
    ),
    "prompt_version": Alias(
        "text",
        (
            "gen_ai.prompt.version",
            "llm.prompt_template.version",
            "langfuse.observation.prompt.version",
            "traceloop.prompt.version",
        ),
    ),
    "route": Alias("text", ("causeline.route.name",)),
    "route_reason": Alias("phrase", ("causeline.route.reason",)),
    "route_confidence": Alias("score", ("causeline.route.confidence",)),
    "route_policy_version": Alias("text", ("causeline.route.policy_version",)),
    "confidence": Alias("score", ("causeline.confidence",)),
    "refusal": Alias("flag", ("causeline.refusal",)),
    "parser_version": Alias("text", ("causeline.parser_version",)),
    "schema_version": Alias("text", ("causeline.validation.schema_version",)),
    "input_ref": Alias("ref", ("causeline.input.ref", "input.documents.0.document.url")),
    "parsed_artifact_ref": Alias("ref", ("causeline.parsed.ref",)),
    "context_refs": Alias("refs", ("causeline.context.refs",)),
    "raw_output_ref": Alias("ref", ("causeline.output.ref", "output.documents.0.document.url")),
    "evidence_refs": Alias("refs", ("causeline.evidence.refs",)),
    "validation_errors": Alias("phrases", ("causeline.validation.errors",)),
    "retry_count": Alias("count", ("causeline.retry_count",)),
    "error_type": Alias("text", ("error.type",)),
}
"""Fields of a finished step."""

CALL_CONTENT: Final[Mapping[str, Alias]] = {
    "temperature": Alias("amount", ("mlflow.spanInputs#temperature",)),
    "top_p": Alias("score", ("mlflow.spanInputs#top_p",)),
    "seed": Alias("whole", ("mlflow.spanInputs#seed",)),
    "system_fingerprint": Alias("text", ("mlflow.spanOutputs#system_fingerprint",)),
}
"""Fields of a model call that a client says inside its content only; an attribute of STEP goes before."""

EVIDENCE: Final[Mapping[str, Alias]] = {
    "field_path": Alias("phrase", ("causeline.evidence.field",)),
    "evidence_required": Alias("flag", ("causeline.evidence.required",)),
    "provenance_score": Alias("score", ("causeline.evidence.score",)),
    "evidence_refs": Alias("refs", ("causeline.evidence.refs",)),
    "conflicting_refs": Alias("refs", ("causeline.evidence.conflicting_refs",)),
    "retry_count": Alias("count", ("causeline.evidence.attempts",)),
    "next_step": Alias("text", ("causeline.evidence.next_step",)),
    "policy_hash": Alias("text", ("causeline.policy.hash",)),
}
"""Fields of a piece of evidence that was checked."""

FALLBACK: Final[Mapping[str, Alias]] = {
    "fallback_taken": Alias("text", ("causeline.fallback.kind",)),
    "fallback_reason": Alias("phrase", ("causeline.fallback.reason",)),
}

REVIEW: Final[Mapping[str, Alias]] = {
    "review_outcome": Alias("text", ("causeline.review.outcome",)),
    "field_path": Alias("phrase", ("causeline.review.field",)),
    "reviewer_ref": Alias("ref", ("causeline.review.reviewer_ref",)),
    "override_ref": Alias("ref", ("causeline.review.override_ref",)),
    "review_note_ref": Alias("ref", ("causeline.review.note_ref",)),
}

EVAL: Final[Mapping[str, Alias]] = {
    "eval_case_id": Alias("text", ("causeline.eval.case_id", "evaluation.identifier", "gen_ai.evaluation.name")),
    "eval_outcome": Alias("text", ("causeline.eval.outcome", "gen_ai.evaluation.score.label")),
}

PROJECT: Final = ("causeline.project", "openinference.project.name")
"""Resource attributes that name the owner; else the receiver's own project."""
WORKFLOW: Final = (
    "causeline.workflow", "gen_ai.workflow.name", "langfuse.trace.name", "traceloop.workflow.name",
    "ai.telemetry.functionId",
)  # fmt: skip
"""Span attributes that name the workflow; else the root span's name, and its service for other spans."""
SERVICE: Final = "service.name"
RUN_ID: Final = "causeline.run.id"
"""On the root span of an exported run: the span is the run itself, and no step of it."""
LINKED_RUN: Final = "causeline.linked.run.id"
"""On a span in a trace of its own that says something of another run: a review or an eval that came later."""
FINAL_STATE: Final = "causeline.run.final_state"
STEP_KIND: Final = "causeline.step.kind"
STEP_NAME: Final = "causeline.step.name"
STEP_STATUS: Final = "causeline.step.status"
"""How a step ended where a span's status cannot say it: `skipped`, or `unfinished` for one whose end never came."""
UNFINISHED: Final = "unfinished"
WORKFLOW_NAME: Final = "causeline.workflow"
PROJECT_NAME: Final = "causeline.project"
RUN_VERDICT: Final = "causeline.run.verdict"
RUN_REVISION: Final = "causeline.run.revision"
RUN_MISSING: Final = "causeline.run.missing"
RUN_GAP_KINDS: Final = "causeline.run.gap_kinds"
FOR_READERS: Final = (RUN_VERDICT, RUN_REVISION, RUN_MISSING, RUN_GAP_KINDS)
"""What an exported run says of itself for people; whoever receives it finds it out again."""
LABEL_PREFIX: Final = "causeline.label."
"""What follows is the label's key."""
CONVERSATION: Final = ("gen_ai.conversation.id", "session.id", "langfuse.session.id")
FINISH_REASONS: Final = (
    "gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "llm.finish_reason",
    "llm.response.finish_reason", "llm.response.stop_reason", "gen_ai.finishReason", "ai.response.finishReason",
)  # fmt: skip
RETRIEVED_BY_ID: Final = "gen_ai.retrieval.documents"
RETRIEVED_AS_OUTPUT: Final = "mlflow.spanOutputs"
"""A retriever's documents, where nothing else says them: a JSON list of objects, each with an id or content."""
RETRIEVED_PREFIXES: Final = ("retrieval.documents.", "reranker.output_documents.")

INPUT_CONTENT: Final = (
    "gen_ai.input.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions", "gen_ai.tool.call.arguments",
    "gen_ai.retrieval.query.text", "gen_ai.prompt", "input.value", "llm.prompts", "llm.prompt_template.template",
    "llm.prompt_template.variables", "tool.parameters", "tool_call.function.arguments", "embedding.text",
    "reranker.query", "langfuse.observation.input", "langfuse.trace.input", "mlflow.spanInputs", "ai.prompt",
    "ai.prompt.messages", "ai.prompt.tools", "ai.toolCall.args", "ai.value", "ai.values", "traceloop.entity.input",
    "traceloop.prompt.template", "traceloop.prompt.template_variables", "tool_arguments", "prompt", "request_data",
    "db.query.text", "db.statement",
)  # fmt: skip
"""Content that went into a span: kept in the artifact store under one reference."""
INPUT_CONTENT_PREFIXES: Final = (
    "llm.input_messages.", "llm.tools.", "gen_ai.prompt.", "llm.prompts.", "gen_ai.prompt.variable.",
    "input.documents.", "reranker.input_documents.", "llm.request.functions.", "embedding.embeddings.",
)  # fmt: skip
OUTPUT_CONTENT: Final = (
    "gen_ai.output.messages", "gen_ai.tool.call.result", "gen_ai.completion", "output.value",
    "langfuse.observation.output", "langfuse.trace.output", "mlflow.spanOutputs", "ai.response.text",
    "ai.response.object", "ai.response.toolCalls", "ai.response.reasoning", "ai.toolCall.result", "ai.embedding",
    "ai.embeddings", "traceloop.entity.output", "tool_response", "all_messages_events", "pydantic_ai.all_messages",
    "final_result", "response_data",
)  # fmt: skip
"""Content that came out of a span."""
OUTPUT_CONTENT_PREFIXES: Final = ("llm.output_messages.", "gen_ai.completion.", "output.documents.")

INPUT_EVENTS: Final = frozenset(
    {
        "gen_ai.system.message", "gen_ai.user.message", "gen_ai.assistant.message", "gen_ai.tool.message",
        "gen_ai.content.prompt",
    }
)  # fmt: skip
"""Span events and log records that carry what a model was given."""
OUTPUT_EVENTS: Final = frozenset({"gen_ai.choice", "gen_ai.content.completion"})
"""… and what it answered."""
DETAIL_EVENTS: Final = frozenset({"gen_ai.client.inference.operation.details"})
"""Both, as attributes of their own."""
EVIDENCE_EVENT: Final = "causeline.evidence.checked"
"""Span event: a piece of evidence that was checked within the span, with the attributes of EVIDENCE."""
GAP_EVENT: Final = "causeline.evidence.gap"
"""Span event: what the evidence lacked; for readers, since whoever receives it judges again."""
FALLBACK_EVENT: Final = "causeline.fallback"
"""Span event: a fallback, with the attributes of FALLBACK."""
EVALUATION_EVENT: Final = "gen_ai.evaluation.result"
EXCEPTION_EVENT: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"

NEVER_LABELS: Final = (
    ".message", ".stacktrace", ".text", ".content", ".body", ".value", ".query", ".email", ".full_name", ".explanation",
    ".prompt", ".completion", ".response", ".answer", ".question", ".instructions",
    "password", "secret", "api_key", "api-key", "apikey", "authorization", "cookie", "credential", "credentials",
    "-token", "_token", ".token", "private_key", "certificate", "url.full", "http.url", "http.target",
    "enduser.id", "user.name", "db.statement",
)  # fmt: skip
"""Endings of keys whose value may be content, or a secret: it is dropped and counted, however small."""


def known_keys() -> frozenset[str]:
    """Every key that a table above names outright."""
    tables = (STEP, EVIDENCE, FALLBACK, REVIEW, EVAL)
    named = {key.partition("#")[0] for table in tables for alias in table.values() for key in alias.keys}
    lone = {*PROJECT, *WORKFLOW, *CONVERSATION, *FINISH_REASONS, RUN_ID, LINKED_RUN, FINAL_STATE, STEP_KIND, STEP_NAME}
    return frozenset(
        named | lone | {SERVICE, RETRIEVED_BY_ID, STEP_STATUS, *FOR_READERS} | set(INPUT_CONTENT) | set(OUTPUT_CONTENT)
    )

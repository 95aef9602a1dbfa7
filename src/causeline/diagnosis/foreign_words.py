"""What to add to the spans of a foreign trace, in the words of the client that sends them."""

from collections.abc import Iterable
from typing import Final

from causeline.schemas.otel_names import KIND_ROWS, ROWS

_CLIENTS: Final = (
    ("openinference", "OpenInference"), ("langfuse", "Langfuse"), ("mlflow", "MLflow"), ("traceloop", "OpenLLMetry"),
    ("ai", "Vercel AI SDK"), ("langsmith", "LangSmith"),
)  # fmt: skip
"""The beginning of the scope of a run's root, and whose words its spans use; all others use the conventions'."""
_CONVENTIONS: Final = "OTel GenAI"
_OURS: Final = "causeline."
_CONTENT: Final = {"input_ref": "content.input", "raw_output_ref": "content.output"}
"""References that the receiver makes of content: what a client can say is the content."""
_KINDS: Final = {"OpenInference": "openinference.span.kind", "Langfuse": "langfuse.observation.type",
                 "MLflow": "mlflow.spanType", "OpenLLMetry": "traceloop.span.kind",
                 "LangSmith": "langsmith.span.kind"}  # fmt: skip


def can_say(field: str) -> bool:
    """Whether foreign instrumentation has a word for a field of a step, so that its lack may be told."""
    return any(row.goes == f"step.{field}" and not row.key.startswith(_OURS) for row in ROWS)


def attributes(habit: str, lacking: Iterable[str], scope: str) -> tuple[str, ...]:
    """The attributes that end a habit; `lacking` are the anchors that the runs lack, `scope` that of their root."""
    client = next((name for start, name in _CLIENTS if _begins(scope, start)), _CONVENTIONS)
    match habit:
        case "version_dropped":
            fields = dict.fromkeys(anchor.rpartition(".")[2] for anchor in lacking)
            return tuple(_key(_CONTENT.get(field, f"step.{field}"), client) for field in fields if can_say(field))
        case "only_the_answer":
            return (_kind(client, "retrieve"), _kind(client, "tool"), _key("content.documents", client))
        case "input_unknown":
            return (_key("content.input", client), _key("content.documents", client))
        case "errors_without_consequence":
            return ("causeline.fallback.kind", "causeline.run.final_state")
        case "corrections_lost":
            return ("causeline.linked.run.id", "causeline.review.outcome", "causeline.review.override_ref")
        case _:
            return ("causeline.linked.run.id", "causeline.eval.case_id")


def _begins(scope: str, start: str) -> bool:
    return scope == start or scope.startswith((f"{start}.", f"{start}-"))


def _key(goes: str, client: str) -> str:
    """The client's own key for what goes there, else the conventions', else anybody's."""
    rows = [row for row in ROWS if row.goes.startswith(goes) and not row.key.startswith(_OURS)]
    own = [row for row in rows if row.client == client] or [row for row in rows if row.client == _CONVENTIONS] or rows
    return own[0].key.replace("#", " → ").replace("*", "…")


def _kind(client: str, kind: str) -> str:
    key = _KINDS.get(client, "gen_ai.operation.name")
    words = [row for row in KIND_ROWS if row.kind == kind and row.key == key]
    words = words or [row for row in KIND_ROWS if row.kind == kind and row.key == "gen_ai.operation.name"]
    return f"{words[0].key} = {words[0].word}"

"""Which OpenTelemetry attribute says what, as data: `otel_keys.tsv` and `otel_kinds.tsv`, read once.

The receiver reads all of it, the exporter writes the first key of each field, docs/opentelemetry.md is made from it. A
row of keys says: the key (`outer#inner` is a member of a JSON text, `…*` all keys that begin so), the client or
convention that sends it, where it goes, how its value is read, and an example as the client sends it, which the tests
send in turn. Of several keys that say one thing the first that fits stands. Adding a client is adding rows.

Sources: the GenAI semantic conventions of OpenTelemetry (main, 2026-10) and their older names, OpenInference 0.1.42,
OpenLLMetry's semantic conventions 0.5.1, and what the clients of interop/recordings/ send.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final, NamedTuple

from causeline.schemas import vocabulary


class Row(NamedTuple):
    """One row of the table; `goes` is `step.model_name`, `content.input`, `label`, `run.session`, …"""

    key: str
    client: str
    goes: str
    type: str
    example: str

    @property
    def is_prefix(self) -> bool:
        """Whether it speaks of all keys that begin so."""
        return self.key.endswith("*")


class KindRow(NamedTuple):
    """Which kind of step a span is whose attribute `key` says `word`, compared in lower case."""

    key: str
    word: str
    kind: str


class Alias(NamedTuple):
    """One field of an event: the attribute keys that carry it, the newest name first."""

    keys: tuple[str, ...]


def _read(name: str) -> list[list[str]]:
    text = (files("causeline.schemas") / name).read_text("utf-8")
    return [line.split("\t") for line in text.splitlines()[1:]]


ROWS: Final = tuple(Row(*cells) for cells in _read("otel_keys.tsv"))
KIND_ROWS: Final = tuple(KindRow(*cells) for cells in _read("otel_kinds.tsv"))


def keys_of(goes: str) -> tuple[str, ...]:
    """The keys that go there, the first that fits stands."""
    return tuple(row.key for row in ROWS if row.goes == goes)


def _aliases(table: str) -> Mapping[str, Alias]:
    fields: dict[str, list[str]] = {}
    for row in ROWS:
        where, _, name = row.goes.partition(".")
        if where == table:
            fields.setdefault(name, []).append(row.key)
    return {name: Alias(tuple(keys)) for name, keys in fields.items()}


SCOPE_LABEL: Final = vocabulary.SCOPE_LABEL
UNKNOWN_SCOPE: Final = "unknown"
ROOTS_LABEL: Final = "otel.roots"
"""The label of a run whose trace has several roots: how many."""
OTEL_LINK_LABEL: Final = "otel.link.{}"
"""The label that names a span which something is linked to, as trace id and span id; numbered from 0."""

STEP: Final = _aliases("step")
"""Fields of a finished step."""
EVIDENCE: Final = _aliases("evidence")
"""Fields of a piece of evidence that was checked."""
FALLBACK: Final = _aliases("fallback")
REVIEW: Final = _aliases("review")
EVAL: Final = _aliases("eval")
EVALUATION: Final = _aliases("evaluation")
"""What an evaluator says: on its own span, on a span event or on a log record."""

RUN_ID: Final = "causeline.run.id"
"""On the root span of an exported run: the span is the run itself, and no step of it."""
LINKED_RUN: Final = "causeline.linked.run.id"
"""On a span in a trace of its own that says something of another run: a review or an eval that came later."""
FINAL_STATE: Final = "causeline.run.final_state"
STEP_KIND: Final = "causeline.step.kind"
STEP_NAME: Final = "causeline.step.name"
STEP_STATUS: Final = "causeline.step.status"
"""How a step ended where a span's status cannot say it: `skipped`, or `unfinished` for one whose end never came."""
ORIGINAL_KIND: Final = "causeline.step.original_kind"
ATTRIBUTES_REF: Final = "causeline.step.attributes_ref"
SESSION: Final = "causeline.session.id"
USER_HASH: Final = "causeline.user.hash"
"""What was a hash when it came in: it is hashed no more."""
EXPLANATION_REF: Final = "causeline.evaluation.explanation_ref"
UNFINISHED: Final = "unfinished"
WORKFLOW_NAME: Final = "causeline.workflow"
PROJECT_NAME: Final = "causeline.project"
RUN_VERDICT: Final = "causeline.run.verdict"
RUN_REVISION: Final = "causeline.run.revision"
RUN_MISSING: Final = "causeline.run.missing"
RUN_GAP_KINDS: Final = "causeline.run.gap_kinds"
LABEL_PREFIX: Final = "causeline.label."
"""What follows is the label's key."""
APP_ROOT: Final = "langfuse.internal.is_app_root"
"""On a span that enters its application, whoever called it."""
RETRIEVED_AS_OUTPUT: Final = ("mlflow.spanOutputs", "gen_ai.completion", "langfuse.observation.output")
"""A retriever's documents, where nothing else says them: a JSON list of objects, each with an id or content."""
RETRIEVED_PREFIXES: Final = tuple(row.key[:-1] for row in ROWS if row.goes == "content.documents")
VECTOR_STORES: Final = frozenset({"chroma", "pinecone", "qdrant", "weaviate", "milvus", "marqo", "lancedb"})
"""Values of `db.system`: a span that has one and gives results is a retrieval."""

INPUT_EVENTS: Final = frozenset(
    {
        "gen_ai.system.message", "gen_ai.user.message", "gen_ai.assistant.message", "gen_ai.tool.message",
        "gen_ai.content.prompt", "db.query.embeddings",
    }
)  # fmt: skip
"""Span events and log records that carry what a model was given."""
OUTPUT_EVENTS: Final = frozenset({"gen_ai.choice", "gen_ai.content.completion"})
"""… and what it answered."""
DETAIL_EVENTS: Final = frozenset({"gen_ai.client.inference.operation.details"})
"""Both, as attributes of their own."""
RESULT_EVENT: Final = "db.query.result"
"""Span event: one document that a vector store gave, with its id, score and text."""
EVIDENCE_EVENT: Final = "causeline.evidence.checked"
"""Span event: a piece of evidence that was checked within the span, with the attributes of EVIDENCE."""
GAP_EVENT: Final = "causeline.evidence.gap"
"""Span event: what the evidence lacked; for readers, since whoever receives it judges again."""
FALLBACK_EVENT: Final = "causeline.fallback"
"""Span event: a fallback, with the attributes of FALLBACK."""
EVALUATION_EVENT: Final = "gen_ai.evaluation.result"
EXCEPTION_EVENT: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_LOGS: Final = frozenset({"exception", "gen_ai.client.operation.exception"})
"""Log records that say that their span failed."""

NEVER_LABELS: Final = (
    "password", "passwd", "secret", "api_key", "api-key", "apikey", "authorization", "cookie", "credential", "pin",
    "credentials", "private_key", "phone", "ssn", "iban", "card", "account", "salary", "birthday", "user_id", "user.id",
)  # fmt: skip
"""Endings of keys whose value identifies a person or is a secret, even as a number: it is no label."""

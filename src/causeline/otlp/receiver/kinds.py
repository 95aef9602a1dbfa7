"""Which boundary of a workflow a span is: our own word, then OpenInference's, then OpenTelemetry's and others'."""

from collections.abc import Mapping
from typing import Final

from causeline.otlp.receiver.telemetry import Attributes
from causeline.otlp.receiver.values import plain
from causeline.schemas import otel_names as names
from causeline.schemas.vocabulary import StepKind


def _tables() -> tuple[tuple[str, Mapping[str, StepKind]], ...]:
    found: dict[str, dict[str, StepKind]] = {}
    for row in names.KIND_ROWS:
        found.setdefault(row.key, {})[row.word] = StepKind(row.kind)
    return tuple(found.items())


BY_KEY: Final = _tables()
"""For each key, in order of precedence, what its values say; values are compared in lower case."""
WITH_MODEL: Final = frozenset({StepKind.MODEL_CALL, StepKind.EMBEDDING, StepKind.RERANKER})
"""Kinds of step whose model is their own: an agent only names the one that its calls will use."""
_TOOL_KEYS: Final = ("gen_ai.tool.name", "tool.name")
_LONGEST: Final = 40


def kind_of(attributes: Attributes) -> tuple[StepKind, str | None]:
    """The kind of step that a span's attributes tell, `custom` when none does; and the client's own word for it."""
    own_word = None
    for key, words in BY_KEY:
        said = plain(attributes.get(key)) if key in attributes else None
        if not isinstance(said, str):
            continue
        lower = said.lower()
        if (kind := words.get(lower)) is not None:
            return kind, None if key == names.STEP_KIND else own_word or lower
        if own_word is None and _is_plain(lower):
            own_word = lower
    if any(key in attributes for key in _TOOL_KEYS):
        return StepKind.TOOL, own_word
    if any(key in attributes for key in names.STEP["model_name"].keys):
        return StepKind.MODEL_CALL, own_word
    if attributes.get("db.system") in names.VECTOR_STORES or attributes.get("db.system.name") in names.VECTOR_STORES:
        return StepKind.RETRIEVE, own_word
    return StepKind.CUSTOM, own_word


def _is_plain(word: str) -> bool:
    return len(word) <= _LONGEST and word.replace("_", "").replace(".", "").isalpha() and word.isascii()

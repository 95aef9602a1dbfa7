"""Facts that a client says nowhere but inside its content: MLflow keeps a call's parameters in its inputs, and a
retriever's documents in its outputs. Read for those kinds of steps only, so that a function's own argument of the same
name is not taken for a model's.
"""

from collections.abc import Callable
from typing import Any, Final

from pydantic_core import from_json

from causeline.producers.otlp.telemetry import Attributes, Value
from causeline.producers.otlp.values import READERS
from causeline.schemas import otel_names as aliases


def _by_outer() -> dict[str, list[tuple[str, str, Callable[[Value], Any]]]]:
    found: dict[str, list[tuple[str, str, Callable[[Value], Any]]]] = {}
    for name, alias in aliases.CALL_CONTENT.items():
        for key in alias.keys:
            outer, _, inner = key.partition("#")
            found.setdefault(outer, []).append((name, inner, READERS[alias.read]))
    return found


_CONTENT: Final = _by_outer()
"""For each attribute of content, what it holds: the field, the member that says it, and how that is read."""


def add_facts_of_call(attributes: Attributes, step: dict[str, Any]) -> None:
    """Give a model call's step what only its content says; what the step says already stands."""
    for outer, inside in _CONTENT.items():
        if outer not in attributes:
            continue
        content = attributes[outer]
        if isinstance(content, str):
            try:
                content = from_json(content)
            except ValueError:
                continue
        if isinstance(content, dict):
            for name, inner, read in inside:
                if name not in step and (fitting := read(content.get(inner))) is not None:
                    step[name] = fitting


def documents_of(attributes: Attributes) -> Value:
    """What a retrieval says of its documents: a list of ids or of objects, or one reference; None for nothing."""
    said = attributes.get(aliases.RETRIEVED_BY_ID)
    if said is None:
        listed = _as_list(attributes.get(aliases.RETRIEVED_AS_OUTPUT))
        return listed if isinstance(listed, list) else None
    return _as_list(said)


def _as_list(said: Value) -> Value:
    if isinstance(said, str) and said.startswith("["):
        try:
            listed: Value = from_json(said)
        except ValueError:
            return said
        return listed
    return said

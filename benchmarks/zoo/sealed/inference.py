"""The dialect of teams that write OpenInference attributes by hand."""

import json
from collections.abc import Mapping
from typing import Any

from benchmarks.zoo.sealed.semconv import plain
from benchmarks.zoo.sealed.spans import Attributes

SPAN_KIND = {
    "tool": "TOOL",
    "retrieve": "RETRIEVER",
    "rerank": "RERANKER",
    "guardrail": "GUARDRAIL",
    "agent": "AGENT",
    "embed": "EMBEDDING",
    "eval": "EVALUATOR",
}


class Inference:
    """`openinference.span.kind`, `input.value`, `output.value`, `retrieval.documents`, and metadata as JSON."""

    def __init__(self, *, silent: frozenset[str] = frozenset(), documents: bool = True) -> None:
        self._silent, self._documents = silent, documents

    def span(self, kind: str, name: str) -> tuple[str, Attributes] | None:
        if kind in self._silent:
            return None
        attributes: Attributes = {"openinference.span.kind": SPAN_KIND.get(kind, "CHAIN")}
        if kind == "tool":
            attributes["tool.name"] = name
        return name.replace(" ", "_"), attributes

    def said(self, kind: str, fields: Mapping[str, Any]) -> Attributes:
        attributes: Attributes = {}
        rest = {}
        for key, value in fields.items():
            if key == "input_ref":
                attributes["input.value"] = value
            elif key in {"raw_output_ref", "parsed_artifact_ref"}:
                attributes["output.value"] = value
            elif key == "context_refs" and kind in {"retrieve", "rerank"} and self._documents:
                under = "reranker.output_documents" if kind == "rerank" else "retrieval.documents"
                for at, ref in enumerate(value):
                    attributes[f"{under}.{at}.document.id"] = ref
            elif key == "route":
                attributes["output.value"] = value
            else:
                rest[key] = value
        if rest and kind in {"classify", "route", "validate", "custom"}:
            attributes["metadata"] = json.dumps(rest)
        return attributes

    def words(self, kind: str, words: Mapping[str, object], *, measures: bool) -> Attributes:
        return {} if measures else {f"app.{key}": plain(value) for key, value in words.items()}

    def over(self, state: str, answer: str | None, words: Mapping[str, object]) -> Attributes:
        attributes: Attributes = {f"feedback.{key}": plain(value) for key, value in words.items()}
        if answer:
            attributes["output.value"] = answer
        return attributes | {"app.status": state}

    def event(self, what: str, fields: Mapping[str, Any]) -> tuple[str, Attributes] | None:
        return None if what == "evidence" else (what, {key: plain(value) for key, value in fields.items()})

"""OpenInference's spans with the OpenAI client, and the database's by OpenTelemetry's conventions for databases."""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.trace import Status, StatusCode

from benchmarks.zoo.open.kit.inference import Inference
from benchmarks.zoo.open.kit.spans import SpanNote
from benchmarks.zoo.open.kit.text import Passage


class Warehouse(Inference):
    """The query is a span of the database's driver; all else is as OpenInference says it."""

    def opened(self, note: SpanNote, name: str) -> None:
        if name == "run sql":
            note.span.set_attribute("db.system.name", "sqlite")
            note.span.set_attribute("db.namespace", "warehouse")
        else:
            super().opened(note, name)

    def fields(self, note: SpanNote, said: Mapping[str, Any]) -> None:
        if said.get("validation_errors") and note.kind == "validate":
            note.span.set_status(Status(StatusCode.ERROR, "check failed"))
        super().fields(note, {k: v for k, v in said.items() if k != "retry_count"})

    def measures(self, note: SpanNote, said: Mapping[str, object]) -> None:
        rows = said.get("sql.rows")
        if isinstance(rows, int):
            note.span.set_attribute("db.response.returned_rows", rows)
        score = said.get("score")
        if note.kind == "eval" and isinstance(score, float):
            note.span.set_attribute("metadata", f'{{"score": {score}}}')

    def content(self, note: SpanNote, way: str, text: str) -> None:
        if note.span.is_recording() and note.kind == "tool" and text.startswith("SELECT"):
            note.span.set_attribute("db.query.text", text)
        else:
            super().content(note, way, text)

    def documents(self, note: SpanNote, passages: Sequence[Passage]) -> None:
        if note.kind in ("retrieve", "rerank"):
            super().documents(note, passages)

"""A batch job's spans by the SDK, with Pydantic AI's own instrumentation for each call of the model."""

import json
from collections.abc import Mapping
from typing import Any

from opentelemetry.trace import Status, StatusCode

from benchmarks.zoo.open.kit.genai import GenAi
from benchmarks.zoo.open.kit.spans import SpanNote


class Batch(GenAi):
    """Nobody talks to it: the root is a job, and steps have attributes of the team's own."""

    scope = "catalogue"

    def opened(self, note: SpanNote, name: str) -> None:
        if note.kind != "run":
            super().opened(note, name)

    def fields(self, note: SpanNote, said: Mapping[str, Any]) -> None:
        super().fields(note, said)
        if said.get("validation_errors"):
            note.span.set_status(Status(StatusCode.ERROR, "check failed"))
        if "route_confidence" in said:
            note.span.set_attribute("catalogue.decision", said["route"])
            note.span.set_attribute("catalogue.confidence", said["route_confidence"])
        if "model_name" in said and note.kind == "embed":
            note.span.set_attribute("gen_ai.request.model", said["model_name"])

    def measures(self, note: SpanNote, said: Mapping[str, object]) -> None:
        theirs = {"parse.pages": "feed.rows", "parse.pages_read": "feed.rows_read", "dedupe.best": "dedupe.best"}
        for name, value in said.items():
            if name in theirs and isinstance(value, int | float):
                note.span.set_attribute(theirs[name], value)

    def content(self, note: SpanNote, way: str, text: str) -> None:
        if note.kind == "run":
            return
        if note.kind in ("route", "custom") and way == "output":
            note.span.set_attribute("catalogue.outcome", text)
        super().content(note, way, text)

    def began(self, note: SpanNote, labels: Mapping[str, str]) -> None:
        note.span.set_attribute("catalogue.feed", json.dumps(dict(labels)))

"""Digests of minutes: map and reduce over long documents, with citations.

In the form `otel` the models are reached by the `anthropic` package under OpenLLMetry's instrumentation; other steps
are spans as OpenLLMetry's decorators would write them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.zoo.protocol import Fault, Form, Surroundings, Workflow
from benchmarks.zoo.sealed.book import WHOLE, Bad, Habit, Kept, on_line
from benchmarks.zoo.sealed.digest.faults import FAULTS
from benchmarks.zoo.sealed.digest.work import Digest, make
from benchmarks.zoo.sealed.semconv import plain
from benchmarks.zoo.sealed.spans import Attributes, Client, on_spans

NAME = "board-digest"
HURRIED = Habit(
    steps={
        "model_call": Kept(
            "model_call",
            frozenset(
                {
                    "model_name",
                    "prompt_id",
                    "prompt_version",
                    "raw_output_ref",
                    "input_tokens",
                    "output_tokens",
                    "cost_usd",
                }
            ),
        ),
        "parse:pages": Kept("parse", frozenset({"parser_version"}), name="ocr"),
        "tool": Kept("tool", frozenset()),
    },
    evidence=False,
    fallbacks=False,
)

POLICY = """
version = 1

[workflow.board-digest]
routes = ["minutes", "other", "single", "map-reduce"]
parse_quality_floor = 0.75
threshold = 0.65
context_expected = true

[[workflow.board-digest.expect]]
step = "model_call:reduce"

[workflow.board-digest.evidence."$.dividend"]
threshold = 0.7
masked_as = ["MONEY"]

[[workflow.board-digest.review]]
name = "citation lacking"
question = "On which page does it stand?"
when = { gap = "missing_citation" }
"""

_clients: dict[str, Client] = {}


class Traceloop:
    """Spans as `@workflow`, `@task` and `@tool` make them."""

    def span(self, kind: str, name: str) -> tuple[str, Attributes] | None:
        if kind in {"input", "prompt", "output", "classify"}:
            return None
        role = "tool" if kind == "tool" else "task"
        return f"{name}.{role}", {
            "traceloop.span.kind": role,
            "traceloop.entity.name": name,
            "traceloop.workflow.name": NAME,
        }

    def said(self, kind: str, fields: Mapping[str, Any]) -> Attributes:
        names = {
            "input_ref": "traceloop.entity.input",
            "raw_output_ref": "traceloop.entity.output",
            "parsed_artifact_ref": "traceloop.entity.output",
            "validation_errors": "traceloop.entity.output",
        }
        return {names[key]: plain(value) for key, value in fields.items() if key in names}

    def words(self, kind: str, words: Mapping[str, object], *, measures: bool) -> Attributes:
        if measures:
            return {}
        return {f"traceloop.association.properties.{key}": plain(value) for key, value in words.items()}

    def over(self, state: str, answer: str | None, words: Mapping[str, object]) -> Attributes:
        attributes = {f"traceloop.association.properties.{key}": plain(value) for key, value in words.items()}
        return attributes | {"traceloop.entity.output": answer or "", "traceloop.association.properties.state": state}

    def event(self, what: str, fields: Mapping[str, Any]) -> tuple[str, Attributes] | None:
        return None if what == "evidence" else (what, {key: plain(value) for key, value in fields.items()})


def prepare(provider: Any) -> Callable[[], None]:
    """Instrument the `anthropic` package."""
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

    from benchmarks.zoo.sealed.clients import AnthropicClient

    instrumentor = AnthropicInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    _clients["anthropic"] = AnthropicClient()

    def undo() -> None:
        instrumentor.uninstrument()

    return undo


def run(form: Form, fault: Fault | None, around: Surroundings) -> str:
    """One digest."""
    minutes = make(around.random, long=bool(fault))
    work = Digest(minutes, Bad(fault), around.random).run
    if form is Form.OTEL:
        root = (
            f"{NAME}.workflow",
            {
                "traceloop.span.kind": "workflow",
                "traceloop.entity.name": NAME,
                "traceloop.workflow.name": NAME,
                "traceloop.entity.input": minutes.pages[0],
            },
        )
        return on_spans(around.otel, "digest", root, dialect=Traceloop(), client=_clients["anthropic"], work=work)
    habit = WHOLE if form is Form.FULL else HURRIED
    return on_line(NAME, around, habit, work, about=f"minutes of {len(minutes.pages)} pages, {minutes.resolved}")


WORKFLOW = Workflow(name=NAME, shape="summary", faults=FAULTS, run=run, policy=POLICY, prepare_otel=prepare)

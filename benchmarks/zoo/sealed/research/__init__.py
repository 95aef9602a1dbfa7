"""Briefs about companies: a planner, sub-agents with tools, a writer and a critic.

In the form `otel` the models are reached by the `openai` package under opentelemetry-instrumentation-openai-v2, and the
agents and tools are spans that the team writes itself, after the GenAI semantic conventions.
"""

from collections.abc import Callable
from typing import Any

from benchmarks.zoo.protocol import Fault, Form, Surroundings, Workflow
from benchmarks.zoo.sealed.book import WHOLE, Bad, Book, Habit, Kept, on_line
from benchmarks.zoo.sealed.research.faults import FAULTS
from benchmarks.zoo.sealed.research.work import Desk
from benchmarks.zoo.sealed.research.world import make
from benchmarks.zoo.sealed.semconv import GenAi
from benchmarks.zoo.sealed.spans import Client, on_spans

NAME = "market-brief"
HURRIED = Habit(
    steps={
        "model_call": Kept("model_call", frozenset({"model_name", "input_tokens", "output_tokens", "cost_usd"})),
        "tool": Kept("tool", frozenset({"input_ref", "raw_output_ref"})),
        "agent": Kept("custom", frozenset(), words=True),
    },
    evidence=False,
    reviews=False,
    final_words=frozenset({"rating", "complaint"}),
)

POLICY = """
version = 1

[workflow.market-brief]
routes = ["finance", "people"]
confidence_floor = 0.6
threshold = 0.5
support_floor = 0.25

[workflow.market-brief.next_steps]
missing_citation = ["search", "retry", "partial_output"]
weak_provenance = ["search", "review"]

[[workflow.market-brief.expect]]
step = "model_call:plan"

[[workflow.market-brief.expect]]
step = "output:deliver"

[[workflow.market-brief.review]]
name = "brief is not whole"
question = "What is missing in the brief?"
when = { final_state = "partial" }
"""

_clients: dict[str, Client] = {}


def prepare(provider: Any) -> Callable[[], None]:
    """Instrument the `openai` package."""
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    from benchmarks.zoo.sealed.clients import OpenAiClient

    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    _clients["openai"] = OpenAiClient()

    def undo() -> None:
        instrumentor.uninstrument()

    return undo


def run(form: Form, fault: Fault | None, around: Surroundings) -> str:
    """One brief."""
    world = make(around.random)

    def work(book: Book) -> None:
        Desk(book, world, Bad(fault), around.random).run()

    if form is Form.OTEL:
        root = (
            "invoke_workflow market-brief",
            {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": NAME},
        )
        silent = frozenset({"prompt", "input", "output", "parse"})
        return on_spans(
            around.otel,
            "market-desk",
            root,
            dialect=GenAi("desk", content=True, silent=silent),
            client=_clients["openai"],
            work=work,
        )
    habit = WHOLE if form is Form.FULL else HURRIED
    return on_line(NAME, around, habit, work, about=world.question, labels={"desk": "markets"})


WORKFLOW = Workflow(name=NAME, shape="planner", faults=FAULTS, run=run, policy=POLICY, prepare_otel=prepare)

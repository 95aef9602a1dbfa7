"""Questions about a shop's figures: an agent that writes SQL, runs it and says what came out.

In the form `otel` the models are LangChain's, under OpenInference's instrumentation; the database is `sqlite3` under
its own; other steps are spans with OpenInference's attributes.
"""

from collections.abc import Callable
from typing import Any

from benchmarks.zoo.protocol import Fault, Form, Surroundings, Workflow
from benchmarks.zoo.sealed.book import WHOLE, Bad, Book, Habit, Kept, on_line
from benchmarks.zoo.sealed.inference import Inference
from benchmarks.zoo.sealed.spans import Client, on_spans
from benchmarks.zoo.sealed.sql.chain import langchain
from benchmarks.zoo.sealed.sql.faults import FAULTS
from benchmarks.zoo.sealed.sql.work import Question
from benchmarks.zoo.sealed.sql.world import ask, database

NAME = "shop-questions"
HURRIED = Habit(
    steps={
        "model_call": Kept(
            "model_call",
            frozenset(
                {
                    "model_name",
                    "model_provider",
                    "raw_output_ref",
                    "input_tokens",
                    "output_tokens",
                    "cost_usd",
                    "retry_count",
                }
            ),
        ),
        "tool:run sql": Kept("tool", frozenset({"input_ref", "raw_output_ref"}), words=True),
        "validate:explain": Kept("validate", frozenset({"validation_errors"})),
        "custom:cache": Kept("custom", frozenset(), words=True),
    },
    evidence=False,
    fallbacks=False,
    evals=False,
)

POLICY = """
version = 1

[workflow.shop-questions]
routes = ["amount", "count", "ratio", "sentence", "chart"]
confidence_floor = 0.7
context_expected = false

[workflow.shop-questions.evidence."$.value"]
threshold = 0.8
masked_as = ["LOCATION"]
next_steps = { missing_citation = ["retry", "review"], weak_provenance = ["review"] }

[[workflow.shop-questions.review]]
name = "answered with a doubtful kind of question"
question = "Which figure was meant?"
when = { confidence_below = 0.6 }
"""

_clients: dict[str, Client] = {}


def prepare(provider: Any) -> Callable[[], None]:
    """Instrument LangChain and sqlite3."""
    from openinference.instrumentation.langchain import LangChainInstrumentor
    from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor

    chains, tables = LangChainInstrumentor(), SQLite3Instrumentor()
    chains.instrument(tracer_provider=provider)
    _clients["langchain"] = langchain()
    _tables.append((tables, provider))

    def undo() -> None:
        _tables.clear()
        chains.uninstrument()

    return undo


_tables: list[tuple[Any, Any]] = []


def run(form: Form, fault: Fault | None, around: Surroundings) -> str:
    """One question."""
    base = database(around.random)
    asked = ask(around.random, fault.name if fault else "")
    question = Question(base, asked, Bad(fault), around.random)

    if form is Form.OTEL:
        tables, provider = _tables[-1]

        def watched(book: Book) -> None:
            question.base = tables.instrument_connection(base, tracer_provider=provider)
            question.run(book)

        root = (
            "answer_question",
            {
                "openinference.span.kind": "AGENT",
                "input.value": asked.text,
                "user.id": asked.asker,
                "metadata": '{"app": "shop-questions"}',
            },
        )
        return on_spans(
            around.otel,
            "shop-questions",
            root,
            dialect=Inference(silent=frozenset({"input", "prompt"})),
            client=_clients["langchain"],
            work=watched,
        )
    habit = WHOLE if form is Form.FULL else HURRIED
    return on_line(NAME, around, habit, question.run, about=asked.text)


WORKFLOW = Workflow(name=NAME, shape="sql", faults=FAULTS, run=run, policy=POLICY, prepare_otel=prepare)

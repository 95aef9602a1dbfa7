"""Clauses of contracts: extraction with masking, evidence for every field, and human review.

In the form `otel` the models are reached by the `openai` package under OpenInference's instrumentation; other steps are
spans with OpenInference's attributes.
"""

from collections.abc import Callable
from typing import Any

from benchmarks.zoo.protocol import Fault, Form, Surroundings, Workflow
from benchmarks.zoo.sealed.book import WHOLE, Bad, Habit, Kept, on_line
from benchmarks.zoo.sealed.clauses.faults import FAULTS
from benchmarks.zoo.sealed.clauses.work import Extraction, make
from benchmarks.zoo.sealed.inference import Inference
from benchmarks.zoo.sealed.spans import Client, on_spans

NAME = "clause-desk"
HURRIED = Habit(
    steps={
        "model_call": Kept(
            "model_call",
            frozenset(
                {
                    "model_name",
                    "prompt_version",
                    "prompt_id",
                    "raw_output_ref",
                    "input_tokens",
                    "output_tokens",
                    "cost_usd",
                }
            ),
            measures=True,
        ),
        "validate": Kept("validate", frozenset({"validation_errors"})),
        "custom:normalise": Kept("custom", frozenset(), name="post", words=True),
        "tool": Kept("tool", frozenset({"raw_output_ref"})),
    },
    evidence=False,
)

POLICY = """
version = 1

[workflow.clause-desk]
routes = ["services", "licence", "nda"]
confidence_floor = 0.7
parse_quality_floor = 0.8
threshold = 0.6
support_floor = 0.3
context_expected = true

[workflow.clause-desk.evidence."$.liability_cap"]
threshold = 0.7
masked_as = ["MONEY"]

[workflow.clause-desk.evidence."$.governing_law"]
masked_as = ["LOCATION"]

[workflow.clause-desk.evidence."$.auto_renewal"]
required = false

[workflow.clause-desk.next_steps]
missing_citation = ["review"]
weak_provenance = ["retry", "review"]

[[workflow.clause-desk.review]]
name = "field without evidence"
question = "Where does it stand?"
when = { gap = "missing_citation" }
priority = 2
"""

_clients: dict[str, Client] = {}


def prepare(provider: Any) -> Callable[[], None]:
    """Instrument the `openai` package."""
    from openinference.instrumentation.openai import OpenAIInstrumentor

    from benchmarks.zoo.sealed.clients import OpenAiClient

    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    _clients["openai"] = OpenAiClient()

    def undo() -> None:
        instrumentor.uninstrument()

    return undo


def run(form: Form, fault: Fault | None, around: Surroundings) -> str:
    """One contract."""
    contract = make(around.random)
    work = Extraction(contract, Bad(fault), around.random).run
    if form is Form.OTEL:
        root = ("extract_clauses", {"openinference.span.kind": "CHAIN", "input.value": contract.pages[0]})
        dialect = Inference(silent=frozenset({"input", "prompt", "output"}))
        return on_spans(around.otel, "clauses", root, dialect=dialect, client=_clients["openai"], work=work)
    habit = WHOLE if form is Form.FULL else HURRIED
    return on_line(NAME, around, habit, work, about="\f".join(contract.pages), labels={"product": "contracts"})


WORKFLOW = Workflow(name=NAME, shape="extraction", faults=FAULTS, run=run, policy=POLICY, prepare_otel=prepare)

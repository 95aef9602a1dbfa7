"""A voice assistant for house and bank: speech, intent, slots, tool, answer, in sessions of several turns.

In the form `otel` all spans are written by hand with the SDK, after the GenAI semantic conventions.
"""

from collections.abc import Callable
from typing import Any

from benchmarks.zoo.protocol import Fault, Form, Surroundings, Workflow
from benchmarks.zoo.sealed.book import WHOLE, Bad, Habit, Kept, on_line
from benchmarks.zoo.sealed.model import Ask, Model, Said
from benchmarks.zoo.sealed.semconv import GenAi
from benchmarks.zoo.sealed.spans import on_spans
from benchmarks.zoo.sealed.troubles import Trouble
from benchmarks.zoo.sealed.voice.faults import FAULTS
from benchmarks.zoo.sealed.voice.work import Assistant, make

NAME = "home-voice"
HURRIED = Habit(
    steps={
        "model_call": Kept(
            "model_call",
            frozenset(
                {
                    "model_name",
                    "model_provider",
                    "prompt_version",
                    "raw_output_ref",
                    "input_tokens",
                    "output_tokens",
                    "cost_usd",
                }
            ),
        ),
        "classify:intent": Kept("classify", frozenset({"route", "route_confidence"})),
        "parse:speech": Kept("custom", frozenset({"confidence", "raw_output_ref"}), name="stt"),
        "tool": Kept("tool", frozenset({"input_ref", "raw_output_ref"})),
    },
    evidence=False,
    reviews=False,
)

POLICY = """
version = 1

[workflow.home-voice]
routes = ["transfer", "heating", "light", "balance", "reminder", "house", "bank"]
confidence_floor = 0.6
parse_quality_floor = 0.7
idle_timeout_s = 60.0

[workflow.home-voice.evidence."$.amount"]
threshold = 0.8
masked_as = ["NUMBER", "IBAN"]
next_steps = { missing_citation = ["review", "safe_stop"], weak_provenance = ["review"] }

[workflow.home-voice.evidence."$.payee"]
threshold = 0.8
masked_as = ["PERSON"]
next_steps = { missing_citation = ["review", "safe_stop"], weak_provenance = ["review"] }

[[workflow.home-voice.review]]
name = "money moved on thin evidence"
question = "Did the customer say that?"
when = { gap = "missing_citation", route = "transfer" }
priority = 1
"""


def by_hand(provider: Any) -> Callable[[Model, Ask, Callable[[], Said]], Said]:
    """A client of a provider that no library instruments: the team writes its `chat` spans itself."""
    tracer = provider.get_tracer("voice.models")

    def call(model: Model, ask: Ask, attempt: Callable[[], Said]) -> Said:
        asked = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": model.provider,
            "gen_ai.request.model": model.name,
            "gen_ai.request.temperature": ask.temperature,
            "gen_ai.request.max_tokens": ask.max_tokens,
            "voice.prompt": f"{ask.prompt_id}@{ask.prompt_version}",
            "voice.step": ask.step,
        }
        with tracer.start_as_current_span(f"chat {model.name}", attributes=asked) as span:
            try:
                said = attempt()
            except Trouble as trouble:
                span.set_attribute("error.type", str(trouble.status))
                raise
            span.set_attributes(
                {
                    "gen_ai.response.model": model.name,
                    "gen_ai.usage.input_tokens": said.input_tokens,
                    "gen_ai.usage.output_tokens": said.output_tokens,
                    "gen_ai.response.finish_reasons": [said.finish],
                    "voice.cost_usd": said.cost,
                }
            )
            return said

    return call


def run(form: Form, fault: Fault | None, around: Surroundings) -> str:
    """One turn."""
    turn = make(around.random, around.number, fault.name if fault else "")
    work = Assistant(turn, Bad(fault), around.random).run
    if form is Form.OTEL:
        root = (
            "invoke_agent home-voice",
            {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": NAME,
                "gen_ai.conversation.id": turn.session,
                "session.id": turn.session,
            },
        )
        dialect = GenAi("voice", content=False, silent=frozenset({"input", "prompt", "output", "mask"}))
        return on_spans(around.otel, "voice", root, dialect=dialect, client=by_hand(around.otel), work=work)
    habit = WHOLE if form is Form.FULL else HURRIED
    return on_line(NAME, around, habit, work, about=turn.said, labels={"session.id": turn.session})


WORKFLOW = Workflow(name=NAME, shape="classification", faults=FAULTS, run=run, policy=POLICY)

"""An agent of OpenAI's Agents SDK with a tool and a guardrail, under OpenInference's instrumentation."""

from agents import Agent, GuardrailFunctionOutput, Runner, function_tool, input_guardrail, set_default_openai_api
from openinference.instrumentation import using_session, using_user
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
OpenAIAgentsInstrumentor().instrument(tracer_provider=provider, exclusive_processor=True)
set_default_openai_api("chat_completions")


@function_tool
def search(question: str) -> str:
    """Look into the contract."""
    return "Notice is thirty days."


@input_guardrail
async def is_about_contracts(context, agent, given):
    """Only questions about contracts are answered."""
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered=False)


agent = Agent(
    name="contracts", instructions="Answer from the contract.", model="gpt-4o-mini",
    tools=[search], input_guardrails=[is_about_contracts],
)
try:
    with using_session("session-7"), using_user("user-12"):
        Runner.run_sync(agent, "How long is the notice?", max_turns=3)
finally:
    provider.shutdown()

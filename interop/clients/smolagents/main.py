"""A tool-calling agent of smolagents under OpenInference's instrumentation."""

import os

from openinference.instrumentation.smolagents import SmolagentsInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
SmolagentsInstrumentor().instrument(tracer_provider=provider)

from smolagents import OpenAIServerModel, ToolCallingAgent, tool  # noqa: E402 - instrumented first


@tool
def search(question: str) -> str:
    """Look into the contract.

    Args:
        question: what is asked.
    """
    return "Notice is thirty days."


model = OpenAIServerModel("gpt-4o-mini", api_base=os.environ["OPENAI_BASE_URL"], api_key="none", temperature=0.0)
agent = ToolCallingAgent(tools=[search], model=model, name="contracts", max_steps=2)
try:
    agent.run("How long is the notice?")
finally:
    provider.shutdown()

"""An agent of the Strands SDK with a tool; its own telemetry."""

import os

from strands import Agent, tool
from strands.models.openai import OpenAIModel
from strands.telemetry import StrandsTelemetry

telemetry = StrandsTelemetry()
telemetry.setup_otlp_exporter()


@tool
def search(question: str) -> str:
    """Look into the contract."""
    return "Notice is thirty days."


model = OpenAIModel(
    client_args={"api_key": "none", "base_url": os.environ["OPENAI_BASE_URL"], "max_retries": 0},
    model_id="gpt-4o-mini", params={"temperature": 0.0},
)
agent = Agent(
    model=model, name="contracts", tools=[search], system_prompt="Answer from the contract.", callback_handler=None,
    trace_attributes={"session.id": "session-7", "user.id": "user-12"},
)
try:
    agent("How long is the notice?")
finally:
    telemetry.tracer_provider.shutdown()

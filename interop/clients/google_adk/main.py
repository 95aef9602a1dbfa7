"""An agent of Google's Agent Development Kit with a tool; its own telemetry, its model played here."""

import asyncio
import os

from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmResponse
from google.adk.runners import InMemoryRunner
from google.genai import types
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)


class Played(BaseLlm):
    """Asks for the tool once, then answers."""

    async def generate_content_async(self, request, stream=False):
        """One answer."""
        if os.environ["OPENAI_BASE_URL"].endswith("/fail/v1"):
            raise RuntimeError("The model is overloaded.")
        usage = types.GenerateContentResponseUsageMetadata(
            prompt_token_count=21, candidates_token_count=8, total_token_count=29
        )
        is_told = any(part.function_response for content in request.contents for part in content.parts or ())
        part = (
            types.Part(text="The notice period is 30 days.")
            if is_told
            else types.Part(function_call=types.FunctionCall(name="search", args={"question": "notice"}))
        )
        yield LlmResponse(content=types.Content(role="model", parts=[part]), usage_metadata=usage)


def search(question: str) -> dict:
    """Look into the contract."""
    return {"found": "Notice is thirty days."}


async def main():
    """Ask once."""
    agent = LlmAgent(name="contracts", model=Played(model="gemini-2.5-flash"), instruction="Answer.", tools=[search])
    runner = InMemoryRunner(agent=agent, app_name="app")
    session = await runner.session_service.create_session(app_name="app", user_id="user-12", session_id="session-7")
    question = types.Content(role="user", parts=[types.Part(text="How long is the notice?")])
    async for _ in runner.run_async(user_id="user-12", session_id=session.id, new_message=question):
        pass


try:
    asyncio.run(main())
finally:
    provider.shutdown()

"""A Pydantic AI agent with a tool, through Logfire's SDK, which sends nothing to Logfire."""

import logfire
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel

logfire.configure(send_to_logfire=False, service_name="app", console=False)
logfire.instrument_pydantic_ai()
agent = Agent(OpenAIChatModel("gpt-4o-mini"), name="answer", instructions="Answer from the contract.")
with logfire.span("answer a question"):
    agent.run_sync("How long is the notice?", model_settings={"temperature": 0.0})
logfire.shutdown()

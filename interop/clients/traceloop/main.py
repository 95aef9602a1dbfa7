"""OpenLLMetry: Traceloop's SDK, its decorators, and OpenAI's client."""

import os

from openai import OpenAI
from traceloop.sdk import Traceloop
from traceloop.sdk.decorators import task, workflow

Traceloop.init(app_name="app", api_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"], disable_batch=True,
               telemetry_enabled=False)


@task(name="search")
def search(question):
    """What a retriever would do."""
    return ["contract-7"]


@workflow(name="answer a question")
def ask(question):
    """One question."""
    search(question)
    said = OpenAI().chat.completions.create(model="gpt-4o-mini", temperature=0,
                                            messages=[{"role": "user", "content": question}])
    return said.choices[0].message.content


ask("How long is the notice?")

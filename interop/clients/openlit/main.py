"""OpenAI's client under OpenLIT's instrumentation."""

import os

import openlit
from openai import OpenAI

openlit.init(otlp_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"], application_name="app", disable_batch=True,
             disable_metrics=True)
with openlit.start_trace(name="answer a question"):
    OpenAI().chat.completions.create(
        model="gpt-4o-mini", temperature=0,
        messages=[{"role": "user", "content": "How long is the notice?"}],
    )

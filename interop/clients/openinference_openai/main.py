"""OpenAI's client under OpenInference's instrumentation."""

from openai import OpenAI
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument(tracer_provider=provider)
with trace.get_tracer("app").start_as_current_span("answer a question"):
    OpenAI().chat.completions.create(
        model="gpt-4o-mini", temperature=0, seed=7,
        messages=[{"role": "system", "content": "Answer from the contract."},
                  {"role": "user", "content": "How long is the notice?"}],
    )
provider.shutdown()

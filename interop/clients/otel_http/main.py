"""The plain SDK over OTLP/HTTP, with the names of the GenAI conventions."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("app")
with tracer.start_as_current_span("answer a question"):
    with tracer.start_as_current_span("search", attributes={"gen_ai.operation.name": "retrieval"}) as span:
        span.set_attribute("gen_ai.retrieval.documents", '[{"id": "contract-7", "score": 0.81}]')
    with tracer.start_as_current_span("chat gpt-4o-mini", kind=trace.SpanKind.CLIENT) as span:
        span.set_attributes({
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini", "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.request.temperature": 0.0, "gen_ai.usage.input_tokens": 21, "gen_ai.usage.output_tokens": 8,
            "gen_ai.response.finish_reasons": ["stop"],
        })
provider.shutdown()

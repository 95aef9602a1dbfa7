"""OpenTelemetry's own instrumentation of OpenAI's client, whose content travels as log records."""

from openai import OpenAI
from opentelemetry import _logs, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

spans, logs = TracerProvider(), LoggerProvider()
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
trace.set_tracer_provider(spans)
_logs.set_logger_provider(logs)
OpenAIInstrumentor().instrument()
with trace.get_tracer("app").start_as_current_span("answer a question"):
    OpenAI().chat.completions.create(
        model="gpt-4o-mini", temperature=0, messages=[{"role": "user", "content": "How long is the notice?"}]
    )
spans.shutdown()
logs.shutdown()

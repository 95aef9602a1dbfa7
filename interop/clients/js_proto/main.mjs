// The JavaScript SDK with its protobuf exporter.
import { trace, SpanKind } from "@opentelemetry/api";
import { NodeTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";

const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
provider.register();
const tracer = trace.getTracer("app");
tracer.startActiveSpan("answer a question", (root) => {
  tracer.startActiveSpan("chat gpt-4o-mini", { kind: SpanKind.CLIENT }, (span) => {
    span.setAttributes({
      "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
      "gen_ai.response.model": "gpt-4o-mini-2024-07-18", "gen_ai.request.temperature": 0.5,
      "gen_ai.usage.input_tokens": 21, "gen_ai.usage.output_tokens": 8, "app.score": NaN, "app.large": 1e21,
    });
    span.end();
  });
  root.end();
});
await provider.shutdown();

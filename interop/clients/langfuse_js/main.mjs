// Langfuse's JavaScript SDK, which speaks JSON to a path of its own.
import { LangfuseSpanProcessor } from "@langfuse/otel";
import { startActiveObservation, startObservation } from "@langfuse/tracing";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const processor = new LangfuseSpanProcessor();
const provider = new NodeTracerProvider({ spanProcessors: [processor] });
provider.register();
await startActiveObservation("answer a question", async (root) => {
  root.update({ input: "How long is the notice?" });
  const call = startObservation("chat", {
    model: "gpt-4o-mini", modelParameters: { temperature: 0 }, input: [{ role: "user", content: "How long is the notice?" }],
  }, { asType: "generation" });
  call.update({ output: "The notice period is 30 days.", usageDetails: { input: 21, output: 8 } }).end();
  root.update({ output: "The notice period is 30 days." });
});
await processor.forceFlush();
await provider.shutdown();

// Vercel's AI SDK with its telemetry on.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText } from "ai";
import { NodeTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";

const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
provider.register();
const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: "none" });
await generateText({
  model: openai.chat("gpt-4o-mini"),
  temperature: 0,
  prompt: "How long is the notice?",
  experimental_telemetry: { isEnabled: true, functionId: "answer a question" },
});
await provider.shutdown();

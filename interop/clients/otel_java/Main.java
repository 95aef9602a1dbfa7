import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.context.Scope;
import io.opentelemetry.exporter.otlp.http.trace.OtlpHttpSpanExporter;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.export.BatchSpanProcessor;

/** The plain Java SDK, entered by a gateway that is traced elsewhere. */
public class Main {
  public static void main(String[] arguments) {
    SdkTracerProvider provider =
        SdkTracerProvider.builder()
            .setResource(Resource.create(io.opentelemetry.api.common.Attributes.of(
                AttributeKey.stringKey("service.name"), System.getenv("OTEL_SERVICE_NAME"))))
            .addSpanProcessor(BatchSpanProcessor.builder(OtlpHttpSpanExporter.builder()
                .setEndpoint(System.getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")).build()).build())
            .build();
    Tracer tracer = provider.get("app");
    boolean fails = System.getenv("OPENAI_BASE_URL").endsWith("/fail/v1");
    Context gateway = Context.root().with(Span.wrap(SpanContext.createFromRemoteParent(
        "5b8aa5a2d2c872e8321cf37308d69df2", "051581bf3cb55c13", TraceFlags.getSampled(), TraceState.getDefault())));
    Span entry = tracer.spanBuilder("POST /ask").setParent(gateway).setSpanKind(SpanKind.SERVER)
        .setAttribute("http.request.method", "POST").setAttribute("http.route", "/ask").startSpan();
    try (Scope ignored = entry.makeCurrent()) {
      Span agent = tracer.spanBuilder("invoke_agent contracts")
          .setAttribute("gen_ai.operation.name", "invoke_agent").setAttribute("gen_ai.agent.name", "contracts")
          .setAttribute("gen_ai.conversation.id", "session-7").startSpan();
      try (Scope inner = agent.makeCurrent()) {
        Span call = tracer.spanBuilder("chat gpt-4o-mini").setSpanKind(SpanKind.CLIENT)
            .setAttribute("gen_ai.operation.name", "chat").setAttribute("gen_ai.provider.name", "openai")
            .setAttribute("gen_ai.request.model", "gpt-4o-mini").setAttribute("gen_ai.request.temperature", 0.0)
            .startSpan();
        if (fails) {
          call.setAttribute("error.type", "429");
          call.setStatus(StatusCode.ERROR, "The model is overloaded.");
          call.recordException(new IllegalStateException("The model is overloaded."));
          entry.setStatus(StatusCode.ERROR);
        } else {
          call.setAttribute("gen_ai.response.model", "gpt-4o-mini-2024-07-18")
              .setAttribute("gen_ai.usage.input_tokens", 21).setAttribute("gen_ai.usage.output_tokens", 8);
        }
        call.end();
      }
      agent.end();
    }
    entry.end();
    provider.shutdown().join(10, java.util.concurrent.TimeUnit.SECONDS);
  }
}

"""Spans of a real OpenTelemetry SDK, sent by its own exporters, are runs in ClickHouse."""

from collections.abc import Callable

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from causeline.console.store import open_store
from causeline.producers.artifacts import ArtifactStore
from causeline.stack.endpoints import Endpoints
from causeline.stack.waiting import wait_until

pytestmark = pytest.mark.stack

EXPORTERS: dict[str, Callable[[Endpoints], SpanExporter]] = {
    "http": lambda stack: HttpExporter(f"{stack.otlp_url}/v1/traces", compression=Compression.Gzip),
    "grpc": lambda stack: GrpcExporter(stack.otlp_grpc_url, insecure=True),
}


@pytest.mark.parametrize("way", EXPORTERS)
def test_an_sdk_that_is_pointed_at_the_stack_gives_runs(stack: Endpoints, way: str) -> None:
    provider = TracerProvider(
        resource=Resource({"service.name": "shop", "causeline.project": "otlp"}), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(EXPORTERS[way](stack)))
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span(f"answer by {way}") as root:
        chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-x", "gen_ai.output.messages": f"30 {way}"}
        with tracer.start_as_current_span("chat gpt-x", attributes=chat):
            pass
    run_id = f"{root.get_span_context().trace_id:032x}"
    assert provider.force_flush(10_000)
    provider.shutdown()
    with open_store(stack.clickhouse()) as store:
        query = (
            "SELECT workflow, verdict, model_name, raw_output_ref, arraySort(steps.step_name) AS step_names"
            " FROM runs WHERE run_id = {run:String}"
        )
        rows = wait_until(lambda: store.ask(query, {"run": run_id}), timeout_s=30, what="the trace is no run")
    [row] = rows
    assert (row["workflow"], row["verdict"], row["model_name"]) == ("shop", "complete", "gpt-x")
    assert row["step_names"] == [f"answer by {way}", "chat gpt-x"]
    assert ArtifactStore.open(stack.artifacts).get(str(row["raw_output_ref"])) == f"30 {way}".encode()

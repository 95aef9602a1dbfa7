"""Does the OpenTelemetry runs of one workflow and writes what its exporter would send: run by `recorded.py`, in an
environment that has the instrumentation libraries. Knows nothing of Causeline but the protocol of the zoo.

Output: frames of a length (4 bytes, big-endian) and a body; first a JSON line with the run id and its fault, then an
OTLP request of all the spans that ended during the run.
"""

import argparse
import json
import struct
import tempfile
from pathlib import Path

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks.zoo.halves import workflows
from benchmarks.zoo.plan import Sizes, plan
from benchmarks.zoo.protocol import Form, Surroundings
from causeline import ArtifactStore


def main() -> None:
    """Record one workflow."""
    parser = argparse.ArgumentParser()
    parser.add_argument("half")
    parser.add_argument("workflow")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--clean", type=int, required=True)
    parser.add_argument("--faulty", type=int, required=True)
    options = parser.parse_args()
    workflow = next(each for each in workflows(options.half) if each.name == options.workflow)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": workflow.name}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    undo = workflow.prepare_otel(provider) if workflow.prepare_otel is not None else None
    with tempfile.TemporaryDirectory(prefix="causeline-zoo-") as folder, options.out.open("wb") as out:
        artifacts = ArtifactStore.open(folder)
        for each in plan(workflow, Form.OTEL, options.seed, Sizes(options.clean, options.faulty)):
            around = Surroundings(
                random=each.random, artifacts=artifacts, tracer=None, otel=provider, number=each.number
            )
            run_id = workflow.run(Form.OTEL, each.fault, around)
            truth = {"run_id": run_id, "fault": each.fault.name if each.fault else None}
            spans = exporter.get_finished_spans()
            exporter.clear()
            for body in (json.dumps(truth).encode(), encode_spans(spans).SerializeToString()):
                out.write(struct.pack(">I", len(body)) + body)
    if undo is not None:
        undo()


if __name__ == "__main__":
    main()

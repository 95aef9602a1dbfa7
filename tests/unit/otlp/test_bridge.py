"""The SDK-side bridge: the same spans give the same events as by OTLP."""

from pathlib import Path

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from causeline.otlp.bridge import Exporter, SpanProcessor
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.emitter.emitter import Emitter
from tests.unit.otlp.endpoint import Door
from tests.unit.otlp.requests import Recorded, answer_a_question
from tests.unit.producers.recording import QUICK


def test_spans_by_the_bridge_are_the_events_that_otlp_gives(tmp_path: Path) -> None:
    app = Recorded()
    answer_a_question(app)
    door = Door(tmp_path)
    try:
        door.post(app.body())
        by_otlp = sorted(door.events)
        door.transport.sent.clear()
        emitter = Emitter(QUICK, transport=lambda: door.transport)
        exporter = Exporter(emitter=emitter, artifacts=ArtifactStore.open(tmp_path), project="tests")
        exporter.export(app.spans)
        assert exporter.force_flush()
        exporter.shutdown()
        assert sorted(door.events) == by_otlp
    finally:
        door.close()


def test_a_processor_publishes_what_ends(tmp_path: Path) -> None:
    door = Door(tmp_path)
    try:
        provider = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
        provider.add_span_processor(SpanProcessor(emitter=Emitter(QUICK, transport=lambda: door.transport)))
        with provider.get_tracer("tests").start_as_current_span("answer"):
            pass
        assert provider.force_flush(5000)
        assert [run.workflow for run in door.runs.values()] == ["shop"]
        provider.shutdown()
    finally:
        door.close()

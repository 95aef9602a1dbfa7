"""The bridge for applications that use the OpenTelemetry SDK: their spans go straight to Kafka, without OTLP.

    from causeline.otel import SpanProcessor
    provider.add_span_processor(SpanProcessor())          # settings from CAUSELINE_…

The same mapping as the receiver's, so that a trace is the same run whichever way it comes. Needs `causeline[otlp]` and
the application's own `opentelemetry-sdk`.
"""

import logging
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode as SdkStatusCode
from opentelemetry.util.types import Attributes as SdkAttributes

from causeline.producers.artifacts import ArtifactStore
from causeline.producers.emitter import Emitter
from causeline.producers.otlp.encoding import encoded, kept
from causeline.producers.otlp.keeping import Keeper, MaskText
from causeline.producers.otlp.telemetry import Attributes, Origin, Received, Span, SpanEvent, StatusCode, Value
from causeline.schemas.errors import CauselineError

__all__ = ["Exporter", "SpanProcessor"]

_LOG = logging.getLogger(__name__)
_STATUS = {SdkStatusCode.OK: StatusCode.OK, SdkStatusCode.ERROR: StatusCode.ERROR}


class Exporter(SpanExporter):
    """Publishes the SDK's spans as trace events. Content goes to `artifacts` (None drops it), masked by `mask`."""

    def __init__(
        self,
        *,
        emitter: Emitter | None = None,
        artifacts: ArtifactStore | None = None,
        project: str = "default",
        mask: MaskText | None = None,
    ) -> None:
        self._emitter = emitter or Emitter()
        self._keeper = Keeper(artifacts, mask)
        self._project = project

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Publish spans; FAILURE where the emitter's buffer is full or the content cannot be kept. Never raises."""
        received = Received()
        for span in spans:
            if (plain := _plain(span)) is not None:
                received.take(plain)
        try:
            drafts = kept(received, self._project, self._keeper)
        except CauselineError as error:
            _LOG.warning("Spans were not published: %s", error)
            return SpanExportResult.FAILURE
        items = encoded(drafts, received)
        if received.rejected:
            _LOG.warning("Spans were not published: %s.", received.message())
        taken = [self._emitter.emit(*item) for item in items]
        return SpanExportResult.SUCCESS if all(taken) else SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Whether everything was delivered in time."""
        return not self._emitter.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Flush and stop."""
        self._emitter.close()


class SpanProcessor(BatchSpanProcessor):
    """The SDK's own batch processor, publishing to Kafka: spans are mapped off the application's path."""

    def __init__(
        self,
        *,
        emitter: Emitter | None = None,
        artifacts: ArtifactStore | None = None,
        project: str = "default",
        mask: MaskText | None = None,
    ) -> None:
        self.exporter = Exporter(emitter=emitter, artifacts=artifacts, project=project, mask=mask)
        super().__init__(self.exporter)

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        """Whether everything was delivered in time."""
        flushed = super().force_flush(timeout_millis)
        return self.exporter.force_flush(timeout_millis or 30_000) and flushed


def _plain(span: ReadableSpan) -> Span | None:
    context = span.get_span_context()
    if context is None:
        return None
    resource = _attributes(span.resource.attributes)
    scope = span.instrumentation_scope
    return Span(
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        f"{span.parent.span_id:016x}" if span.parent is not None else None,
        span.name,
        (span.start_time or 0) // 1000,
        (span.end_time or 0) // 1000,
        _STATUS.get(span.status.status_code, StatusCode.UNSET),
        _attributes(span.attributes),
        Origin(resource, scope.name if scope is not None else ""),
        tuple(SpanEvent(each.name, each.timestamp // 1000, _attributes(each.attributes)) for each in span.events),
        tuple((f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") for link in span.links),
    )


def _attributes(said: SdkAttributes) -> Attributes:
    found: dict[str, Value] = {}
    for key, value in (said or {}).items():
        found[key] = list(value) if isinstance(value, tuple | list) else value  # type: ignore[assignment] # narrower types
    return found

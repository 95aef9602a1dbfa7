"""The bridge for applications that use the OpenTelemetry SDK: their spans go straight to Kafka, without OTLP.

    from causeline.otlp.bridge import SpanProcessor
    provider.add_span_processor(SpanProcessor())          # settings from CAUSELINE_…

The same mapping as the receiver's, so that a trace is the same run whichever way it comes. Needs `causeline[otlp]` and
the application's own `opentelemetry-sdk`.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode as SdkStatusCode
from opentelemetry.util.types import Attributes as SdkAttributes

from causeline.otlp.receiver.content_store import Keeper, MaskText, mask_function
from causeline.otlp.receiver.encoding import encoded, kept
from causeline.otlp.receiver.settings import KeepContent, ReceiverSettings
from causeline.otlp.receiver.telemetry import (
    Attributes,
    Origin,
    Received,
    Span,
    SpanEvent,
    StatusCode,
    Value,
    span_kind,
)
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.emitter.emitter import Emitter
from causeline.schemas.errors import CauselineError

__all__ = ["Exporter", "SpanProcessor"]

log = logging.getLogger(__name__)
_STATUS = {SdkStatusCode.OK: StatusCode.OK, SdkStatusCode.ERROR: StatusCode.ERROR}


class Exporter(SpanExporter):
    """Publishes the SDK's spans as trace events.

    Content goes, masked by `mask`, to `artifacts`, else to the store that CAUSELINE_ARTIFACTS or CAUSELINE_STATE_DIR
    names; without any, or with CAUSELINE_RECEIVE_CONTENT=drop, it is dropped, which is said once at the start. The
    receiver's settings hold here too: CAUSELINE_RECEIVE_LABELS, …_USER_IDS, …_USER_KEY, …_DECISIONS.
    """

    def __init__(
        self,
        *,
        emitter: Emitter | None = None,
        artifacts: ArtifactStore | None = None,
        project: str | None = None,
        mask: MaskText | None = None,
    ) -> None:
        self._emitter = emitter or Emitter()
        settings = ReceiverSettings.from_environment()
        store = None if settings.content is KeepContent.DROP else artifacts or _store_of_environment()
        if store is None:
            log.warning(
                "Prompts, answers and other content of spans are not kept: CAUSELINE_ARTIFACTS names no artifact store."
            )
        self._keeper = Keeper(store, mask or mask_function(settings.mask))
        rules, self._decides = settings.rules(), settings.decisions
        self._rules = rules if project is None else replace(rules, project=project)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Publish spans; FAILURE where the emitter's buffer is full or the content cannot be kept. Never raises."""
        received = Received()
        for span in spans:
            if (plain := _plain(span)) is not None:
                received.take(plain)
        try:
            drafts = kept(received, self._rules, self._keeper)
        except CauselineError as error:
            log.warning("Spans were not published: %s", error)
            return SpanExportResult.FAILURE
        items = encoded(drafts, received)
        if received.rejected:
            log.warning("Spans were not published: %s.", received.message())
        taken = [item.emit(self._emitter, decides=self._decides) for item in items]
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
        project: str | None = None,
        mask: MaskText | None = None,
    ) -> None:
        self.exporter = Exporter(emitter=emitter, artifacts=artifacts, project=project, mask=mask)
        super().__init__(self.exporter)

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        """Whether everything was delivered in time."""
        flushed = super().force_flush(timeout_millis)
        return self.exporter.force_flush(timeout_millis or 30_000) and flushed


def _store_of_environment() -> ArtifactStore | None:
    named = ("CAUSELINE_ARTIFACTS", "CAUSELINE_STATE_DIR")
    return ArtifactStore.from_environment() if any(os.environ.get(name) for name in named) else None


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
        Origin(resource, scope.name, _attributes(scope.attributes)) if scope is not None else Origin(resource),
        tuple(SpanEvent(each.name, each.timestamp // 1000, _attributes(each.attributes)) for each in span.events),
        tuple((f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") for link in span.links),
        span_kind(f"SPAN_KIND_{span.kind.name}"),
        span.parent.is_remote if span.parent is not None else None,
        tuple(_besides(span)),
    )


def _besides(span: ReadableSpan) -> Iterator[tuple[str, Value]]:
    if span.status.description:
        yield "status.message", span.status.description
    for place, link in enumerate(span.links):
        for key, value in _attributes(link.attributes).items():
            yield f"link.{place}:{key}", value


def _attributes(said: SdkAttributes) -> Attributes:
    found: dict[str, Value] = {}
    for key, value in (said or {}).items():
        found[key] = list(value) if isinstance(value, tuple | list) else value  # type: ignore[assignment] # narrower types
    return found

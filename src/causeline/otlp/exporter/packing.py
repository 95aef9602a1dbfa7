"""Runs into requests: bounded in spans and bytes, a run's spans together."""

from collections.abc import Iterable, Iterator

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from causeline.otlp.exporter.span_attributes import Style
from causeline.otlp.exporter.traces import linked_spans_of, resource_of, spans_of
from causeline.schemas.run import Run

_SCOPE = InstrumentationScope(name="causeline")


def requests(
    runs: Iterable[Run], *, style: Style, batch_spans: int, batch_bytes: int
) -> Iterator[tuple[bytes, list[str]]]:
    """Requests as bytes, each with the ids of its runs; an amended run gives what was said of it since only."""
    groups: list[ResourceSpans] = []
    run_ids: list[str] = []
    spans = size = 0
    for run in runs:
        group = _group(run, style, batch_bytes)
        if group is None:
            continue
        more, weight = len(group.scope_spans[0].spans), group.ByteSize()
        if groups and (spans + more > batch_spans or size + weight > batch_bytes):
            yield ExportTraceServiceRequest(resource_spans=groups).SerializeToString(), run_ids
            groups, run_ids, spans, size = [], [], 0, 0
        groups.append(group)
        run_ids.append(run.run_id)
        spans, size = spans + more, size + weight
    if groups:
        yield ExportTraceServiceRequest(resource_spans=groups).SerializeToString(), run_ids


def _group(run: Run, style: Style, batch_bytes: int) -> ResourceSpans | None:
    spans = [*([] if run.amended else spans_of(run, style)), *linked_spans_of(run)]
    if not spans:
        return None
    return ResourceSpans(
        resource=resource_of(run), scope_spans=[ScopeSpans(scope=_SCOPE, spans=_fitting(spans, batch_bytes))]
    )


def _fitting(spans: list[Span], batch_bytes: int) -> list[Span]:
    """The first spans that fit into one request; the root among them says when others are left out."""
    size = 0
    for place, span in enumerate(spans):
        size += span.ByteSize() + 8
        if size > batch_bytes and place:
            spans[0].dropped_links_count = len(spans) - place
            return spans[:place]
    return spans

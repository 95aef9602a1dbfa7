"""Requests as an SDK makes them: real spans of the OpenTelemetry SDK, encoded by its own exporter's code."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, Status, StatusCode, Tracer


class Recorded:
    """Spans of one application."""

    def __init__(self, **resource: str) -> None:
        self._exporter = InMemorySpanExporter()
        named = {name.replace("_", "."): value for name, value in resource.items()}
        provider = TracerProvider(resource=Resource({"service.name": "shop", **named}), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer: Tracer = provider.get_tracer("tests")

    @contextmanager
    def span(self, name: str, **attributes: object) -> Iterator[Span]:
        """A span whose attributes' dots are written as double underscores."""
        said = {key.replace("__", "."): value for key, value in attributes.items()}
        with self.tracer.start_as_current_span(name, attributes=said) as span:  # type: ignore[arg-type]
            yield span

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """What has ended, in that order."""
        return self._exporter.get_finished_spans()

    def request(self, *spans: ReadableSpan) -> ExportTraceServiceRequest:
        """The request for these spans, or for all."""
        return encode_spans(spans or self.spans)

    def body(self, *spans: ReadableSpan) -> bytes:
        """The same in bytes."""
        return self.request(*spans).SerializeToString()


def as_json(request: ExportTraceServiceRequest) -> bytes:
    """A request in OTLP's JSON, ids in hex: protobuf's own mapping has them in base64."""

    def hexed(item: object) -> object:
        if isinstance(item, list):
            return [hexed(each) for each in item]
        if isinstance(item, dict):
            return {
                key: _hex(value) if key in ("traceId", "spanId", "parentSpanId") else hexed(value)
                for key, value in item.items()
            }
        return item

    return json.dumps(hexed(MessageToDict(request, use_integers_for_enums=True))).encode()


def _hex(base64_text: str) -> str:
    import base64  # noqa: PLC0415 - of use here only

    return base64.b64decode(base64_text).hex()


def answer_a_question(app: Recorded) -> str:
    """A retrieval-augmented answer as instrumentations trace it; gives its trace id."""
    with app.span("answer", session__id="s-1", input__value="How long is the notice?") as root:
        with app.span(
            "search",
            openinference__span__kind="RETRIEVER",
            retrieval__documents__0__document__id="doc:contract#page=2",
            retrieval__documents__0__document__content="Notice is 30 days.",
            retrieval__documents__1__document__content="Nothing of use.",
        ):
            pass
        with app.span(
            "chat gpt-x",
            gen_ai__operation__name="chat",
            gen_ai__provider__name="openai",
            gen_ai__request__model="gpt-x",
            gen_ai__response__model="gpt-x-2026",
            gen_ai__request__temperature=0.25,
            gen_ai__request__top_p=1.0,
            gen_ai__request__seed=7,
            gen_ai__usage__input_tokens=120,
            gen_ai__usage__output_tokens=12,
            gen_ai__response__finish_reasons=["stop"],
            openai__response__system_fingerprint="fp_1",
            gen_ai__prompt__name="notice",
            gen_ai__prompt__version="3",
            gen_ai__input__messages='[{"role":"user","content":"How long is the notice?"}]',
            gen_ai__output__messages='[{"role":"assistant","content":"30 days"}]',
            cache__hit=True,
        ):
            pass
        with app.span("lookup", openinference__span__kind="TOOL", tool__name="lookup") as tool:
            tool.set_status(Status(StatusCode.ERROR))
            tool.record_exception(KeyError("secret customer name"))
    return f"{root.get_span_context().trace_id:032x}"


START_NS = 1_790_000_000_000_000_000
TRACE = "ab" * 16


def span_json(
    name: str,
    *,
    span: int = 1,
    parent: int | str | None = None,
    attributes: Mapping[str, Any] | None = None,
    at_ms: tuple[int, int] = (0, 1000),
    **more: Any,
) -> dict[str, Any]:
    """A span as OTLP's JSON has it: ids from small numbers, times in milliseconds since the trace began."""
    parent_id = f"{parent:016x}" if isinstance(parent, int) else parent
    said = {
        "traceId": TRACE,
        "spanId": f"{span:016x}",
        "parentSpanId": parent_id,
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(START_NS + at_ms[0] * 1_000_000),
        "endTimeUnixNano": str(START_NS + at_ms[1] * 1_000_000),
        "attributes": pairs_json(attributes or {}),
        **more,
    }
    return {key: value for key, value in said.items() if value is not None}


def event_json(name: str, attributes: Mapping[str, Any], at_ms: int = 0) -> dict[str, Any]:
    """A span event."""
    return {"name": name, "timeUnixNano": str(START_NS + at_ms * 1_000_000), "attributes": pairs_json(attributes)}


def traces_json(*spans: Mapping[str, Any], resource: Mapping[str, Any] | None = None, scope: str = "app") -> bytes:
    """A request for these spans."""
    of_resource = {"service.name": "shop"} if resource is None else resource
    group = {
        "resource": {"attributes": pairs_json(of_resource)},
        "scopeSpans": [{"scope": {"name": scope}, "spans": list(spans)}],
    }
    return json.dumps({"resourceSpans": [group]}).encode()


def pairs_json(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributes as OTLP's JSON has them."""
    return [{"key": key, "value": _value_json(value)} for key, value in attributes.items()]


def _value_json(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value_json(each) for each in value]}}
        case _:
            return {"stringValue": str(value)}

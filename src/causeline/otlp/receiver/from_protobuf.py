"""OTLP's protobuf form.

The message is parsed as a whole by protobuf's own C code. Where that fails, its parts are told apart by hand and each
span is parsed alone, so that one bad text does not cost its neighbours.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

from causeline.otlp.receiver.identity import parent_of, span_id_of, trace_id_of
from causeline.otlp.receiver.telemetry import (
    Attributes,
    LogRecord,
    Malformed,
    Origin,
    Received,
    Span,
    SpanEvent,
    StatusCode,
    Value,
    WrongSignal,
    is_remote,
    span_kind,
)
from causeline.schemas.otel_names import EVALUATION_EVENT

_RESOURCE, _SCOPE_LIST, _SCOPE, _ITEMS = 1, 2, 1, 2
"""Field numbers: ResourceSpans.resource, .scope_spans, ScopeSpans.scope, .spans; those of logs are the same."""
_LENGTH_DELIMITED = 2
_STATUS = {1: StatusCode.OK, 2: StatusCode.ERROR}
_NOT_TEXT = "a span that cannot be read (invalid UTF-8 or broken protobuf)"


def traces(body: bytes) -> Received:
    """The spans of an ExportTraceServiceRequest; raises Malformed, or WrongSignal for another signal's payload."""
    received = Received()
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        _salvage(body, received)
        return received
    for group in request.resource_spans:
        resource = attributes(group.resource.attributes)
        for scoped in group.scope_spans:
            _take(scoped, Origin(resource, scoped.scope.name, attributes(scoped.scope.attributes)), received)
    _refuse_other_signals(received)
    return received


def logs(body: bytes) -> Received:
    """The log records of an ExportLogsServiceRequest that belong to a span; raises Malformed."""
    received = Received()
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise Malformed("The body is not an OTLP logs request in protobuf.") from error
    for group in request.resource_logs:
        resource = attributes(group.resource.attributes)
        for scoped in group.scope_logs:
            _take_logs(scoped, Origin(resource, scoped.scope.name, attributes(scoped.scope.attributes)), received)
    return received


def attributes(pairs: Iterable[Any]) -> dict[str, Value]:
    """KeyValue pairs as a dict; of a key said twice the last stands."""
    found: dict[str, Value] = {}
    for pair in pairs:
        value = pair.value
        if text := value.string_value:  # most are texts, and one that is none is empty here
            found[pair.key] = text
            continue
        match value.WhichOneof("value"):
            case "string_value":
                found[pair.key] = value.string_value
            case "int_value":
                found[pair.key] = value.int_value
            case "double_value":
                found[pair.key] = value.double_value
            case "bool_value":
                found[pair.key] = value.bool_value
            case _:
                found[pair.key] = _nested(value)
    return found


def _nested(value: Any) -> Value:
    kind = value.WhichOneof("value")
    match kind:
        case None:
            return None
        case "array_value":
            return [_nested(each) for each in value.array_value.values]
        case "kvlist_value":
            return attributes(value.kvlist_value.values)
        case _:
            plain: Value = getattr(value, kind)
            return plain


def _take(scoped: ScopeSpans, origin: Origin, received: Received) -> None:
    for wire in scoped.spans:
        trace_id, span_id = trace_id_of(wire.trace_id), span_id_of(wire.span_id)
        if trace_id is None or span_id is None:
            received.reject("a span whose trace id is not 16 bytes, or whose span id not 8, or all zero")
            continue
        received.take(_span(wire, trace_id, span_id, origin))


def _span(wire: WireSpan, trace_id: str, span_id: str, origin: Origin) -> Span:
    code = wire.status.code
    return Span(
        trace_id,
        span_id,
        parent_of(wire.parent_span_id) if wire.parent_span_id else None,
        wire.name,
        wire.start_time_unix_nano // 1000,
        wire.end_time_unix_nano // 1000,
        _STATUS.get(code, StatusCode.UNSET),
        attributes(wire.attributes),
        origin,
        tuple(SpanEvent(each.name, each.time_unix_nano // 1000, attributes(each.attributes)) for each in wire.events),
        tuple(
            (trace, span)
            for each in wire.links
            if (trace := trace_id_of(each.trace_id)) and (span := span_id_of(each.span_id))
        ),
        span_kind(wire.kind),
        is_remote(wire.flags),
        tuple(_besides(wire)) if wire.status.message or wire.trace_state or wire.links else (),
    )


def _besides(wire: WireSpan) -> Iterator[tuple[str, Value]]:
    if wire.status.message:
        yield "status.message", wire.status.message
    if wire.trace_state:
        yield "trace_state", wire.trace_state
    for place, link in enumerate(wire.links):
        if link.trace_state:
            yield f"link.{place}:trace_state", link.trace_state
        for key, value in attributes(link.attributes).items():
            yield f"link.{place}:{key}", value


def _take_logs(scoped: ScopeLogs, origin: Origin, received: Received) -> None:
    for wire in scoped.log_records:
        trace_id, span_id = trace_id_of(wire.trace_id), span_id_of(wire.span_id)
        said = attributes(wire.attributes)
        name = wire.event_name or said.get("event.name")
        if trace_id is not None and name == EVALUATION_EVENT:
            span_id = span_id or ""
        if trace_id is None or span_id is None:
            received.reject("a log record that belongs to no span")
            continue
        at_us = (wire.time_unix_nano or wire.observed_time_unix_nano) // 1000
        received.logs.append(LogRecord(trace_id, span_id, str(name or ""), at_us, _nested(wire.body), said, origin))


def _refuse_other_signals(received: Received) -> None:
    # Metrics and logs have the same outer shape: their items decode as spans that have no ids.
    if received.rejected and not received.spans:
        raise WrongSignal(
            "None of its spans has ids, so this is no traces request.",
            hint="Logs go to /v1/logs; metrics are not taken.",
        )


# --- what a broken request still holds


def _salvage(body: bytes, received: Received) -> None:
    try:
        groups = [content for _, content in _fields(body)]
        for group in groups:
            parts = list(_fields(group))
            resource = _resource(parts)
            for number, scoped in parts:
                if number == _SCOPE_LIST:
                    _salvage_scope(scoped, resource, received)
    except ValueError as error:
        raise Malformed("The body is not an OTLP traces request in protobuf.") from error
    if not received.spans:
        raise Malformed("The body is not an OTLP traces request in protobuf.")


def _resource(parts: Iterable[tuple[int, bytes]]) -> Attributes:
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource  # noqa: PLC0415 - only for what is broken

    for number, content in parts:
        if number == _RESOURCE and (resource := _parsed(Resource, content)) is not None:
            return attributes(resource.attributes)
    return {}


def _salvage_scope(scoped: bytes, resource: Attributes, received: Received) -> None:
    from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope  # noqa: PLC0415

    origin = Origin(resource)
    for number, content in _fields(scoped):
        if number == _SCOPE and (scope := _parsed(InstrumentationScope, content)) is not None:
            origin = Origin(resource, scope.name, attributes(scope.attributes))
        elif number == _ITEMS:
            span = _parsed(WireSpan, content)
            if span is None:
                received.reject(_NOT_TEXT)
            else:
                _take(ScopeSpans(spans=[span]), origin, received)


def _parsed(kind: type[Any], content: bytes) -> Any:
    try:
        message: Message = kind.FromString(content)
    except DecodeError:
        return None
    return message


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a message; raises ValueError where it does not hold what it says."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 != _LENGTH_DELIMITED:
            raise ValueError("a field of another kind than bytes")
        size, at = _varint(message, at)
        if at + size > len(message):
            raise ValueError("a field longer than its message")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("a number that does not end")

"""OTLP's JSON form, read liberally: ids in hex or base64, numbers as texts, enums by name, either spelling of a key.

Not read by protobuf's JSON mapping, which takes hex ids for base64 and silently makes other ids of them.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from pydantic_core import from_json

from causeline.otlp.receiver.identity import parent_in, span_id_in, trace_id_in
from causeline.otlp.receiver.telemetry import (
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

Json: TypeAlias = Any
_MAX_DEPTH = 50
"""Values are followed so far; what lies deeper is null."""
_STATUS = {
    "STATUS_CODE_OK": StatusCode.OK, "STATUS_CODE_ERROR": StatusCode.ERROR, 1: StatusCode.OK, 2: StatusCode.ERROR,
    "1": StatusCode.OK, "2": StatusCode.ERROR, "OK": StatusCode.OK, "ERROR": StatusCode.ERROR,
}  # fmt: skip


def traces(body: bytes) -> Received:
    """The spans of an ExportTraceServiceRequest; raises Malformed, or WrongSignal for another signal's payload."""
    document = _document(body)
    if "resourceSpans" not in document and ("resourceLogs" in document or "resourceMetrics" in document):
        raise WrongSignal("This is no traces request.", hint="Logs go to /v1/logs; metrics are not taken.")
    _refuse_other_shapes(document)
    received, shape = Received(), _Shape()
    for origin, items in _scoped(document, "Spans", "spans", shape):
        for item in items:
            _take(item, origin, received)
    shape.tell(received, taken=len(received.spans))
    return received


def logs(body: bytes) -> Received:
    """The log records of an ExportLogsServiceRequest that belong to a span; raises Malformed."""
    document = _document(body)
    if "resourceLogs" not in document and "resourceSpans" in document:
        raise WrongSignal("This is no logs request.", hint="Spans go to /v1/traces.")
    received, shape = Received(), _Shape()
    for origin, items in _scoped(document, "Logs", "logRecords", shape):
        for item in items:
            _take_log(item, origin, received)
    shape.tell(received, taken=len(received.logs))
    return received


def _refuse_other_shapes(document: dict[str, Json]) -> None:
    if not document or _get(document, "resourceSpans") is not None or "resourceSpans" in document:
        return
    if "batches" in document or "trace" in document:
        raise Malformed(
            "This is a trace as Tempo answers it, not a request.",
            hint="Rename `batches` to `resourceSpans`, whose members are the same.",
        )
    raise Malformed(
        f"The body has {_shown(document)} and no `resourceSpans`.",
        hint='An OTLP request is {"resourceSpans": [{"scopeSpans": [{"spans": […]}]}]}.',
    )


def _shown(document: dict[str, Json]) -> str:
    known = [key for key in document if len(key) <= 40 and key.isidentifier()]
    return f"`{known[0]}`" if known else "other members"


def _document(body: bytes) -> dict[str, Json]:
    if not body:
        return {}
    try:
        document = from_json(body)
    except ValueError:
        try:  # slower, and forgives lone surrogates and more depth
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Malformed("The body is not JSON.") from error
    if not isinstance(document, dict):
        raise Malformed("The body is not an OTLP request: it should be a JSON object.")
    return document


class _Shape:
    """Reads the lists that a request is made of, and remembers where there was something else."""

    def __init__(self) -> None:
        self._wrong: list[str] = []
        self.hint = ""

    def items(self, holder: dict[str, Json], *names: str) -> list[dict[str, Json]]:
        """The objects of the first of these lists that is there; none where none is, or is null."""
        for name in names:
            found = _get(holder, name)
            if isinstance(found, list):
                if name == "instrumentationLibrarySpans":
                    self.hint = "instrumentationLibrarySpans is an old name of scopeSpans: update the exporter"
                objects = _objects(found)
                self._wrong += [f"an item of {name} that is not an object"] * (len(found) - len(objects))
                return objects
            if found is not None:
                self._wrong.append(f"{name} that is not a list")
        return []

    def tell(self, received: Received, taken: int) -> None:
        """Count what was wrong; raises Malformed where the request holds nothing besides."""
        if self._wrong and not taken:
            raise Malformed(f"The body is not an OTLP request: it has {self._wrong[0]}.")
        for reason in self._wrong:
            received.reject(reason)
        received.hint = self.hint


def _scoped(
    document: dict[str, Json], signal: str, items: str, shape: _Shape
) -> Iterator[tuple[Origin, list[dict[str, Json]]]]:
    for group in shape.items(document, f"resource{signal}"):
        resource = _attributes(_get(_object(_get(group, "resource")), "attributes"))
        for scoped in shape.items(group, f"scope{signal}", "instrumentationLibrarySpans"):
            scope = _object(_get(scoped, "scope") or _get(scoped, "instrumentationLibrary"))
            name, said = _text(_get(scope, "name")), _attributes(_get(scope, "attributes"))
            yield Origin(resource, name, said), shape.items(scoped, items)


def _take(item: dict[str, Json], origin: Origin, received: Received) -> None:
    trace_id, span_id = trace_id_in(_get(item, "traceId")), span_id_in(_get(item, "spanId"))
    if trace_id is None or span_id is None:
        received.reject("a span whose trace id is not 32 hex digits, or whose span id not 16, or all zero")
        return
    received.take(
        Span(
            trace_id,
            span_id,
            parent_in(_get(item, "parentSpanId")),
            _text(_get(item, "name")),
            _micros(_get(item, "startTimeUnixNano")),
            _micros(_get(item, "endTimeUnixNano")),
            _status(_get(item, "status")),
            _attributes(_get(item, "attributes")),
            origin,
            tuple(
                SpanEvent(_text(_get(e, "name")), _micros(_get(e, "timeUnixNano")), _attributes(_get(e, "attributes")))
                for e in _objects(_get(item, "events"))
            ),
            tuple(
                (trace, span)
                for link in _objects(_get(item, "links"))
                if (trace := trace_id_in(_get(link, "traceId"))) and (span := span_id_in(_get(link, "spanId")))
            ),
            span_kind(_get(item, "kind")),
            is_remote(_bits(_get(item, "flags"))),
            tuple(_besides(item)),
        )
    )


def _besides(item: dict[str, Json]) -> Iterator[tuple[str, Value]]:
    status = _get(item, "status")
    if isinstance(status, dict) and status.get("message"):
        yield "status.message", _text(status["message"])
    if state := _text(_get(item, "traceState")):
        yield "trace_state", state
    for place, link in enumerate(_objects(_get(item, "links"))):
        if state := _text(_get(link, "traceState")):
            yield f"link.{place}:trace_state", state
        for key, value in _attributes(_get(link, "attributes")).items():
            yield f"link.{place}:{key}", value


def _bits(content: Json) -> int:
    found = _whole(content)
    return found if isinstance(found, int) and 0 <= found < 2**32 else 0


def _take_log(item: dict[str, Json], origin: Origin, received: Received) -> None:
    trace_id, span_id = trace_id_in(_get(item, "traceId")), span_id_in(_get(item, "spanId"))
    said = _attributes(_get(item, "attributes"))
    name = _text(_get(item, "eventName")) or _text(said.get("event.name"))
    if trace_id is not None and name == EVALUATION_EVENT:
        span_id = span_id or ""
    if trace_id is None or span_id is None:
        received.reject("a log record that belongs to no span")
        return
    at_us = _micros(_get(item, "timeUnixNano")) or _micros(_get(item, "observedTimeUnixNano"))
    received.logs.append(LogRecord(trace_id, span_id, name, at_us, _value(_get(item, "body")), said, origin))


def _status(item: Json) -> StatusCode:
    code = _get(item, "code") if isinstance(item, dict) else None
    return _STATUS.get(code, StatusCode.UNSET) if isinstance(code, int | str) else StatusCode.UNSET


def _attributes(pairs: Json) -> dict[str, Value]:
    return {pair["key"]: _value(pair.get("value")) for pair in _objects(pairs) if isinstance(pair.get("key"), str)}


def _value(item: Json, depth: int = 0) -> Value:
    if not isinstance(item, dict) or depth > _MAX_DEPTH:
        return None
    for kind, content in item.items():
        if (read := _SCALARS.get(kind)) is not None:
            return read(content)
        if kind in ("arrayValue", "array_value"):
            return [_value(each, depth + 1) for each in _objects(_get(_object(content), "values"))]
        if kind in ("kvlistValue", "kvlist_value"):
            pairs = _objects(_get(_object(content), "values"))
            return {_text(pair.get("key")): _value(pair.get("value"), depth + 1) for pair in pairs}
    return None


def _get(item: dict[str, Json], key: str) -> Json:
    """A field by its camelCase name, else by its name in snake_case."""
    found = item.get(key)
    if found is None:
        found = item.get("".join(f"_{c.lower()}" if c.isupper() else c for c in key))
    return found


def _object(item: Json) -> dict[str, Json]:
    return item if isinstance(item, dict) else {}


def _objects(items: Json) -> list[dict[str, Json]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _text(content: Json) -> str:
    if not isinstance(content, str):
        return ""
    return content if content.isascii() else content.encode("utf-8", "replace").decode()


def _whole(content: Json) -> int | float | None:
    try:
        return int(content)
    except (TypeError, ValueError, OverflowError):
        return _float(content)


def _float(content: Json) -> float | None:
    try:
        return float(content)
    except (TypeError, ValueError, OverflowError):
        return None


def _micros(content: Json) -> int:
    found = _whole(content)
    return max(0, int(found // 1000)) if found is not None and abs(found) < 2**63 else 0  # NaN is not


def _flag(content: Json) -> bool | None:
    return content if isinstance(content, bool) else None


_SCALARS: Mapping[str, Callable[[Json], Value]] = {
    "stringValue": _text,
    "string_value": _text,
    "intValue": _whole,
    "int_value": _whole,
    "doubleValue": _float,
    "double_value": _float,
    "boolValue": _flag,
    "bool_value": _flag,
    "bytesValue": _text,
    "bytes_value": _text,
}

"""Secrets of their own in every place of a real client's requests that a client can write to."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from interop.recorder import Request, read_recording
from interop.run_clients import FAILURES, RECORDINGS

SHAPES: Final[dict[str, Callable[[int], str]]] = {
    "address": lambda n: f"canary {n:05d}x ann@example.org",
    "key": lambda n: f"sk-canary-{n:05d}x",
    "sentence": lambda n: f'{{"q": "canary {n:05d}x, what do I earn?"}}',
}
"""Shapes that content and secrets have; a lone word of letters may stand where the table asks for a word."""
HOSTILE_KEY: Final = "shop.key"
"""The key of an attribute whose key is what is planted."""


def message_of(request: Request) -> Any:
    kind = ExportTraceServiceRequest if request.signal == "traces" else ExportLogsServiceRequest
    if not request.json:
        return kind.FromString(request.body)
    received = json.loads(request.body.replace(b"1e+21", b"1e+18"))  # no int64, and JavaScript says it as one
    for span in _spans(received):
        for key in ("traceId", "spanId", "parentSpanId"):
            if span.get(key):
                span[key] = _base64(span[key])
    return ParseDict(received, kind(), ignore_unknown_fields=True)


def _base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def _spans(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in document.get("resourceSpans", ()):
        for scoped in group.get("scopeSpans", ()):
            yield from scoped.get("spans", ())


def _pairs(pairs: Any, where: str) -> Iterator[tuple[str, KeyValue]]:
    for pair in pairs:
        yield f"{where}{pair.key}", pair


def places(message: Any) -> Iterator[tuple[str, Any, str]]:
    """Every place of a request that a client writes a text to: what it is, the message that holds it, its field."""
    for group in [*getattr(message, "resource_spans", ()), *getattr(message, "resource_logs", ())]:
        yield from ((key, pair.value, "string_value") for key, pair in _pairs(group.resource.attributes, "resource:"))
        for scoped in [*getattr(group, "scope_spans", ()), *getattr(group, "scope_logs", ())]:
            for each in getattr(scoped, "spans", ()):
                yield from _of_span(each)
            for record in getattr(scoped, "log_records", ()):
                yield from ((key, pair.value, "string_value") for key, pair in _pairs(record.attributes, "log:"))
                yield "log", record.body, "string_value"


def _of_span(span: Span) -> Iterator[tuple[str, Any, str]]:
    yield "name", span, "name"
    yield "status", span.status, "message"
    yield "trace_state", span, "trace_state"
    for key, pair in _pairs(span.attributes, ""):
        yield key, pair.value, "string_value"
        if key == HOSTILE_KEY:
            yield "key", pair, "key"
    for event in span.events:
        yield "event", event, "name"
        yield from ((key, pair.value, "string_value") for key, pair in _pairs(event.attributes, "event:"))
    for link in span.links:
        yield from ((key, pair.value, "string_value") for key, pair in _pairs(link.attributes, "link:"))


def dressed(message: Any) -> Any:
    """The request with an event, a link and two unheard-of attributes more on each span."""
    for group in getattr(message, "resource_spans", ()):
        group.resource.attributes.add(key="process.command_line").value.string_value = "app"
        for scoped in group.scope_spans:
            for span in scoped.spans:
                span.attributes.add(key=HOSTILE_KEY).value.string_value = "key"
                span.attributes.add(key="shop.note").value.string_value = "note"
                event = span.events.add(name="retry", time_unix_nano=span.end_time_unix_nano)
                event.attributes.add(key="shop.why").value.string_value = "why"
                link = span.links.add(trace_id=span.trace_id, span_id=span.span_id)
                link.attributes.add(key="shop.link").value.string_value = "link"
    return message


def planted(requests: list[Request], shape: Callable[[int], str], *, first: int = 0) -> tuple[list[Request], list[str]]:
    """The requests with a secret of its own in every place, and the secrets, numbered from `first`; a resource is the
    same in all of them."""
    secrets: list[str] = []
    of_resource: dict[str, str] = {}
    made = []
    for request in requests:
        message = dressed(message_of(request))
        for key, holder, field in places(message):
            secret = of_resource.get(key) or shape(first + len(secrets))
            if key.startswith("resource:"):
                of_resource[key] = secret
            secrets.append(secret)
            setattr(holder, field, secret)
        made.append(Request(request.signal, False, "http", message.SerializeToString()))
    return made, secrets


def recordings() -> list[tuple[str, list[Request]]]:
    """Every client's good run and its failing one."""
    good = [(each.name, read_recording(each)) for each in sorted(RECORDINGS.iterdir())]
    return good + [(f"{each.name} failing", read_recording(each)) for each in sorted(FAILURES.iterdir())]


def mark(secret: str) -> bytes:
    """What is a secret's own: its number."""
    digits = "".join(each for each in secret if each.isdigit())
    return f"{digits}x".encode()

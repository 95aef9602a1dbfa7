"""Whatever comes in by HTTP is answered by the protocol: in time, in the request's form, and never with a 500."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped] # it has no stubs
from hypothesis import given, settings
from hypothesis import strategies as some
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from causeline.otlp.receiver.http_endpoint import PATHS
from tests.unit.otlp.endpoint import Door
from tests.unit.otlp.requests import Recorded, answer_a_question, as_json

_APP = Recorded()
answer_a_question(_APP)
_PROTOBUF, _JSON = _APP.body(), as_json(_APP.request())
_TYPES = (
    "application/x-protobuf", "application/json", "application/json; charset=utf-8", "Application/JSON",
    "application/x-protobuf;", "text/plain", "application/xml", "", ";", "é".encode(),
)  # fmt: skip
_STATUSES = {200, 400, 413, 415, 503}

_leaves = some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8)
_keys = some.sampled_from(
    (
        "resourceSpans", "scopeSpans", "spans", "resourceLogs", "scopeLogs", "logRecords", "resource", "attributes",
        "traceId", "spanId", "parentSpanId", "startTimeUnixNano", "endTimeUnixNano", "timeUnixNano", "key", "value",
        "stringValue", "intValue", "doubleValue", "arrayValue", "kvlistValue", "values", "status", "code", "events",
        "links", "name", "body",
    )
)  # fmt: skip
_documents = some.recursive(
    _leaves | some.sampled_from(("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1_790_000_000_000_000_000)),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(_keys, inner, max_size=6),
    max_leaves=20,
)


@some.composite
def _damaged(draw: some.DrawFn) -> bytes:
    """A request that was good, some of its bytes lost, doubled or changed."""
    body = bytearray(draw(some.sampled_from((_PROTOBUF, _JSON))))
    for _ in range(draw(some.integers(0, 4))):
        at = draw(some.integers(0, len(body) - 1))
        until = at + draw(some.integers(0, 8))
        body[at:until] = draw(some.binary(max_size=8))
        if not body:
            break
    return bytes(body)


@some.composite
def _replaced(draw: some.DrawFn) -> bytes:
    """A good request in JSON, one of its parts replaced by anything."""
    document = json.loads(_JSON)
    holder: object = document
    while isinstance(holder, dict | list) and holder:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = draw(some.sampled_from(keys))
        if draw(some.integers(0, 5)) == 0:
            holder[key] = draw(_documents)
            break
        holder = holder[key]
    return json.dumps(document).encode()


_bodies = some.binary(max_size=200) | _damaged() | _replaced() | _documents.map(lambda said: json.dumps(said).encode())
_packings: dict[str, Callable[[bytes], bytes]] = {
    "": lambda body: body,
    "identity": lambda body: body,
    "gzip": gzip.compress,
    "GZIP ": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda body: body,
    "gzip, gzip": lambda body: gzip.compress(gzip.compress(body)),
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    opened = Door(tmp_path_factory.mktemp("any"))
    yield opened
    opened.close()


@given(
    path=some.sampled_from(sorted(PATHS)),
    media_type=some.sampled_from(_TYPES[:2]) | some.sampled_from(_TYPES),
    encoding=some.sampled_from(("", "gzip")) | some.sampled_from(sorted(_packings)),
    body=_bodies,
)
@settings(max_examples=250, deadline=10_000)
def test_any_request_is_answered_by_the_protocol(
    door: Door, path: str, media_type: str | bytes, encoding: str, body: bytes
) -> None:
    sent = body if len(body) % 5 == 1 else _packings[encoding](body)  # some are not what they say they are
    response = door.post(sent, path=path, content_type=media_type, content_encoding=encoding)
    assert response.status_code in _STATUSES
    in_protobuf = isinstance(media_type, str) and media_type.startswith("application/x-protobuf")
    assert response.headers["content-type"] == ("application/x-protobuf" if in_protobuf else "application/json")
    if in_protobuf:
        good = ExportLogsServiceResponse if PATHS[path] == "logs" else ExportTraceServiceResponse
        if response.status_code == 200:
            good.FromString(response.content)
        else:
            assert Status.FromString(response.content).code
    else:
        told = response.json()
        assert set(told) <= {"partialSuccess"} if response.status_code == 200 else set(told) == {"code", "message"}
    assert ("retry-after" in response.headers) is (response.status_code == 503)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method_is_told_that_it_is_not_taken(tmp_path: Path, method: str) -> None:
    door = Door(tmp_path)
    try:
        assert door.ask(method, "/v1/traces").status_code == 405
        assert door.ask(method, "/v1/metrics").status_code == 404
    finally:
        door.close()

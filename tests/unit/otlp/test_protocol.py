"""The protocol's answers, as OTLP's specification has them; what is bad in a request costs nothing that is good."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics, ScopeMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from causeline.otlp.receiver.settings import ReceiverSettings
from tests.unit.otlp.endpoint import Door
from tests.unit.otlp.requests import Recorded, answer_a_question, as_json

TRACE = bytes(range(16))
NOW_NS = 1_790_000_000_000_000_000


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    opened = Door(tmp_path)
    yield opened
    opened.close()


def span(number: int = 1, **fields: object) -> Span:
    said: dict[str, object] = {
        "trace_id": TRACE,
        "span_id": number.to_bytes(8, "big"),
        "name": f"span {number}",
        "start_time_unix_nano": NOW_NS,
        "end_time_unix_nano": NOW_NS + 1000,
    }
    return Span(**(said | fields))  # type: ignore[arg-type] # the stubs name each field


def request(*spans: Span) -> bytes:
    scoped = ScopeSpans(spans=spans)
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[scoped])]).SerializeToString()


def partial(response: httpx.Response) -> tuple[int, str]:
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-protobuf"
    told = ExportTraceServiceResponse.FromString(response.content).partial_success
    return told.rejected_spans, told.error_message


def steps(door: Door) -> list[str]:
    return [str(event.step_name) for event in door.events if event.event_type == "step_finished"]


# --- success


def test_a_full_success_has_an_empty_answer(door: Door) -> None:
    response = door.post(request(span()))
    assert (response.status_code, response.content) == (200, b"")


def test_an_empty_request_is_a_success(door: Door) -> None:
    assert door.post(b"").status_code == 200
    assert door.post(b"{}", json=True).json() == {}


def test_json_is_answered_in_json_and_protobuf_in_protobuf(door: Door) -> None:
    app = Recorded()
    answer_a_question(app)
    response = door.post(as_json(app.request()), json=True, content_encoding="identity")
    assert (response.headers["content-type"], response.json()) == ("application/json", {})


def test_gzip_is_taken(door: Door) -> None:
    assert door.post(gzip.compress(request(span())), content_encoding="gzip").status_code == 200
    assert steps(door) == ["span 1"]


def test_langfuse_clients_have_their_path_and_basic_authentication(tmp_path: Path) -> None:
    door = Door(tmp_path, ReceiverSettings.model_validate({"token": "sk-lf-1"}))
    try:
        path = "/api/public/otel/v1/traces"
        assert door.post(request(span()), path=path).status_code == 401
        assert door.post(request(span()), path=path, authorization="Basic cGstbGYtMTpzay1sZi0x").status_code == 200
        assert door.post(request(span()), authorization="Bearer sk-lf-1").status_code == 200
        assert door.post(request(span()), authorization="Bearer other").status_code == 401
    finally:
        door.close()


# --- what is bad in a request


def test_good_spans_of_a_bad_request_are_kept_and_the_rest_is_told(door: Door) -> None:
    bad = [span(2, trace_id=b"short"), span(3, span_id=bytes(8)), span(4, start_time_unix_nano=0, end_time_unix_nano=0)]
    rejected, message = partial(door.post(request(span(1), *bad)))
    assert rejected == 3
    assert "not 16 bytes" in message
    assert "without a time" in message
    assert steps(door) == ["span 1"]


def test_invalid_utf8_costs_its_own_span_only(door: Door) -> None:
    body = request(span(1), span(2, name="BROKEN"), span(3))
    rejected, message = partial(door.post(body.replace(b"BROKEN", b"BR\xff\xfeEN")))
    assert (rejected, steps(door)) == (1, ["span 1", "span 3"])
    assert "cannot be read" in message


def test_ids_that_somebody_read_as_base64_are_mended(door: Door) -> None:
    import base64  # noqa: PLC0415 - of use here only

    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    mangled = span(trace_id=base64.b64decode(trace_id), span_id=base64.b64decode(span_id))
    assert door.post(request(mangled)).status_code == 200
    assert {event.run_id for event in door.events} == {trace_id}


def test_times_that_go_backwards_are_a_step_without_duration(door: Door) -> None:
    door.post(request(span(1, end_time_unix_nano=NOW_NS - 5_000_000), span(2, start_time_unix_nano=0)))
    [run] = door.runs.values()
    assert [step.duration_us for step in run.steps] == [0, 0]
    assert {"otel.end_before_start": "true"} in [dict(step.labels) for step in run.steps]


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param([KeyValue(key=f"k{n}", value=AnyValue(int_value=n)) for n in range(10_000)], id="10,000 of them"),
        pytest.param([KeyValue(key="n\0ul", value=AnyValue(string_value="a\0b"))], id="NUL"),
        pytest.param([KeyValue(key="gen_ai.usage.input_tokens", value=AnyValue(string_value="12"))], id="text number"),
        pytest.param([KeyValue(key="gen_ai.request.temperature", value=AnyValue(double_value=float("nan")))], id="NaN"),
        pytest.param([KeyValue(key="", value=AnyValue())], id="nothing"),
    ],
)
def test_odd_attributes_cost_no_span(door: Door, attributes: list[KeyValue]) -> None:
    assert partial(door.post(request(span(attributes=attributes)))) == (0, "")
    assert steps(door) == ["span 1"]


def _nested(depth: int) -> AnyValue:
    value = AnyValue(string_value="core")
    for _ in range(depth):
        value = AnyValue(array_value=ArrayValue(values=[value]))
    return value


def test_values_nested_as_deep_as_protobuf_reads_cost_no_span(door: Door) -> None:
    assert partial(door.post(request(span(attributes=[KeyValue(key="deep", value=_nested(40))])))) == (0, "")
    assert steps(door) == ["span 1"]


def test_protobuf_nested_a_thousand_deep_costs_its_own_span_only(door: Door) -> None:
    value = b"\x0a\x04core"
    for _ in range(1000):
        array = b"\x0a" + _sized(value)
        value = b"\x2a" + _sized(array)
    pair = b"\x0a\x04deep" + b"\x12" + _sized(value)
    deep = span(2).SerializeToString() + b"\x4a" + _sized(pair)
    scoped = ScopeSpans(spans=[span(1)]).SerializeToString() + b"\x12" + _sized(deep)
    body = b"\x0a" + _sized(b"\x12" + _sized(scoped))
    rejected, message = partial(door.post(body))
    assert (rejected, steps(door)) == (1, ["span 1"])
    assert "cannot be read" in message


def _sized(content: bytes) -> bytes:
    size, out = len(content), bytearray()
    while size > 0x7F:
        out.append((size & 0x7F) | 0x80)
        size >>= 7
    return bytes((*out, size)) + content


@pytest.mark.parametrize(("depth", "status"), [(60, 200), (100_000, 400)])  # how deep is too deep is Python's
def test_json_nested_deep_is_answered(door: Door, depth: int, status: int) -> None:
    value = '{"arrayValue":{"values":[' * depth + '{"stringValue":"core"}' + "]}}" * depth
    said = f'{{"traceId":"{TRACE.hex()}","spanId":"b7ad6b7169203331","name":"deep","startTimeUnixNano":{NOW_NS}'
    said += f',"attributes":[{{"key":"deep","value":{value}}},{{"key":"gen_ai.input.messages","value":{value}}}]}}'
    body = f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{said}]}}]}}]}}'.encode()
    assert door.post(body, json=True).status_code == status
    assert steps(door) == (["deep"] if status == 200 else [])


@pytest.mark.parametrize(
    ("start", "end"),
    [
        pytest.param(0, 0, id="none"),
        pytest.param(2**63, 2**64 - 1, id="further than a 64-bit integer"),
        pytest.param(NOW_NS, 2**64 - 1, id="an end after the year 2500"),
        pytest.param(NOW_NS + 10**18, NOW_NS + 10**18, id="30 years from now"),
    ],
)
def test_times_of_another_world_cost_no_other_span(door: Door, start: int, end: int) -> None:
    odd = span(2, start_time_unix_nano=start, end_time_unix_nano=end)
    partial(door.post(request(span(1), odd)))
    assert "span 1" in steps(door)
    assert set(door.runs) == {TRACE.hex()}


def test_a_request_of_a_gigabyte_is_given_up_at_the_bound(door: Door) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 2**30:
            sent += 2**20
            yield bytes(2**20)

    async def send() -> httpx.Response:
        async with door.client() as client:
            return await client.post(
                "/v1/traces", content=endless(), headers={"content-type": "application/x-protobuf"}
            )

    assert asyncio.run(send()).status_code == 413
    assert sent <= door.settings.max_body_bytes + 2 * 2**20


def test_duplicates_and_circles_of_parents_are_one_run(door: Door) -> None:
    circle = [span(1, parent_span_id=(2).to_bytes(8, "big")), span(2, parent_span_id=(1).to_bytes(8, "big"))]
    door.post(request(*circle, *circle, span(3)))
    [run] = door.runs.values()
    assert len(run.steps) == 3


def test_a_parent_that_never_came_is_named(door: Door) -> None:
    door.post(request(span(1), span(2, parent_span_id=(9).to_bytes(8, "big"))))
    [run] = door.runs.values()
    assert (run.verdict, run.missing) == ("partial", ("parent:0000000000000009",))


@pytest.mark.slow
def test_fifty_thousand_spans_in_a_request(door: Door) -> None:
    assert door.post(request(*(span(n, trace_id=n.to_bytes(16, "big")) for n in range(1, 50_001)))).status_code == 200
    assert len({event.run_id for event in door.events}) == 50_000


# --- refusals


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(b"x", {"content_type": "text/plain"}, 415, id="another type"),
        pytest.param(b"x", {"content_encoding": "br"}, 415, id="another encoding"),
        pytest.param(b"x", {"content_encoding": "gzip"}, 400, id="not gzip"),
        pytest.param(gzip.compress(b"x" * 100)[:-4], {"content_encoding": "gzip"}, 400, id="gzip cut short"),
        pytest.param(request(span())[:-3], {}, 400, id="protobuf cut short"),
        pytest.param(gzip.compress(bytes(70 * 1024 * 1024)), {"content_encoding": "gzip"}, 413, id="gzip bomb"),
    ],
)
def test_what_cannot_be_taken_is_answered_with_a_status(
    door: Door, body: bytes, headers: dict[str, str], status: int
) -> None:
    response = door.post(body, json=False, **headers)
    assert response.status_code == status
    assert len(response.content) > 10
    assert door.transport.sent == []


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"a":' * 5000, b"\xff"])
def test_json_that_is_no_request_is_refused(door: Door, body: bytes) -> None:
    response = door.post(body, json=True)
    assert (response.status_code, response.json()["code"]) == (400, 3)


@pytest.mark.parametrize(
    "body",
    [
        {"resourceSpans": "text"},
        {"resourceSpans": {"scopeSpans": []}},
        {"resourceSpans": [7]},
        {"resourceSpans": [{"scopeSpans": "text"}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": {"traceId": "0af7651916cd43dd8448eb211c80319c"}}]}]},
        {"resource_spans": [{"scope_spans": [{"spans": [[]]}]}]},
    ],
)
def test_json_of_another_shape_is_refused_with_a_status(door: Door, body: dict[str, object]) -> None:
    response = door.post(json.dumps(body).encode(), json=True)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/json"
    told = response.json()
    assert (set(told), told["code"]) == ({"code", "message"}, 3)
    assert told["message"].startswith("The body is not an OTLP request: it has ")


def test_json_logs_of_another_shape_are_refused(door: Door) -> None:
    assert door.post(b'{"resourceLogs": "text"}', json=True, path="/v1/logs").status_code == 400


def test_good_spans_are_kept_beside_what_has_another_shape(door: Door) -> None:
    good = {"traceId": TRACE.hex(), "spanId": "b7ad6b7169203331", "name": "good", "startTimeUnixNano": NOW_NS}
    groups = [{"scopeSpans": "text"}, {"scopeSpans": [{"spans": [good, 7]}, {"spans": None}]}]
    told = door.post(json.dumps({"resourceSpans": groups}).encode(), json=True).json()["partialSuccess"]
    assert told["rejectedSpans"] == "2"
    assert "scopeSpans that is not a list" in told["errorMessage"]
    assert steps(door) == ["good"]


def test_other_signals_on_the_traces_path_are_told_where_to_go(door: Door) -> None:
    logs = ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[LogRecord(time_unix_nano=NOW_NS)])])]
    )
    metrics = ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=[Metric(name="m")])])]
    )
    for payload in (logs, metrics):
        response = door.post(payload.SerializeToString())
        assert response.status_code == 400
    assert door.post(b'{"resourceLogs":[]}', json=True).json()["message"].endswith("metrics are not taken.")


def test_a_name_that_is_not_this_machines_is_refused(door: Door) -> None:
    assert door.post(request(span()), host="evil.example").status_code == 421


def test_a_slow_body_is_given_up(tmp_path: Path) -> None:
    door = Door(tmp_path, ReceiverSettings(body_timeout_s=0.05))

    async def slowly() -> AsyncIterator[bytes]:
        yield b"\n"
        await asyncio.Event().wait()

    async def send() -> httpx.Response:
        async with door.client() as client:
            return await client.post("/v1/traces", content=slowly(), headers={"content-type": "application/x-protobuf"})

    try:
        assert asyncio.run(send()).status_code == 408
    finally:
        door.close()


def test_what_kafka_does_not_take_in_time_is_to_be_sent_again(tmp_path: Path) -> None:
    door = Door(tmp_path, ReceiverSettings(durable_timeout_s=0.05))
    try:
        door.transport.answers.clear()
        response = door.post(request(span()))
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        door.transport.answers.set()
    finally:
        door.close()


def test_too_much_under_way_is_to_be_sent_again(tmp_path: Path) -> None:
    door = Door(tmp_path, ReceiverSettings(max_pending_bytes=1024))
    try:
        assert door.post(request(*(span(n) for n in range(1, 100)))).status_code == 503
        assert door.post(request(span())).status_code == 200
    finally:
        door.close()


# --- JSON as it is met


def test_json_is_read_liberally(door: Door) -> None:
    said = {
        "traceId": "CvdlGRbNQ92ESOshHIAxnA==",
        "spanId": "B7AD6B7169203331",
        "name": "lone \\ud83d surrogate",
        "startTimeUnixNano": NOW_NS,
        "endTimeUnixNano": str(NOW_NS + 2000),
        "status": {"code": "STATUS_CODE_ERROR"},
        "attributes": [
            {"key": "gen_ai.request.temperature", "value": {"doubleValue": None}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "1e+21"}},
            {"key": "gen_ai.usage.output_tokens", "value": {"intValue": 7}},
            {"key": "deep", "value": {"arrayValue": {"values": [{"kvlistValue": {"values": []}}]}}},
        ],
    }
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [said, {"name": "no ids"}, "bogus"]}]}]}
    body = json.dumps(document).replace("\\\\ud83d", "\\ud83d").encode()
    assert door.post(body, json=True).json()["partialSuccess"]["rejectedSpans"] == "2"
    [run] = door.runs.values()
    assert run.run_id == "0af7651916cd43dd8448eb211c80319c"
    assert (run.status, run.steps[0].temperature, run.steps[0].input_tokens) == ("error", None, None)
    assert run.steps[0].output_tokens == 7


# --- logs


def test_content_that_comes_as_log_records_joins_its_span(door: Door) -> None:
    wire = span(1, attributes=[KeyValue(key="gen_ai.operation.name", value=AnyValue(string_value="chat"))])
    record = LogRecord(
        trace_id=TRACE,
        span_id=wire.span_id,
        time_unix_nano=NOW_NS + 500,
        event_name="gen_ai.choice",
        body=AnyValue(string_value="30 days"),
    )
    logs = ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[record])])])
    assert door.post(logs.SerializeToString(), path="/v1/logs").status_code == 200
    assert door.post(request(wire)).status_code == 200
    [run] = door.runs.values()
    [step] = run.steps
    assert step.full_name == "model_call:span 1"
    assert step.raw_output_ref is not None
    assert door.store.get(step.raw_output_ref) == b"30 days"

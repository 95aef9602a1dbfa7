"""The demo's part over OTLP: what the SDK is asked to say, and what is said where it cannot be sent."""

import shlex
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from causeline.cli import connections, demo, demo_otlp
from causeline.demo import over_otlp

RUNS = 30


class _Receiver(ThreadingHTTPServer):
    """Acknowledges and keeps whatever is posted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Keep)
        self.kept: list[ExportTraceServiceRequest] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Keep(BaseHTTPRequestHandler):
    server: _Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.kept.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    with _Receiver() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def spans_of(receiver: _Receiver) -> list[Span]:
    return [
        span
        for request in receiver.kept
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_what_is_counted_is_what_went_over_the_wire_and_is_marked(receiver: _Receiver) -> None:
    sent = over_otlp.publish_over_otlp(receiver.url, runs=RUNS, seed=7, session="s1", project="demo")
    spans = spans_of(receiver)
    assert len(spans) == sent.spans == len({span.span_id for span in spans})
    assert {span.trace_id.hex() for span in spans} == set(sent.run_ids)
    assert len(sent.run_ids) == len(set(sent.run_ids)) == RUNS
    for request in receiver.kept:
        for resource in request.resource_spans:
            said = {each.key: each.value.string_value for each in resource.resource.attributes}
            assert (said["service.name"], said["openinference.project.name"]) == (over_otlp.SERVICE, "demo")
    for span in spans:
        said = {each.key: each.value.string_value for each in span.attributes}
        assert said["session.id"] == "s1"
        assert said["openinference.span.kind"] in {"CHAIN", "RETRIEVER", "LLM", "EVALUATOR"}
    assert any(span.status.code == span.status.STATUS_CODE_ERROR for span in spans), "some calls fail"
    workflows = [
        each.value.string_value for span in spans for each in span.attributes if each.key == "gen_ai.workflow.name"
    ]
    assert workflows == [over_otlp.WORKFLOW] * RUNS, "each run says outright what it is"


def test_what_to_try_next_asks_for_the_session_that_the_spans_say() -> None:
    [command] = [each for each in demo._next_commands("5e55", None, drift=False) if "over OTLP" in each]
    words = shlex.split(command, comments=True)[1:]
    assert words == ["runs", "--session", "5e55"]


def test_where_openinference_is_not_installed_it_is_said_and_the_demo_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    endpoints = SimpleNamespace(otlp_url="http://127.0.0.1:1")
    monkeypatch.setattr(connections, "local_endpoints", lambda folder: endpoints)
    monkeypatch.delitem(sys.modules, over_otlp.__name__)
    monkeypatch.setitem(sys.modules, "openinference.instrumentation", None)
    assert demo_otlp.publish(tmp_path, 100, 7, "s1", "demo", patience_s=9) is None
    [line] = capsys.readouterr().err.splitlines()
    assert line == (
        "No part of the demo goes over OTLP: openinference.instrumentation is not installed (extra `demo`)."
    )


def test_where_no_stack_is_up_it_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert demo_otlp.publish(tmp_path, 100, 7, "s1", "demo", patience_s=9) is None
    assert capsys.readouterr().err == "No part of the demo goes over OTLP: only a local stack's receiver is known.\n"


@pytest.mark.parametrize(("runs", "wanted"), [(1, 5), (250, 5), (251, 5), (1_000, 20), (10_000, 200)])
def test_it_is_a_fiftieth_and_never_less_than_five(
    runs: int, wanted: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[int, float]] = []
    monkeypatch.setattr(connections, "local_endpoints", lambda folder: SimpleNamespace(otlp_url="http://127.0.0.1:1"))
    monkeypatch.setattr(
        over_otlp, "publish_over_otlp", lambda *_, runs, timeout_s, **__: asked.append((runs, timeout_s))
    )
    demo_otlp.publish(tmp_path, runs, 7, "s1", "demo", patience_s=9)
    assert asked == [(wanted, 9)]

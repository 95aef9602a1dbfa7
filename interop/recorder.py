"""A server that a client under test talks to: it keeps what comes over OTLP, and plays the model."""

import gzip
import json
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from interop.fake_openai import answer

SIGNALS = {
    "/v1/traces": "traces",
    "/v1/logs": "logs",
    "/api/public/otel/v1/traces": "traces",
}
_GRPC = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came, decompressed: its signal, whether it is JSON, how it travelled, and its bytes."""

    signal: str
    json: bool
    via: str
    body: bytes

    @property
    def file_name(self) -> str:
        """What it is stored as, behind its number."""
        return f"{self.via}.{self.signal}.{'json' if self.json else 'pb'}"

    @classmethod
    def read(cls, file: Path) -> "Request":
        """As `write_recording` stored it."""
        _, via, signal, form = file.name.split(".")
        return cls(signal, form == "json", via, file.read_bytes())


@dataclass
class Recorder:
    """What has come so far; `url` and `grpc` are where it listens."""

    url: str = ""
    grpc: str = ""
    requests: list[Request] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, request: Request) -> None:
        """Keep a request, in the order of arrival."""
        with self._lock:
            self.requests.append(request)


_OF_THE_MACHINE = ("host.", "process.", "os.", "service.instance.", "code.", "vcs.")


def impersonal(request: Request) -> Request:
    """The request without what its resources tell of the machine that it was recorded on."""
    if request.json:
        document = json.loads(request.body)
        for each in (*document.get("resourceSpans", ()), *document.get("resourceLogs", ())):
            resource = each.get("resource", {})
            pairs = resource.get("attributes", [])
            resource["attributes"] = [pair for pair in pairs if not pair["key"].startswith(_OF_THE_MACHINE)]
        return replace(request, body=json.dumps(document).encode())
    kind = ExportTraceServiceRequest if request.signal == "traces" else ExportLogsServiceRequest
    message: Any = kind.FromString(request.body)
    for each in message.resource_spans if request.signal == "traces" else message.resource_logs:
        kept = [pair for pair in each.resource.attributes if not pair.key.startswith(_OF_THE_MACHINE)]
        del each.resource.attributes[:]
        each.resource.attributes.extend(kept)
    return replace(request, body=message.SerializeToString())


def write_recording(folder: Path, requests: list[Request]) -> None:
    """Store them in place of what was there."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for number, request in enumerate(requests):
        (folder / f"{number:02d}.{request.file_name}").write_bytes(impersonal(request).body)


def read_recording(folder: Path) -> list[Request]:
    """The requests of a client, in the order in which they came."""
    return [Request.read(file) for file in sorted(folder.iterdir())]


class _Http(BaseHTTPRequestHandler):
    """OTLP over HTTP, and the model; each server has a subclass with its recorder."""

    protocol_version = "HTTP/1.1"
    recorder: Recorder

    def do_POST(self) -> None:
        """Keep a signal, or answer as the model."""
        path = self.path.split("?")[0]
        body = _decompressed(self._body(), self.headers.get("content-encoding", ""))
        media_type = self.headers.get("content-type", "application/json")
        is_json = media_type.startswith("application/json")
        if path in SIGNALS:
            self.recorder.take(Request(SIGNALS[path], is_json, "http", body))
        elif (said := answer(path, body)) is not None:
            status, told, kind = said
            self._answer(told, kind, status)
            return
        else:
            self.recorder.unknown.append(f"POST {path}")
        self._answer(b"{}" if is_json else b"", media_type)

    def do_GET(self) -> None:
        """Nothing is there to be had."""
        self.recorder.unknown.append(f"GET {self.path}")
        self._answer(b"{}", "application/json")

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, body: bytes, media_type: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the client's own output is what matters."""


def _export(recorder: Recorder, signal: str) -> "grpc.RpcMethodHandler[bytes, bytes]":
    def export(body: bytes, _: grpc.ServicerContext) -> bytes:
        recorder.take(Request(signal, False, "grpc", body))
        return b""

    return grpc.unary_unary_rpc_method_handler(export)


@contextmanager
def running_recorder() -> Iterator[Recorder]:
    """A recorder on free ports of loopback."""
    recorder = Recorder()
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Http", (_Http,), {"recorder": recorder}))
    calls = grpc.server(ThreadPoolExecutor(4))
    for service, signal in _GRPC.items():
        calls.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"Export": _export(recorder, signal)}),)
        )
    recorder.url = f"http://127.0.0.1:{http.server_address[1]}"
    recorder.grpc = f"127.0.0.1:{calls.add_insecure_port('127.0.0.1:0')}"
    calls.start()
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        http.shutdown()
        http.server_close()
        calls.stop(None)
        thread.join(10)


def _decompressed(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    return zlib.decompress(body) if encoding == "deflate" else body

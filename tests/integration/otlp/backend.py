"""A stand-in for an OTLP backend: keeps what it is sent, checks the published rules, and fails when it is told to.

Rules: Datadog takes batches of at most 100 spans well and payloads of at most 3.2 MB; Honeycomb takes fields of at most
64 KiB and 2,000 of them a span; OpenSearch refuses a key that is the beginning of another.
"""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

MAX_SPANS, MAX_BYTES, MAX_FIELD_BYTES, MAX_FIELDS = 100, 3_200_000, 64 * 1024, 2000


class Backend:
    """What was sent, and what was wrong with it."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.broken_rules: list[str] = []
        self.requests = 0
        self.answers: list[tuple[int, dict[str, str]]] = []
        """Statuses to give before it takes anything."""
        self.url = ""

    def take(self, body: bytes) -> None:
        """Keep the spans of a request."""
        request = ExportTraceServiceRequest.FromString(body)
        spans = [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
        self.requests += 1
        self.spans += spans
        traces = {span.trace_id for span in spans}
        if len(spans) > MAX_SPANS and len(traces) > 1:
            self.broken_rules.append(f"{len(spans)} spans of {len(traces)} traces in a request")
        if len(body) > MAX_BYTES:
            self.broken_rules.append(f"{len(body)} bytes in a request")
        for span in spans:
            keys = [pair.key for pair in span.attributes]
            if len(keys) > MAX_FIELDS or len(keys) != len(set(keys)):
                self.broken_rules.append(f"{len(keys)} attributes, {len(set(keys))} different ones")
            if any(pair.ByteSize() > MAX_FIELD_BYTES for pair in span.attributes):
                self.broken_rules.append("a field over 64 KiB")
            if any(other.startswith(f"{key}.") for key in keys for other in keys):
                self.broken_rules.append("a key that is the beginning of another")
            if span.end_time_unix_nano < span.start_time_unix_nano:
                self.broken_rules.append("a span that ends before it starts")


@contextmanager
def running_backend() -> Iterator[Backend]:
    """A backend on a free port of the loopback address."""
    backend = Backend()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers = backend.answers.pop(0) if backend.answers else (200, {})
            if status == 200:
                backend.take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    backend.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield backend
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)

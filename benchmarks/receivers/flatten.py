"""The least that a receiver can do: Starlette, protobuf, every span flattened to a dict, and nothing kept."""

import sys
from typing import Any

import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def plain(value: Any) -> Any:
    """An attribute's value as Python has it."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind) if kind else None


def flattened(body: bytes) -> list[dict[str, Any]]:
    """The spans of a request as dicts of one level."""
    found = []
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = {f"resource.{pair.key}": plain(pair.value) for pair in group.resource.attributes}
        for scoped in group.scope_spans:
            for span in scoped.spans:
                flat = {
                    "trace_id": span.trace_id.hex(),
                    "span_id": span.span_id.hex(),
                    "parent_id": span.parent_span_id.hex(),
                    "name": span.name,
                    "kind": span.kind,
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "status": span.status.code,
                    **resource,
                }
                for pair in span.attributes:
                    flat[pair.key] = plain(pair.value)
                found.append(flat)
    return found


async def traces(request: Request) -> Response:
    """Take a request and forget it."""
    flattened(await request.body())
    return Response(ExportTraceServiceResponse().SerializeToString(), media_type="application/x-protobuf")


if __name__ == "__main__":
    app = Starlette(routes=[Route("/v1/traces", traces, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)

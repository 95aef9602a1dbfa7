"""The protocol's answers: success, partial success, and `google.rpc.Status`, in the form of the request.

Source: the OTLP specification, "OTLP/HTTP Response" and "OTLP/gRPC Response".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from causeline.otlp.receiver.telemetry import Received

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


class Code(IntEnum):
    """Codes of google.rpc.Code."""

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    DEADLINE_EXCEEDED = 4
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Refusal(Exception):
    """Why a request is not taken, in HTTP's words and in gRPC's."""

    http: int
    code: Code
    sentence: str
    headers: Mapping[str, str] = field(default_factory=dict)


def taken(signal: str, received: Received) -> bytes:
    """The protobuf answer to a request that was taken, `signal` being traces or logs."""
    if signal == "logs":
        logs = ExportLogsServiceResponse()
        if received.rejected or received.hint:
            logs.partial_success.CopyFrom(
                ExportLogsPartialSuccess(rejected_log_records=received.rejected, error_message=received.message())
            )
        return logs.SerializeToString()
    traces = ExportTraceServiceResponse()
    if received.rejected or received.hint:
        traces.partial_success.CopyFrom(
            ExportTracePartialSuccess(rejected_spans=received.rejected, error_message=received.message())
        )
    return traces.SerializeToString()


def success(signal: str, received: Received, media_type: str) -> Answer:
    """The HTTP answer to a request that was taken."""
    if signal in _LANGFUSE:
        return _langfuse(signal, received)
    if media_type == PROTOBUF:
        return Answer(200, taken(signal, received), PROTOBUF)
    name = "rejectedLogRecords" if signal == "logs" else "rejectedSpans"
    told = {"partialSuccess": {name: str(received.rejected), "errorMessage": received.message()}}
    return Answer(200, json.dumps(told if received.rejected or received.hint else {}).encode(), JSON)


_LANGFUSE = frozenset({"score", "scores"})


def _langfuse(signal: str, received: Received) -> Answer:
    """The answer to scores, as Langfuse's own clients wait for it."""
    ids = [log.identity for log in received.logs]
    if signal == "score":
        return Answer(200, json.dumps({"id": ids[0]}).encode(), JSON)
    refused = [{"id": "", "status": 400, "message": text} for text in received.reasons]
    told = {"successes": [{"id": each, "status": 201} for each in ids], "errors": refused}
    return Answer(207, json.dumps(told).encode(), JSON)


def refusal(refused: Refusal, media_type: str) -> Answer:
    """The HTTP answer to a request that was not taken."""
    if media_type == PROTOBUF:
        body = bytes((0x08, refused.code, 0x12)) + _text(refused.sentence)
        return Answer(refused.http, body, PROTOBUF, refused.headers)
    said = {"code": int(refused.code), "message": refused.sentence}
    return Answer(refused.http, json.dumps(said).encode(), JSON, refused.headers)


def _text(sentence: str) -> bytes:
    raw = sentence.encode()
    size, out = len(raw), bytearray()
    while size > 0x7F:
        out.append((size & 0x7F) | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out) + raw

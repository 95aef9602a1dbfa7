"""OTLP/gRPC: TraceService and LogsService, their messages taken as bytes by the same intake."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import grpc
import grpc.aio

from causeline.producers.otlp import answers, from_protobuf
from causeline.producers.otlp.intake import Busy, Intake, Read
from causeline.producers.otlp.settings import ReceiverSettings
from causeline.producers.otlp.telemetry import Malformed
from causeline.schemas.errors import CauselineError, EnvironmentFault
from causeline.schemas.tokens import carries_token

_SERVICES: Final[tuple[tuple[str, str, Read], ...]] = (
    ("opentelemetry.proto.collector.trace.v1.TraceService", "traces", from_protobuf.traces),
    ("opentelemetry.proto.collector.logs.v1.LogsService", "logs", from_protobuf.logs),
)
_Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
_Export: TypeAlias = Callable[[bytes, _Context], Awaitable[bytes]]


def create_server(settings: ReceiverSettings, intake: Intake) -> tuple[grpc.aio.Server, int]:
    """The gRPC server, bound and not started, and its port; raises EnvironmentFault when the port cannot be had."""
    server = grpc.aio.server(
        options=[("grpc.max_receive_message_length", settings.max_body_bytes), ("grpc.so_reuseport", 0)]
    )
    for service, signal, read in _SERVICES:
        handler = grpc.unary_unary_rpc_method_handler(_export(settings, intake, signal, read))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{host}:{settings.grpc_port}"
    try:
        if settings.tls_certificate is not None and settings.tls_key is not None:
            pair = (settings.tls_key.read_bytes(), settings.tls_certificate.read_bytes())
            port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        else:
            port = server.add_insecure_port(address)
    except (RuntimeError, OSError) as error:
        raise EnvironmentFault(
            f"The receiver cannot listen on {settings.host} port {settings.grpc_port}: {error}.",
            hint="Choose another --grpc-port, 0 for a free one, or -1 for none.",
        ) from error
    return server, port


def _export(settings: ReceiverSettings, intake: Intake, signal: str, read: Read) -> _Export:
    token = settings.secret()

    async def export(request: bytes, context: _Context) -> bytes:
        if token is not None:
            said = dict(context.invocation_metadata() or ()).get("authorization", "")
            if not carries_token(str(said), token):
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "This receiver asks for its token.")
        try:
            return answers.taken(signal, await intake.take(request, read))
        except Malformed as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except (Busy, CauselineError) as busy:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(busy))
        raise AssertionError("abort raises")

    return export

"""OTLP/gRPC: TraceService and LogsService, their messages taken as bytes by the same intake."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeAlias

import grpc
import grpc.aio

from causeline.otlp.receiver import answers, from_protobuf
from causeline.otlp.receiver.budget import Budget, Full
from causeline.otlp.receiver.intake import Busy, Intake, Read
from causeline.otlp.receiver.settings import ReceiverSettings
from causeline.otlp.receiver.telemetry import Malformed
from causeline.runtime.http_auth import carries_token
from causeline.schemas.errors import CauselineError, EnvironmentFault

_SERVICES: Final[tuple[tuple[str, str, Read], ...]] = (
    ("opentelemetry.proto.collector.trace.v1.TraceService", "traces", from_protobuf.traces),
    ("opentelemetry.proto.collector.logs.v1.LogsService", "logs", from_protobuf.logs),
)
_CALLS: Final = 256
"""Under way at the same time; the next is refused, and sent again."""
_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),
    ("grpc.server_handshake_timeout_ms", 10_000),  # a connection that says nothing is closed
    ("grpc.max_connection_idle_ms", 120_000),
    ("grpc.keepalive_time_ms", 30_000),  # one whose client is gone is found out
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_concurrent_streams", 64),
    ("grpc.max_metadata_size", 16 * 1024),
)
_Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
_Export: TypeAlias = Callable[[AsyncIterator[bytes], _Context], Awaitable[bytes]]


def create_server(
    settings: ReceiverSettings, intake: Intake, budget: Budget | None = None
) -> tuple[grpc.aio.Server, int]:
    """The gRPC server, bound and not started, and its port; raises EnvironmentFault when the port cannot be had."""
    server = grpc.aio.server(
        options=[*_OPTIONS, ("grpc.max_receive_message_length", settings.max_body_bytes)],
        maximum_concurrent_rpcs=_CALLS,
    )
    shared = budget or Budget(settings.max_pending_bytes)
    for service, signal, read in _SERVICES:
        # On the wire a call of one message is a stream of one: taken as such, its token is looked at first, and its
        # message has a time to come in.
        handler = grpc.stream_unary_rpc_method_handler(_export(settings, intake, shared, signal, read))
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


def _export(settings: ReceiverSettings, intake: Intake, budget: Budget, signal: str, read: Read) -> _Export:
    token = settings.secret()

    async def export(requests: AsyncIterator[bytes], context: _Context) -> bytes:
        if token is not None:
            said = dict(context.invocation_metadata() or ()).get("authorization", "")
            if not carries_token(str(said), token):
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "This receiver asks for its token.")
        share = budget.share()
        try:
            with budget.call_of(_address(context.peer())):
                request = await asyncio.wait_for(anext(requests, b""), settings.body_timeout_s)
                share.take(len(request))
                return answers.taken(signal, await intake.take(request, read))
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "The message took too long.")
        except Malformed as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except (Busy, Full, CauselineError) as busy:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(busy))
        finally:
            share.release()
        raise AssertionError("abort raises")

    return export


def _address(peer: str) -> str:
    """Of `ipv4:127.0.0.1:40312` the address alone."""
    return peer.rpartition(":")[0]

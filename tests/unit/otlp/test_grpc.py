"""OTLP/gRPC: the same intake behind another door, with gRPC's own words for what is refused."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import grpc
import grpc.aio
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from pydantic import SecretStr

from causeline.otlp.receiver.budget import Budget, Full
from causeline.otlp.receiver.grpc_endpoint import create_server
from causeline.otlp.receiver.settings import ReceiverSettings
from tests.unit.otlp.endpoint import Door
from tests.unit.otlp.requests import Recorded, answer_a_question

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TOKEN = "a-token-of-the-tests"
SETTINGS = ReceiverSettings(grpc_port=0, durable_timeout_s=60, token=SecretStr(TOKEN))


def _export(
    door: Door, body: bytes, authorization: str | None, budget: Budget | None = None
) -> tuple[grpc.StatusCode, bytes]:
    async def call() -> tuple[grpc.StatusCode, bytes]:
        server, port = create_server(door.settings, door.intake, budget)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                send: Callable[..., grpc.aio.UnaryUnaryCall[bytes, bytes]] = channel.unary_unary(EXPORT, None, None)
                said = () if authorization is None else (("authorization", authorization),)
                try:
                    return grpc.StatusCode.OK, await send(body, metadata=said, timeout=10)
                except grpc.aio.AioRpcError as error:
                    return error.code(), b""
        finally:
            await server.stop(None)

    return asyncio.run(call())


def test_a_client_with_the_token_has_its_spans_taken(tmp_path: Path) -> None:
    app = Recorded()
    trace = answer_a_question(app)
    door = Door(tmp_path, SETTINGS)
    try:
        status, answer = _export(door, app.body(), f"Bearer {TOKEN}")
        assert status is grpc.StatusCode.OK
        assert not ExportTraceServiceResponse.FromString(answer).HasField("partial_success")
        assert set(door.runs) == {trace}
    finally:
        door.close()


@pytest.mark.parametrize("authorization", [None, "", "Bearer another", TOKEN])
def test_a_client_without_the_token_is_refused_and_nothing_is_kept(tmp_path: Path, authorization: str | None) -> None:
    app = Recorded()
    answer_a_question(app)
    door = Door(tmp_path, SETTINGS)
    try:
        assert _export(door, app.body(), authorization)[0] is grpc.StatusCode.UNAUTHENTICATED
        assert door.transport.sent == []
    finally:
        door.close()


def test_bytes_that_are_no_request_are_refused(tmp_path: Path) -> None:
    door = Door(tmp_path, SETTINGS)
    try:
        assert _export(door, b"\xff\xff\xff", f"Bearer {TOKEN}")[0] is grpc.StatusCode.INVALID_ARGUMENT
    finally:
        door.close()


def test_a_message_that_never_comes_whole_is_given_up(tmp_path: Path) -> None:
    door = Door(tmp_path, SETTINGS.model_copy(update={"body_timeout_s": 0.2}))

    async def half_a_call() -> grpc.StatusCode:
        server, port = create_server(door.settings, door.intake)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                open_call: Callable[..., grpc.aio.StreamUnaryCall[bytes, bytes]] = channel.stream_unary(
                    EXPORT, None, None
                )
                call = open_call(metadata=(("authorization", f"Bearer {TOKEN}"),), timeout=10)
                return await call.code()
        finally:
            await server.stop(None)

    try:
        assert asyncio.run(half_a_call()) is grpc.StatusCode.DEADLINE_EXCEEDED
    finally:
        door.close()


def test_bytes_are_counted_together_with_those_of_http(tmp_path: Path) -> None:
    app = Recorded()
    answer_a_question(app)
    door = Door(tmp_path, SETTINGS)
    budget = Budget(most_bytes=1000)
    budget.hold(900)  # what requests over HTTP hold
    try:
        assert _export(door, app.body(), f"Bearer {TOKEN}", budget)[0] is grpc.StatusCode.UNAVAILABLE
        assert (budget.held_bytes, door.transport.sent) == (900, [])
        budget.hold(-900)
        assert _export(door, app.body()[:0], f"Bearer {TOKEN}", budget)[0] is grpc.StatusCode.OK
    finally:
        door.close()


def test_one_peer_has_so_many_calls_and_no_more() -> None:
    budget = Budget(1000, calls_of_a_peer=2)
    with budget.call_of("a"), budget.call_of("a"), budget.call_of("b"), pytest.raises(Full), budget.call_of("a"):
        raise AssertionError("a third call was let in")
    with budget.call_of("a"):
        pass

"""OTLP/HTTP: `POST /v1/traces` and `/v1/logs`, protobuf or JSON, plain or gzip."""

import asyncio
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from causeline.producers.otlp import answers, from_json, from_protobuf
from causeline.producers.otlp.answers import JSON, PROTOBUF, Answer, Code, Refusal
from causeline.producers.otlp.intake import Busy, Intake, Read
from causeline.producers.otlp.settings import ReceiverSettings
from causeline.producers.otlp.telemetry import Malformed
from causeline.schemas.errors import CauselineError
from causeline.schemas.tokens import carries_token

PATHS: Final[Mapping[str, str]] = {
    "/v1/traces": "traces",
    "/v1/logs": "logs",
    "/api/public/otel/v1/traces": "traces",  # where Langfuse's clients send
}
_READERS: Final[Mapping[tuple[str, str], Read]] = {
    ("traces", PROTOBUF): from_protobuf.traces,
    ("traces", JSON): from_json.traces,
    ("logs", PROTOBUF): from_protobuf.logs,
    ("logs", JSON): from_json.logs,
}
_RETRY: Final = {"Retry-After": "1"}
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_CHUNK: Final = 1024 * 1024


def create_app(settings: ReceiverSettings, intake: Intake) -> Starlette:
    """The HTTP service as an ASGI app."""
    door = HttpDoor(settings, intake)
    routes = [Route(path, door.handler(signal), methods=["POST"]) for path, signal in PATHS.items()]
    return Starlette(routes=[*routes, Route("/healthz", _healthz)])


async def _healthz(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


class HttpDoor:
    """Reads requests within their bounds, and answers them."""

    def __init__(self, settings: ReceiverSettings, intake: Intake) -> None:
        self._settings = settings
        self._intake = intake
        self._token = settings.secret()
        self._pending_bytes = 0

    def handler(self, signal: str) -> Callable[[Request], object]:
        """What answers requests of one signal."""

        async def handle(request: Request) -> Response:
            media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            try:
                answer = await self._answer(request, signal, media_type)
            except Refusal as refused:
                answer = answers.refusal(refused, media_type if media_type == PROTOBUF else JSON)
            return Response(answer.body, answer.status, dict(answer.headers), answer.media_type)

        return handle

    async def _answer(self, request: Request, signal: str, media_type: str) -> Answer:
        self._admit(request)
        read = _READERS.get((signal, media_type))
        if read is None:
            raise Refusal(415, Code.INVALID_ARGUMENT, f"Send {PROTOBUF} or {JSON}.")
        held = _Held(self)
        try:
            body = await self._body(request, held)
            return answers.success(signal, await self._intake.take(body, read), media_type)
        except Malformed as error:
            raise Refusal(400, Code.INVALID_ARGUMENT, f"{error} {error.hint or ''}".strip()) from error
        except Busy as busy:
            raise Refusal(503, Code.UNAVAILABLE, str(busy), _RETRY) from busy
        except CauselineError as error:  # the artifact store cannot be written: it may be well again soon
            raise Refusal(503, Code.UNAVAILABLE, str(error), _RETRY) from error
        finally:
            held.release()

    def _admit(self, request: Request) -> None:
        name = request.url.hostname or ""
        if self._settings.is_loopback and name not in _LOOPBACK_NAMES:
            raise Refusal(421, Code.INVALID_ARGUMENT, "This receiver does not answer to that name.")
        if self._token is not None and not carries_token(request.headers.get("authorization", ""), self._token):
            sentence = "This receiver asks for its token, as a bearer token or as the password of basic authentication."
            raise Refusal(401, Code.UNAUTHENTICATED, sentence, {"WWW-Authenticate": "Bearer, Basic"})

    async def _body(self, request: Request, held: "_Held") -> bytes:
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "deflate", ""):
            raise Refusal(415, Code.INVALID_ARGUMENT, f"Content-Encoding {encoding[:40]!r} is not known; send gzip.")
        raw = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                async for chunk in request.stream():
                    raw += chunk
                    held.take(len(chunk))
                    self._check_size(len(raw))
        except TimeoutError:
            raise Refusal(408, Code.DEADLINE_EXCEEDED, "The request's body took too long.") from None
        except ClientDisconnect:
            raise Refusal(400, Code.INVALID_ARGUMENT, "The client went away.") from None
        return bytes(raw) if encoding in ("identity", "") else self._inflated(bytes(raw), encoding, held)

    def _inflated(self, raw: bytes, encoding: str, held: "_Held") -> bytes:
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 16 if encoding == "gzip" else zlib.MAX_WBITS)
        out = bytearray()
        rest = raw
        try:
            while rest and not inflate.eof:
                piece = inflate.decompress(rest, _CHUNK)
                rest = inflate.unconsumed_tail
                out += piece
                held.take(len(piece))
                self._check_size(len(out))
            whole = inflate.eof
        except zlib.error:
            whole = False
        if not whole:
            raise Refusal(400, Code.INVALID_ARGUMENT, f"The body is not {encoding}.")
        return bytes(out)

    def _check_size(self, size: int) -> None:
        if size > self._settings.max_body_bytes:
            sentence = f"A request may have at most {self._settings.max_body_bytes} bytes, decompressed."
            raise Refusal(413, Code.RESOURCE_EXHAUSTED, sentence)

    def hold(self, change: int) -> None:
        """Count bytes of requests under way; raises Refusal past the bound."""
        self._pending_bytes += change
        if change > 0 and self._pending_bytes > self._settings.max_pending_bytes:
            raise Refusal(503, Code.UNAVAILABLE, "Too much is under way.", _RETRY)


class _Held:
    """What one request holds of the common bound."""

    def __init__(self, door: HttpDoor) -> None:
        self._door = door
        self._bytes = 0

    def take(self, size: int) -> None:
        self._bytes += size
        self._door.hold(size)

    def release(self) -> None:
        self._door.hold(-self._bytes)
        self._bytes = 0

"""OTLP/HTTP: `POST /v1/traces` and `/v1/logs`, protobuf or JSON, plain or gzip."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from causeline.otlp.receiver import answers, from_json, from_protobuf
from causeline.otlp.receiver.answers import JSON, PROTOBUF, Answer, Code, Refusal
from causeline.otlp.receiver.budget import Budget, Full, Share
from causeline.otlp.receiver.from_langfuse import Scores
from causeline.otlp.receiver.intake import Busy, Intake, Read
from causeline.otlp.receiver.settings import ReceiverSettings
from causeline.otlp.receiver.telemetry import Malformed
from causeline.runtime.http_auth import carries_token
from causeline.schemas.errors import CauselineError

PATHS: Final[Mapping[str, str]] = {
    "/v1/traces": "traces",
    "/v1/logs": "logs",
    "/api/public/otel/v1/traces": "traces",  # where Langfuse's clients send
    "/api/public/scores": "score",
    "/api/public/ingestion": "scores",
}
_SCORES: Final = Scores()
_READERS: Final[Mapping[tuple[str, str], Read]] = {
    ("traces", PROTOBUF): from_protobuf.traces,
    ("traces", JSON): from_json.traces,
    ("logs", PROTOBUF): from_protobuf.logs,
    ("logs", JSON): from_json.logs,
    ("score", JSON): _SCORES.one,
    ("scores", JSON): _SCORES.batch,
}
_RETRY: Final = {"Retry-After": "1"}
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SHOWN_KEYS: Final = 20
_CHUNK: Final = 1024 * 1024


def create_app(settings: ReceiverSettings, intake: Intake, budget: Budget | None = None) -> Starlette:
    """The HTTP service as an ASGI app; `budget` is what it shares with other endpoints."""
    door = HttpDoor(settings, intake, budget or Budget(settings.max_pending_bytes))
    routes = [Route(path, door.handler(signal), methods=["POST"]) for path, signal in PATHS.items()]
    return Starlette(routes=[*routes, Route("/healthz", _healthz(intake))])


def _healthz(intake: Intake) -> Callable[[Request], Awaitable[JSONResponse]]:
    """Whether it serves, and what became of what came: counts, and keys that a program may have written."""

    async def answer(_: Request) -> JSONResponse:
        told = {"spans": intake.counts.spans, "logs": intake.counts.logs, "rejected": intake.counts.rejected}
        most = {"set_aside": _most(intake.set_aside), "dropped": _most(intake.dropped)}
        return JSONResponse({"status": "ok", **told, **most})

    return answer


def _most(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:_SHOWN_KEYS])


class HttpDoor:
    """Reads requests within their bounds, and answers them."""

    def __init__(self, settings: ReceiverSettings, intake: Intake, budget: Budget) -> None:
        self._settings = settings
        self._intake = intake
        self._budget = budget
        self._token = settings.secret()

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
        held = self._budget.share()
        try:
            body = await self._body(request, held)
            return answers.success(signal, await self._intake.take(body, read), media_type)
        except Malformed as error:
            raise Refusal(400, Code.INVALID_ARGUMENT, f"{error} {error.hint or ''}".strip()) from error
        except (Busy, Full) as busy:
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

    async def _body(self, request: Request, held: Share) -> bytes:
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

    def _inflated(self, raw: bytes, encoding: str, held: Share) -> bytes:
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

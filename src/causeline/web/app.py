"""The service as one ASGI app: pages, API, registry and health behind one door (ADR 47)."""

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from causeline.console.lookups import mark
from causeline.producers.artifacts import ArtifactStore
from causeline.runtime.clock import Clock, system_clock
from causeline.schemas.errors import CauselineError, CheckFailed, MalformedId, NotFound, Unreachable, UsageError
from causeline.schemas.topics import DEFAULT_PREFIX
from causeline.web.door import LOOPBACK_NAMES, Door
from causeline.web.health import Health
from causeline.web.identity import Identities
from causeline.web.live import Live
from causeline.web.patience import RETRY_S, Patience
from causeline.web.reading import Reading
from causeline.web.registry_api import http_answer, install_errors, malformed_answer, registry_routes
from causeline.web.render import Pages
from causeline.web.routes import (
    api,
    artifacts,
    ask,
    causes,
    compare,
    drift,
    entry,
    evals,
    home,
    live,
    pipeline,
    policies,
    reviews,
    runs,
    sessions,
)
from causeline.web.routes.artifacts import lines
from causeline.web.settings import ServeSettings
from causeline.web.site import Site
from causeline.web.stores import Stores

_STATIC = Path(__file__).parent / "static"
_US = 1_000_000
_ROOMS = (
    home, entry, runs, artifacts, compare, reviews, drift, evals, ask, pipeline, causes, sessions, policies, live,
)  # fmt: skip
_TITLES = {400: "That cannot be asked", 403: "Not allowed", 404: "Not found", 409: "Not possible now", 503: "Away"}


def create_app(
    settings: ServeSettings,
    health: Health,
    topic_prefix: str = DEFAULT_PREFIX,
    *,
    stores: Stores | None = None,
    open_artifacts: Callable[[], ArtifactStore] = ArtifactStore.from_environment,
    clock: Clock = system_clock,
) -> FastAPI:
    """The service; without `stores` there are neither pages nor API, only health and the registry."""
    app = FastAPI(
        title="Causeline",
        version=version("causeline"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json" if stores else None,
    )
    app.include_router(registry_routes(topic_prefix))

    @app.get("/healthz", include_in_schema=False)
    async def _healthz() -> dict[str, object]:
        return {"status": "ok", "version": app.version, "reachable": await health.reachable()}

    pages = Pages()
    if stores is not None:
        pages.add_filter("lines", lines)
        pages.add_filter("mark", mark)
        app.state.site = Site(
            store=stores.store,
            leases=stores.leases,
            marks=stores.marks,
            sql=stores.sql,
            dead=stores.dead,
            replay=stores.replay,
            lags=stores.lags,
            artifacts=open_artifacts,
            pages=pages,
            reading=Reading(time.monotonic),
            live=Live(),
            clock=clock,
        )
        app.include_router(api.router)
        if settings.ui:
            app.mount("/static", StaticFiles(directory=_STATIC), name="static")
            for room in _ROOMS:
                app.include_router(room.router)
    install_errors(app)
    _install_answers(app, pages)
    hosts = LOOPBACK_NAMES | set(settings.allowed_hosts) if settings.is_loopback else settings.allowed_hosts
    app.add_middleware(Patience)
    app.add_middleware(
        Door,
        identities=Identities(settings),
        allowed_hosts=hosts,
        now_s=lambda: clock() / _US,
        root_path=settings.root_path,
    )
    return app


def _install_answers(app: FastAPI, pages: Pages) -> None:
    @app.exception_handler(CauselineError)
    def _ours(request: Request, error: CauselineError) -> Response:
        return _answer(request, pages, status_of(error), error.message, error.hint or "")

    @app.exception_handler(RequestValidationError)
    def _malformed(request: Request, error: RequestValidationError) -> Response:
        if not _is_ours(request):
            return malformed_answer(error)
        first = error.errors()[0]
        name = ".".join(str(each) for each in first["loc"][1:]) or "the request"
        return _answer(request, pages, 400, f"{name}: {first['msg']}.", "")

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:
        if not _is_ours(request):
            return http_answer(request, error)
        message = "There is no such page." if error.status_code == 404 and error.detail == "Not Found" else error.detail
        return _answer(request, pages, error.status_code, str(message), "")


def status_of(error: CauselineError) -> int:
    """The HTTP status that an error of ours is told by."""
    kinds: tuple[tuple[type[CauselineError], int], ...] = (
        (NotFound, 404), (MalformedId, 400), (UsageError, 400), (CheckFailed, 409), (Unreachable, 503),
    )  # fmt: skip
    return next((status for kind, status in kinds if isinstance(error, kind)), 500)


def _is_ours(request: Request) -> bool:
    """Whether a request is for the pages or the API; the rest is answered as a schema registry answers."""
    return _wants_page(request) or "/api/" in request.url.path or "/artifacts" in request.url.path


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "") and "/api/" not in request.url.path


def _answer(request: Request, pages: Pages, status: int, message: str, hint: str) -> Response:
    again = {"retry-after": RETRY_S} if status == 503 else None
    if _wants_page(request):
        title = _TITLES.get(status, "Something went wrong")
        page = pages(request, "error.html", here="", status=status, title=title, message=message, hint=hint)
        page.headers.update(again or {})
        return page
    problem = {"title": _TITLES.get(status, "Error"), "status": status, "detail": message, "hint": hint}
    return JSONResponse(problem, status, again, media_type="application/problem+json")

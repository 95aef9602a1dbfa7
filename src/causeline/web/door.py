"""What every request passes: the right Host, a known person, a form of our own; answers keep their page to itself."""

import secrets
from collections.abc import Callable, Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from causeline.web.identity import SESSION_COOKIE, Identities, Role

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS = frozenset({"/healthz", "/sign-in", "/enter"})
"""Answered to anybody: probes have no token, and whoever signs in does not have a session yet."""
_STATIC = "/static/"
_CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'none';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script';"
    " trusted-types causeline"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}


class Door:
    """The middleware around the whole service; `now_s` is the clock, seconds since the epoch.

    Refused: a name the service does not answer to (421, DNS rebinding), who is not known (a page: the sign-in; else
    401), and a change that does not come from a form or script of ours (403).
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        identities: Identities,
        allowed_hosts: Collection[str],
        now_s: Callable[[], float],
        root_path: str = "",
    ) -> None:
        self._app = app
        self._root_path = root_path
        self._identities = identities
        self._allowed_hosts = frozenset(name.lower() for name in allowed_hosts)
        self._now_s = now_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed; answer the rest."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A proxy may take its prefix off or leave it on; from here on a path has it, as ASGI has it.
        scope["root_path"] = self._root_path
        if self._root_path and not scope["path"].startswith(self._root_path + "/"):
            scope["path"] = self._root_path + scope["path"]
        headers = Headers(scope=scope)
        cookie = session_cookie(headers)
        peer = scope["client"][0] if scope.get("client") else ""
        lowered = {name.lower(): value for name, value in headers.items()}
        state = scope.setdefault("state", {})
        state["person"] = self._identities.person(lowered, cookie, peer, self._now_s())
        state["csrf"] = self._identities.csrf(cookie)
        state["identities"] = self._identities
        refusal = self._refusal(scope, headers, is_by_cookie="authorization" not in lowered)
        await (refusal or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, headers: Headers, *, is_by_cookie: bool) -> Response | None:
        path = scope["path"].removeprefix(self._root_path)
        if self._allowed_hosts and host_name(headers.get("host", "")) not in self._allowed_hosts:
            message = "This service does not answer to that name; see CAUSELINE_SERVE_ALLOWED_HOSTS."
            return JSONResponse({"error_code": 421, "message": message}, 421)
        if scope["method"] in _CHANGES and is_by_cookie and not is_from_here(headers):
            return PlainTextResponse("This change was asked for by another site, so it is refused.\n", 403)
        if path in OPEN_PATHS or path.startswith(_STATIC) or scope["state"]["person"].may(Role.VIEWER):
            return None
        if "text/html" in headers.get("accept", "") and scope["method"] == "GET" and self._identities.has_sign_in:
            back = path + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
            return RedirectResponse(f"{self._root_path}/sign-in?to={quote(back)}", 303)
        message = "This service asks for its token, as a bearer token or as the password of basic authentication."
        return JSONResponse({"error_code": 401, "message": message}, 401, {"WWW-Authenticate": "Bearer, Basic"})


def session_cookie(headers: Headers) -> str:
    """The session that a request carries; empty for none, and for a cookie header that cannot be read."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(SESSION_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def is_from_here(headers: Headers) -> bool:
    """Whether a browser's change comes from a page of this service, by Fetch Metadata, else by Origin.

    A program sends neither, and carries no session that another site could use.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def is_our_form(given: str, expected: str) -> bool:
    """Whether a form carries the token of its session; compared in constant time."""
    return secrets.compare_digest(given.encode(), expected.encode())


def host_name(host: str) -> str:
    """The name in a Host header, lower-case, without its port and without the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending

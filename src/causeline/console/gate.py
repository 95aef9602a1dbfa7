"""Who may ask the console's HTTP service: the right Host, and the token where there is one."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from causeline.schemas.tokens import carries_token

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS = frozenset({"/healthz"})
"""Answered without a token: probes have none."""


class Gate:
    """Refuses requests addressed to another name (DNS rebinding: 421) or without the token (401).

    `allowed_hosts` empty allows any name; `token` None asks for none.
    """

    def __init__(self, app: ASGIApp, *, allowed_hosts: Collection[str], token: str | None) -> None:
        self._app = app
        self._allowed_hosts = frozenset(name.lower() for name in allowed_hosts)
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed; answer the rest."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["path"], headers)
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, path: str, headers: Headers) -> JSONResponse | None:
        if self._allowed_hosts and host_name(headers.get("host", "")) not in self._allowed_hosts:
            message = "This service does not answer to that name; see CAUSELINE_SERVE_ALLOWED_HOSTS."
            return JSONResponse({"error_code": 421, "message": message}, 421)
        known = self._token is None or carries_token(headers.get("authorization", ""), self._token)
        if known or path in OPEN_PATHS:
            return None
        message = "This service asks for its token, as a bearer token or as the password of basic authentication."
        return JSONResponse({"error_code": 401, "message": message}, 401, {"WWW-Authenticate": "Bearer, Basic"})


def host_name(host: str) -> str:
    """The name in a Host header, lower-case, without its port and without the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()

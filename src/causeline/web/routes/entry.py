"""The way in and out: sign in by token, come by the link of `causeline open`, sign out; and the page one lands on."""

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from causeline.web.door import is_our_form
from causeline.web.identity import SESSION_COOKIE, SESSION_S
from causeline.web.site import TheSite

router = APIRouter(include_in_schema=False)
_US = 1_000_000


@router.get("/sign-in")
def sign_in_page(request: Request, site: TheSite, to: str = "/") -> Response:
    """The form."""
    return site.pages(request, "sign_in.html", here="", to=_own_path(to), wrong="")


@router.post("/sign-in")
def sign_in(
    request: Request,
    site: TheSite,
    name: Annotated[str, Form(max_length=120)],
    token: Annotated[str, Form(max_length=4096)],
    csrf: Annotated[str, Form(max_length=200)],
    to: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Let somebody in who has the token."""
    require_our_form(request, csrf)
    session = request.state.identities.sign_in(token.strip(), " ".join(name.split()), site.clock() / _US)
    if session is None:
        wrong = "That is not the token of this service."
        return site.pages(request, "sign_in.html", here="", status=403, to=_own_path(to), wrong=wrong)
    return _with_session(request, session, _own_path(to))


@router.get("/enter")
def enter(request: Request, site: TheSite, key: str, to: str = "/", name: str = "operator") -> Response:
    """Let somebody in who comes from `causeline open` on this machine."""
    session = request.state.identities.enter(key, name[:120], site.clock() / _US)
    if session is None:
        raise HTTPException(403, "This link has ended; `causeline open` makes a new one.")
    return _with_session(request, session, _own_path(to))


@router.post("/sign-out")
def sign_out(request: Request, csrf: Annotated[str, Form(max_length=200)]) -> Response:
    """End the session in this browser."""
    require_our_form(request, csrf)
    answer = RedirectResponse(f"{request.scope.get('root_path', '')}/", 303)
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return answer


def require_our_form(request: Request, csrf: str) -> None:
    """Raises HTTPException (403) where a form does not carry the token of its session."""
    if not is_our_form(csrf, request.state.csrf):
        raise HTTPException(403, "This form is of another session; load the page again, then send it.")


def _with_session(request: Request, session: str, to: str) -> Response:
    answer = RedirectResponse(f"{request.scope.get('root_path', '')}{to}", 303)
    is_https = request.url.scheme == "https"
    answer.set_cookie(SESSION_COOKIE, session, max_age=SESSION_S, httponly=True, samesite="strict", secure=is_https)
    return answer


def _own_path(to: str) -> str:
    """A path of this service, whatever was asked for: never another site's address."""
    is_path = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable()
    return to if is_path else "/"

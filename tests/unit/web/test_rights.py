"""Who may do what: every address of the service, asked for by every role, by nobody, and by a forger."""

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import SecretStr
from starlette.testclient import TestClient

from causeline.web import app as service
from causeline.web.health import Health
from causeline.web.identity import Role
from causeline.web.routes import api
from causeline.web.settings import ServeSettings
from tests.unit.web.test_pages import OneRun

RUN = "a" * 32
PROXY, STRANGER = "10.1.2.3", "203.0.113.9"
OPEN = frozenset(("/sign-in", "/enter", "/sign-out"))
"""Ways in and out: who has no right yet needs them."""
NEEDS = {
    "/artifacts": Role.CONTENT, "/artifacts/image": Role.CONTENT, "/artifacts/raw": Role.CONTENT,
    "POST /reviews/next": Role.REVIEWER, "POST /reviews/{item_id}/take": Role.REVIEWER,
    "POST /reviews/{item_id}/give-back": Role.REVIEWER, "POST /reviews/{item_id}/resolve": Role.REVIEWER,
    "POST /drift/{alert_id}/mark": Role.OPERATOR, "POST /pipeline/replay": Role.OPERATOR,
}  # fmt: skip
"""What needs more than reading; every other address needs a viewer."""
FIELDS = {"outcome": "approved", "mark": "muted", "reason": "other", "csrf": "forged", "name": "n", "token": "x"}
VALUES = {"run_id": RUN, "item_id": "x", "alert_id": "x", "part": "aaaa", "step_id": "0" * 16, "policy_hash": "ab"}
VALUES |= {"left": RUN, "right": RUN, "a": RUN, "b": RUN, "case_id": "x"}


def addresses() -> list[tuple[str, str]]:
    routers: list[APIRouter] = [api.router, *(room.router for room in service._ROOMS)]
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return sorted({(method, route.path) for route in routes for method in route.methods or ()})


READ_OR_ACT = [(method, path) for method, path in addresses() if path not in OPEN and not path.startswith("/live")]


def needed(method: str, path: str) -> Role:
    return NEEDS.get(path if method == "GET" else f"{method} {path}", Role.VIEWER)


def client(peer: str = PROXY) -> TestClient:
    settings = ServeSettings(
        token=SecretStr("t"), user_header="x-user", groups_header="x-groups", trusted_proxies=("10.0.0.0/8",),
        viewer_groups=("viewer",), reviewer_groups=("reviewer",), operator_groups=("operator",),
        content_groups=("content",), allowed_hosts=("console.example",),
    )  # fmt: skip
    made = service.create_app(settings, Health({}), stores=OneRun())
    return TestClient(
        made,
        base_url="http://console.example",
        client=(peer, 50_000),
        follow_redirects=False,
        raise_server_exceptions=False,
    )


def status(asked: TestClient, method: str, path: str, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = FIELDS if method == "POST" else None
    query = {"ref": "artifact:sha256/00/00", "step": "x", "id": "aaaa"} if method == "GET" else None
    return asked.request(method, path.format(**VALUES), params=query, data=data, headers=named).status_code


def test_the_table_names_only_addresses_that_there_are() -> None:
    known = {path if method == "GET" else f"{method} {path}" for method, path in addresses()}

    assert set(NEEDS) <= known
    assert {f"{method} {path}" for method, path in addresses() if method == "POST" and path not in OPEN} <= set(NEEDS)


@pytest.mark.parametrize("role", list(Role))
def test_a_role_alone_opens_what_it_is_for_and_nothing_else(role: Role) -> None:
    asked = client()

    for method, path in READ_OR_ACT:
        groups = ",".join({"viewer", role.value}) if needed(method, path) is not Role.VIEWER else role.value
        is_refused = status(asked, method, path, x_user="anna", x_groups=groups, accept="application/json") in {
            401,
            403,
        }
        # A form that is let in is refused all the same, for want of its session's token; that is another test's matter.
        if method == "GET":
            assert is_refused == (needed(method, path) is not role), f"{role} {path}"
        elif needed(method, path) is not role:
            assert is_refused, f"{role} {path}"


@pytest.mark.parametrize(("peer", "headers"), [
    (PROXY, {}),
    (STRANGER, {"x_user": "root", "x_groups": "viewer,reviewer,operator,content"}),
    (STRANGER, {"x_user": "root", "x_groups": "viewer", "x_forwarded_for": PROXY, "forwarded": f"for={PROXY}"}),
])  # fmt: skip
def test_who_is_not_known_or_forges_what_a_proxy_says_is_let_in_nowhere(peer: str, headers: dict[str, str]) -> None:
    asked = client(peer)

    for method, path in READ_OR_ACT:
        assert status(asked, method, path, accept="application/json", **headers) in {401, 403}, path


@pytest.mark.parametrize("host", ["evil.example", "console.example.evil.example", "127.0.0.1.evil.example", ""])
def test_a_name_that_was_pointed_here_is_answered_nothing(host: str) -> None:
    asked = client()

    for method, path in addresses():
        assert status(asked, method, path, host=host, x_user="anna", x_groups="viewer,content") in {400, 421}, path


@pytest.mark.parametrize("method_and_path", [each for each in addresses() if each[0] == "POST"])
def test_another_sites_form_changes_nothing(method_and_path: tuple[str, str]) -> None:
    method, path = method_and_path
    everything = {"x_user": "anna", "x_groups": "viewer,reviewer,operator,content"}

    for forged in ({"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}, {"origin": "null"}):
        assert status(client(), method, path, **everything, **forged) == 403
    assert status(client(), method, path, **everything) == 403, "nor does a form without its session's token"

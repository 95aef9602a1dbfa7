"""Who may ask the console's HTTP service, and what it says of what it reaches."""

import base64
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from causeline.schemas.errors import UsageError
from causeline.web.app import create_app
from causeline.web.door import host_name
from causeline.web.health import Health
from causeline.web.settings import ServeSettings

VARIABLES = ("HOST", "PORT", "TOKEN", "TOKEN_FILE", "ALLOWED_HOSTS")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"CAUSELINE_SERVE_{name}", raising=False)


def client(settings: ServeSettings, health: Health | None = None, base: str = "http://127.0.0.1:8080") -> TestClient:
    return TestClient(create_app(settings, health or Health({})), base_url=base)


def test_only_requests_addressed_to_this_machine_are_answered() -> None:
    for base in ("http://127.0.0.1:8080", "http://localhost", "http://[::1]:9"):
        assert client(ServeSettings(), base=base).get("/subjects").status_code == 200
    for base in ("http://evil.example", "http://127.0.0.1.evil.example:8080"):
        assert client(ServeSettings(), base=base).get("/subjects").status_code == 421


def test_other_names_may_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSELINE_SERVE_ALLOWED_HOSTS", '["console.example"]')
    assert client(ServeSettings.from_environment(), base="http://CONSOLE.example").get("/subjects").status_code == 200


def test_an_address_that_others_can_reach_needs_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "console.example"):  # noqa: S104 - refused, which is the point
        with pytest.raises(UsageError, match="needs a token"):
            ServeSettings.from_environment(host=host)
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.setenv("CAUSELINE_SERVE_TOKEN_FILE", str(tmp_path / "token"))
    settings = ServeSettings.from_environment(host="0.0.0.0")  # noqa: S104 - with a token
    assert settings.secret() == "s3cret"
    monkeypatch.setenv("CAUSELINE_SERVE_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="cannot be read"):
        ServeSettings.from_environment(host="0.0.0.0")  # noqa: S104 - refused


def test_the_token_is_taken_as_bearer_or_as_password_and_health_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSELINE_SERVE_TOKEN", "s3cret")
    asked = client(ServeSettings.from_environment())
    basic = base64.b64encode(b"any:s3cret").decode()
    for authorization in ("Bearer s3cret", f"Basic {basic}"):
        assert asked.get("/subjects", headers={"Authorization": authorization}).status_code == 200
    for wrong in ("Bearer wrong", "Basic !!", f"Basic {base64.b64encode(b's3cret').decode()}", "Digest x", ""):
        answer = asked.get("/subjects", headers={"Authorization": wrong})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer, Basic")
    assert asked.get("/healthz").status_code == 200


def test_health_tells_what_answers_and_asks_no_more_often_than_it_must() -> None:
    asked = 0

    async def yes() -> bool:
        nonlocal asked
        asked += 1
        return True

    async def refused() -> bool:
        raise ConnectionRefusedError

    now = [0.0]
    health = Health({"kafka": yes, "clickhouse": refused}, clock=lambda: now[0])
    with client(ServeSettings(), health) as service:
        for _ in range(3):
            answer = service.get("/healthz").json()
            assert (answer["status"], answer["reachable"]) == ("ok", {"kafka": True, "clickhouse": False})
        assert asked == 1
        now[0] = 10.0
        service.get("/healthz")
    assert asked == 2


@pytest.mark.parametrize(
    ("header", "name"), [("a:1", "a"), ("A", "a"), ("[::1]:80", "::1"), ("[::1]", "::1"), ("", ""), ("[", "")]
)
def test_the_name_in_a_host_header(header: str, name: str) -> None:
    assert host_name(header) == name


def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSELINE_SERVE_PORT", "70000")
    with pytest.raises(UsageError, match=r"^CAUSELINE_SERVE_PORT: "):
        ServeSettings.from_environment()

"""Hostile records, visitors and sites: what is stored stays text, and what is asked for is allowed or refused."""

import json
import time
import uuid
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page

from causeline import ArtifactStore, Tracer
from causeline.stack.waiting import wait_until
from tests.browser.conftest import PATIENCE_S, Site, watched

CANARY = (
    '<img src=x onerror="window.canary=1"><script>window.canary=1</script>\'"><svg/onload=window.canary=1>'
    "{{7*7}}\u202e\u200b"
)


@pytest.fixture(scope="module")
def hostile(site: Site) -> str:
    """A run with the canary in every text that a workflow may write, and in its artifacts."""
    artifacts = ArtifactStore.open(site.endpoints.artifacts)
    ref = artifacts.put(CANARY.encode())
    with site.environment(), Tracer(CANARY[:60]) as tracer:
        with tracer.run(f"hostile {CANARY[:60]}", input_ref=ref, labels={"note": CANARY, "release": CANARY}) as run:
            with run.parse(CANARY[:80], parser_version=CANARY[:60]) as step:
                step.set(parsed_artifact_ref=ref).label({"x": CANARY})
            with run.route(CANARY[:80], route_policy_version=CANARY[:40]) as step:
                step.set(route=CANARY[:60], route_reason=CANARY[:120], route_confidence=0.5)
            with run.model_call(
                CANARY[:80], prompt_id=CANARY[:40], prompt_version=CANARY[:40], model_provider=CANARY[:40],
                model_name=CANARY[:40], model_policy=CANARY[:40],
            ) as step:  # fmt: skip
                step.set(context_refs=[f"{ref}#chars=1-8"], raw_output_ref=ref)
            run.evidence(f"$.{CANARY[:40]}", refs=[ref], score=0.1)
        assert not tracer.flush(PATIENCE_S)
    _visible(site, run.run_id)
    return run.run_id


def _visible(site: Site, run_id: str) -> None:
    path = f"/api/v1/runs/{run_id}"
    wait_until(lambda: _get(site, path).is_success, timeout_s=PATIENCE_S, what=f"run {run_id} is not visible")


def _get(site: Site, path: str, **headers: str) -> httpx.Response:
    return httpx.get(site.base + path, headers=headers, timeout=PATIENCE_S)


@pytest.fixture
def entered(site: Site) -> Iterator[httpx.Client]:
    """A client that has signed in."""
    with httpx.Client(base_url=site.base, timeout=PATIENCE_S, headers={"accept": "text/html"}) as client:
        client.get(site.enter().removeprefix(site.base))
        yield client


@pytest.mark.parametrize(
    "path",
    ["/runs/{run}", "/runs/{run}/evidence", "/runs/{run}/events", "/runs?since=all", "/compare?a={run}&b={run}", "/"],
)
def test_what_a_workflow_wrote_stays_text_on_every_page(page: Page, site: Site, hostile: str, path: str) -> None:
    seen = watched(page, site)
    page.goto(site.base + path.format(run=hostile))
    page.wait_for_load_state("networkidle")

    assert page.evaluate("window.canary") is None
    assert not seen.errors, seen.errors
    assert not seen.elsewhere
    assert page.locator("img[src=x]").count() == 0


def test_what_an_artifact_holds_stays_text(page: Page, site: Site, hostile: str) -> None:
    page.goto(f"{site.base}/runs/{hostile}")
    page.locator(".wf a.step").first.click()
    page.locator("#details a[href*='/artifacts?']").first.click()
    page.wait_for_url("**/artifacts?**")

    assert "onerror" in page.locator(".excerpt").inner_text()
    assert page.evaluate("window.canary") is None


def test_a_picture_that_could_run_something_is_only_handed_out_as_a_file(site: Site, entered: httpx.Client) -> None:
    ref = ArtifactStore.open(site.endpoints.artifacts).put(
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    )

    raw = entered.get("/artifacts/raw", params={"ref": ref})
    assert raw.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in raw.headers["content-security-policy"]
    assert entered.get("/artifacts/image", params={"ref": ref}).status_code == 404


def test_every_answer_keeps_itself_out_of_frames_and_runs_only_our_script(site: Site, entered: httpx.Client) -> None:
    for path in ("/", "/runs", "/sql", "/sign-in", "/static/app.js", "/healthz", "/nothing"):
        policy = entered.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


ROLES = {
    "/": 200, "/runs": 200, "/reviews": 200, "/drift": 200, "/evals": 200, "/sql": 200, "/pipeline": 200,
    "/api/v1/runs": 200, "/artifacts?ref=artifact:sha256/00/00": 403, "/artifacts/raw?ref=artifact:sha256/00/00": 403,
}  # fmt: skip


@pytest.mark.parametrize("path", ROLES)
def test_who_did_not_sign_in_may_read_and_sees_no_content(site: Site, path: str) -> None:
    assert _get(site, path).status_code == ROLES[path]


CHANGES = ("/reviews/next", "/reviews/x/take", "/reviews/x/resolve", "/drift/x/mark", "/pipeline/replay", "/sign-out")
FIELDS = {"csrf": "x", "outcome": "approved", "mark": "muted", "reason": "y", "name": "n", "token": "t"}


@pytest.mark.parametrize("path", CHANGES)
def test_who_did_not_sign_in_changes_nothing(site: Site, path: str) -> None:
    assert httpx.post(site.base + path, data=FIELDS).status_code == 403


@pytest.mark.parametrize("path", CHANGES)
def test_a_form_without_its_sessions_token_changes_nothing(entered: httpx.Client, path: str) -> None:
    answer = entered.post(path, data=FIELDS)

    assert answer.status_code == 403
    assert "another session" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_another_site_changes_nothing_though_the_browser_sends_the_session(
    entered: httpx.Client, headers: dict[str, str]
) -> None:
    answer = entered.post("/sign-out", data={"csrf": "whatever"}, headers=headers)

    assert answer.status_code == 403
    assert "another site" in answer.text


def test_another_name_for_this_address_is_not_answered(site: Site) -> None:
    assert _get(site, "/runs", host="evil.example").status_code == 421


def test_a_forged_proxy_header_is_nobody(site: Site) -> None:
    forged = {"x-forwarded-user": "root", "x-forwarded-groups": "admins"}

    assert _get(site, "/artifacts?ref=artifact:sha256/00/00", **forged).status_code == 403


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_leads_nowhere_else(site: Site, to: str) -> None:
    answer = httpx.get(site.enter(to), follow_redirects=False)

    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


def test_the_link_that_signs_in_cannot_be_guessed(site: Site) -> None:
    assert _get(site, f"/enter?key={int(time.time()) + 60}.{uuid.uuid4().hex}").status_code == 403


def test_sql_reads_and_nothing_else(entered: httpx.Client) -> None:
    for statement in (
        "DROP TABLE run_rows",
        "SELECT 1; SELECT 2",
        "INSERT INTO run_rows VALUES (1)",
        "SELECT * FROM url('http://127.0.0.1:1/x', CSV)",
    ):
        assert entered.get("/sql", params={"q": statement}).status_code == 400


def test_the_api_tells_what_it_has(site: Site) -> None:
    described = json.loads(_get(site, "/api/v1/openapi.json").text)

    assert "/api/v1/runs/{run_id}/why" in described["paths"]
    assert not [
        path
        for path in described["paths"]
        if not path.startswith(("/api/v1", "/subjects", "/schemas", "/config", "/mode"))
    ]

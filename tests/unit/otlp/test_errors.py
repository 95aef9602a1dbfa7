"""What a failed span's error is called, and that its message stays where it is."""

from typing import Any

import pytest

from causeline.diagnosis.diagnose import diagnose
from tests.unit.otlp.endpoint import Door
from tests.unit.otlp.requests import event_json, span_json, traces_json

_FAILED = {"code": 2}
_CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5"}


def _failing(said: str = "", **more: Any) -> dict[str, Any]:
    return {"status": {"code": 2, "message": said} if said else _FAILED, **more}


@pytest.mark.parametrize(
    ("span", "called"),
    [
        (_failing(attributes={"error.type": "429"}), "429"),
        (_failing("Error code: 500 - no", events=[event_json("exception", {"exception.type": "a.B"})]), "a.B"),
        (_failing(attributes={"http.response.status_code": 503}), "503"),
        (_failing(attributes={"http.response.status_code": 200}), None),
        (_failing("InternalServerError: Error code: 500 - the model is overloaded"), "InternalServerError"),
        (_failing("Error code: 429 - slow down"), "429"),
        (_failing("Error getting response: {'error': 'Error code: 500 - overloaded'}"), "500"),
        (_failing("Ann Doe: TerribleError"), None),
        (_failing("the balance is 500"), None),
        (
            _failing(attributes={"langfuse.observation.status_message": "Error code: 401 - sk-1"}),
            "401",
        ),
    ],
)
def test_an_error_is_called_by_its_class_or_its_code(tmp_path: Any, span: dict[str, Any], called: str | None) -> None:
    door = Door(tmp_path)
    try:
        assert door.post(traces_json(span_json("ask", **span)), json=True).status_code == 200
        [run] = door.runs.values()
    finally:
        door.close()
    assert run.steps[0].error_type == called
    sent = b"".join(value for _, value in door.transport.sent)
    assert not [word for word in (b"overloaded", b"slow", b"Ann", b"balance", b"sk-1") if word in sent]


@pytest.mark.parametrize(
    "spans",
    [
        pytest.param(
            [
                span_json("POST /ask", span=1, kind=2, status=_FAILED),
                span_json("turn", span=2, parent=1, at_ms=(10, 900)),
                span_json("chat gpt-5", span=3, parent=2, at_ms=(20, 800), attributes=_CHAT, status=_FAILED),
            ],
            id="through-a-step-that-says-nothing",
        ),
        pytest.param(
            [
                span_json("ask", span=1, status=_FAILED),
                span_json("chat gpt-5", span=3, parent=1, at_ms=(20, 800), attributes=_CHAT, status=_FAILED),
                span_json("POST", span=4, parent=3, kind=3, at_ms=(30, 90), status=_FAILED,
                          attributes={"http.response.status_code": 500}),
                span_json("POST", span=5, parent=3, kind=3, at_ms=(130, 190), status=_FAILED),
            ],
            id="by-requests-within-it",
        ),
    ],
)  # fmt: skip
def test_the_call_that_failed_is_blamed_and_not_what_is_around_it_or_within(
    tmp_path: Any, spans: list[dict[str, Any]]
) -> None:
    door = Door(tmp_path)
    try:
        door.post(traces_json(*spans), json=True)
        [run] = door.runs.values()
    finally:
        door.close()
    first = diagnose(run).first_cause
    assert first is not None
    assert first.finding.step == "model_call:chat gpt-5"


def test_a_failure_of_its_own_is_not_laid_at_an_inner_steps_door(tmp_path: Any) -> None:
    """A tool's error that was swallowed, and an agent that failed later with another class: both are told."""
    door = Door(tmp_path)
    try:
        door.post(
            traces_json(
                span_json("bot", span=1, status=_FAILED, attributes={"error.type": "MaxTurnsExceeded"}),
                span_json("turn", span=2, parent=1, at_ms=(10, 900)),
                span_json("search", span=3, parent=2, at_ms=(20, 800), status=_FAILED,
                          attributes={"openinference.span.kind": "TOOL", "error.type": "TimeoutError"}),
            ),
            json=True,
        )  # fmt: skip
        [run] = door.runs.values()
    finally:
        door.close()
    told = {finding.step for cause in diagnose(run).causes for finding in (cause.finding, *_consequences(cause))}
    assert {"custom:bot", "tool:search"} <= told


def _consequences(cause: Any) -> list[Any]:
    return [each.finding for each in cause.consequences]

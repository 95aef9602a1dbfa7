"""Langfuse's scores: an evaluation of a trace or of one of its spans, the same however often it is sent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from causeline.schemas.run import Run
from tests.unit.otlp.endpoint import Door
from tests.unit.otlp.requests import TRACE, span_json, traces_json

SCORES, BATCH = "/api/public/scores", "/api/public/ingestion"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    opened = Door(tmp_path)
    opened.post(traces_json(span_json("answer", span=1)), json=True)
    yield opened
    opened.close()


def run_of(door: Door) -> Run:
    [run] = door.runs.values()
    return run


def score(**more: Any) -> dict[str, Any]:
    return {"traceId": TRACE, "name": "helpfulness", "value": 0.5, **more}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"value": 0.5}, (0.5, None, None)),
        ({"value": "good", "dataType": "CATEGORICAL"}, (None, "good", None)),
        ({"value": 1, "dataType": "BOOLEAN"}, (1.0, None, "0..1")),
    ],
)
def test_a_score_is_an_evaluation(door: Door, said: dict[str, Any], found: tuple[Any, ...]) -> None:
    body = json.dumps(score(comment="Ann was kind", observationId=f"{1:016x}", **said)).encode()
    answer = door.post(body, json=True, path=SCORES)
    assert (answer.status_code, list(answer.json())) == (200, ["id"])
    [each] = run_of(door).evaluations
    assert (each.score, each.label, each.scale) == found
    assert (each.name, each.step_id) == ("helpfulness", f"{1:016x}")
    assert each.explanation_ref is not None
    assert door.store.get(each.explanation_ref) == b"Ann was kind"
    assert b"Ann" not in b"".join(value for _, value in door.transport.sent)


def test_a_score_that_comes_again_is_one(door: Door) -> None:
    for _ in range(3):
        door.post(json.dumps(score(id="s-1")).encode(), json=True, path=SCORES)
    assert len(run_of(door).evaluations) == 1
    door.post(json.dumps(score(id="s-1", value=0.75)).encode(), json=True, path=SCORES)
    assert [each.score for each in run_of(door).evaluations] == [0.5, 0.75]


def test_of_a_batch_the_scores_are_taken_and_the_rest_is_named(door: Door) -> None:
    batch = [
        {"id": "1", "type": "score-create", "timestamp": "2026-10-01T12:00:00.000Z", "body": score()},
        {"id": "2", "type": "trace-create", "body": {}},
        {"id": "3", "type": "score-create", "body": {"name": "no trace", "value": 1}},
    ]
    answer = door.post(json.dumps({"batch": batch}).encode(), json=True, path=BATCH)
    assert answer.status_code == 207
    assert (len(answer.json()["successes"]), len(answer.json()["errors"])) == (1, 2)
    assert [each.name for each in run_of(door).evaluations] == ["helpfulness"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"traceId": "x", "name": "a", "value": 1}', b"\xff"])
def test_what_is_no_score_is_refused(door: Door, body: bytes) -> None:
    assert door.post(body, json=True, path=SCORES).status_code == 400
    assert run_of(door).evaluations == ()

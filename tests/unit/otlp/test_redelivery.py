"""Clients send again after any doubt, in any order and in other batches: the runs are the same."""

import random
from dataclasses import fields
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from causeline.schemas.run import Run
from tests.unit.otlp.door import Door
from tests.unit.otlp.requests import Recorded, answer_a_question

TIMES = 5
OF_ARRIVAL = {"first_offset", "last_offset"}


def _runs(folder: Path, requests: list[list[ReadableSpan]], app: Recorded) -> dict[str, Run]:
    folder.mkdir()
    door = Door(folder)
    try:
        for spans in requests:
            assert door.post(app.body(*spans)).status_code == 200
        return door.runs
    finally:
        door.close()


def _split(spans: list[ReadableSpan], choose: random.Random) -> list[list[ReadableSpan]]:
    requests, rest = [], list(spans)
    while rest:
        size = choose.randint(1, 5)
        requests.append(rest[:size])
        rest = rest[size:]
    return requests


@pytest.mark.parametrize("seed", range(2))
def test_requests_sent_five_times_shuffled_and_split_give_the_same_runs(tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    app = Recorded()
    traces = [answer_a_question(app) for _ in range(4)]
    spans = list(app.spans)
    once = _runs(tmp_path / "once", [spans], app)
    assert set(once) == set(traces)

    sent = spans * TIMES
    choose.shuffle(sent)
    again = _runs(tmp_path / "again", _split(sent, choose), app)

    assert set(again) == set(traces)
    for trace, run in once.items():
        differing = {
            field.name for field in fields(run) if getattr(again[trace], field.name) != getattr(run, field.name)
        }
        assert differing <= OF_ARRIVAL

"""Clients send again after any doubt, in any order and in other batches: the runs are the same."""

import json
import random
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans
from opentelemetry.sdk.trace import ReadableSpan

from causeline.schemas.run import Run
from interop.recorder import Request, read_recording
from interop.run_clients import RECORDINGS, names, replayed
from tests.unit.otlp.endpoint import Door
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
        assert _differing(run, again[trace]) <= OF_ARRIVAL


def _parts(spans: list[Any], choose: random.Random) -> Iterator[list[Any]]:
    rest = list(spans)
    choose.shuffle(rest)
    while rest:
        size = choose.randint(1, len(rest))
        yield rest[:size]
        rest = rest[size:]


def _apart(request: Request, choose: random.Random) -> list[Request]:
    """A recorded request of spans as several, its spans divided at random; one of logs as it is."""
    if request.signal != "traces":
        return [request]
    bodies = []
    if request.json:
        for group in json.loads(request.body)["resourceSpans"]:
            for scoped in group["scopeSpans"]:
                for some in _parts(scoped["spans"], choose):
                    alone = {**group, "scopeSpans": [{**scoped, "spans": some}]}
                    bodies.append(json.dumps({"resourceSpans": [alone]}).encode())
    else:
        for whole in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            for scope in whole.scope_spans:
                for some in _parts(list(scope.spans), choose):
                    spans = ResourceSpans(
                        resource=whole.resource, scope_spans=[ScopeSpans(scope=scope.scope, spans=some)]
                    )
                    bodies.append(ExportTraceServiceRequest(resource_spans=[spans]).SerializeToString())
    return [replace(request, body=body) for body in bodies]


@pytest.mark.parametrize("client", names())
def test_what_a_client_sent_five_times_shuffled_and_split_is_the_same_run(tmp_path: Path, client: str) -> None:
    choose = random.Random(client)
    recorded = read_recording(RECORDINGS / client)
    once = replayed(recorded, tmp_path / "once")
    sent = [part for _ in range(TIMES) for request in recorded for part in _apart(request, choose)]
    choose.shuffle(sent)
    again = {run.run_id: run for run in replayed(sent, tmp_path / "again")}
    assert set(again) == {run.run_id for run in once}
    for run in once:
        assert _differing(run, again[run.run_id]) <= OF_ARRIVAL


def _differing(run: Run, other: Run) -> set[str]:
    return {field.name for field in fields(run) if getattr(other, field.name) != getattr(run, field.name)}

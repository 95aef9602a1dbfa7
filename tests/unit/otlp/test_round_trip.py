"""A run goes out as OTLP and comes in again: the same run, but for what is listed here and why."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from benchmarks.why import joined_runs
from causeline.otlp.exporter.span_attributes import Style
from causeline.otlp.exporter.traces import linked_spans_of, resource_of, spans_of
from causeline.schemas.run import Run
from tests.unit.otlp.endpoint import Door

CANNOT_SURVIVE = {
    "revision": "counts events, and a span is fewer events than a step was",
    "events": "as above",
    "events_lost": "nobody numbers spans",
    "verdict": "as above, where it was partial",
    "missing": "as above",
    "close_reason": "how this assembler came to close it",
    "closed_at": "when this assembler closed it",
    "amended": "as above",
    "first_offset": "its place in this log",
    "last_offset": "as above",
    "source_partition": "as above",
    "conflict_sides": "a side is four facts that belong together, and attributes are flat",
}
"""Fields of a run, with the reason."""


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    opened = Door(tmp_path)
    yield opened
    opened.close()


def request(runs: list[Run], style: Style = Style.BOTH) -> bytes:
    groups = [
        ResourceSpans(
            resource=resource_of(run), scope_spans=[ScopeSpans(spans=[*spans_of(run, style), *linked_spans_of(run)])]
        )
        for run in runs
    ]
    return ExportTraceServiceRequest(resource_spans=groups).SerializeToString()


def comparable(run: Run) -> dict[str, object]:
    """A run without what cannot survive; ids of events are made anew, and steps that begin together have no order."""
    said = {name: value for name, value in dataclasses.asdict(run).items() if name not in CANNOT_SURVIVE}
    for name in ("evidence", "gaps", "fallbacks", "reviews", "evals", "evaluations"):
        said[name] = sorted(
            (
                {key: value for key, value in item.items() if key not in {"event_id", "inferred"}}
                for item in said[name]
                if not item.get("inferred")
            ),
            key=repr,
        )
    said["steps"] = sorted(said["steps"], key=lambda step: step["step_id"])
    said["evidence_refs"] = sorted(said["evidence_refs"])
    said["missing_anchors"] = sorted(said["missing_anchors"])
    return said


@pytest.mark.parametrize("style", [Style.BOTH, Style.GENAI])
def test_a_run_that_goes_out_comes_in_the_same(door: Door, style: Style) -> None:
    runs = [run for run, _ in joined_runs(5, 60, faulty_share=0.7, pairs=False)]
    assert door.post(request(runs, style)).status_code == 200
    back = door.runs
    assert back.keys() == {run.run_id for run in runs}
    for run in runs:
        assert comparable(back[run.run_id]) == comparable(run)


def test_no_key_is_the_beginning_of_another() -> None:
    for run, _ in joined_runs(6, 30, faulty_share=0.7, pairs=False):
        for span in [*spans_of(run), *linked_spans_of(run)]:
            keys = {pair.key for pair in span.attributes}
            assert not [(one, other) for one in keys for other in keys if other.startswith(f"{one}.")]

"""A run that begins under an OpenTelemetry span is the run of its trace, once."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import INVALID_SPAN, Span, use_span

from causeline.producers import otel_context
from causeline.schemas.events import MAX_LABELS, RunStarted, StepFinished
from tests.unit.producers.test_tracer import Recorded


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    record = Recorded()
    yield record
    record.tracer.close()


@pytest.fixture
def span() -> Iterator[Span]:
    provider = TracerProvider(shutdown_on_exit=False)
    with provider.get_tracer("tests").start_as_current_span("request") as current:
        yield current
    provider.shutdown()


def starts(recorded: Recorded) -> list[RunStarted]:
    return [event for event in recorded.events() if isinstance(event, RunStarted)]


def ids_of(span: Span) -> tuple[str, str]:
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def test_the_first_run_is_that_of_the_trace_and_its_steps_stand_under_the_span(recorded: Recorded, span: Span) -> None:
    trace_id, span_id = ids_of(span)
    with recorded.tracer.run("invoice") as run, run.parse("pages"):
        pass
    [start], [step] = starts(recorded), [each for each in recorded.events() if isinstance(each, StepFinished)]
    assert {each.run_id for each in recorded.events()} == {trace_id}
    assert (start.parent_step_id, step.parent_step_id) == (span_id, span_id)
    assert not start.labels


def test_any_other_run_of_the_trace_is_one_of_its_own_that_names_the_span(recorded: Recorded, span: Span) -> None:
    for labels in (None, {"tenant": "a"}):
        with recorded.tracer.run("invoice", labels=labels):
            pass
    with recorded.tracer.run("invoice", run_id="1" * 32):
        pass
    by_id = {start.run_id: start for start in starts(recorded)}
    of_the_trace, chosen = by_id.pop(ids_of(span)[0]), by_id.pop("1" * 32)
    [other] = by_id.values()
    assert other.labels == {"tenant": "a", "otel.link.0": ":".join(ids_of(span))}
    assert other.parent_step_id is None
    assert not of_the_trace.labels
    assert not chosen.labels


def test_of_runs_that_begin_at_once_one_is_the_traces(recorded: Recorded, span: Span) -> None:
    def begin(_: int) -> None:
        with use_span(span), recorded.tracer.run("invoice"):
            pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(begin, range(64)))
    begun = [start.run_id for start in starts(recorded)]
    assert begun.count(ids_of(span)[0]) == 1
    assert len(set(begun)) == 64


def test_outside_a_span_or_where_it_is_not_wanted_a_run_has_an_id_of_its_own(span: Span) -> None:
    aloof, outside = Recorded(follow_otel=False), Recorded()
    with aloof.tracer.run("invoice"):
        pass
    with use_span(INVALID_SPAN), outside.tracer.run("invoice"):
        pass
    for each in (aloof, outside):
        [start] = starts(each)
        assert start.run_id != ids_of(span)[0]
        assert not start.labels
        each.tracer.close()


@pytest.mark.parametrize("api", [None, SimpleNamespace(), SimpleNamespace(get_current_span=lambda: None)])
def test_an_application_without_the_api_or_with_a_strange_one_goes_on(
    api: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    if api is None:
        monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    else:
        monkeypatch.setitem(sys.modules, "opentelemetry.trace", api)
    assert otel_context.current_span() is None


def test_a_link_for_which_there_is_no_room_costs_no_run_its_start(recorded: Recorded, span: Span) -> None:
    recorded.tracer.release = "2026.11"
    full = {f"name{number}": "x" for number in range(MAX_LABELS - 1)}
    for labels in ({}, full, dict(list(full.items())[1:])):
        with recorded.tracer.run("invoice", labels=labels):
            pass
    said = [dict(start.labels or {}) for start in starts(recorded)]
    assert sorted(map(len, said)) == [1, MAX_LABELS, MAX_LABELS]
    assert [labels.get("otel.link.0") for labels in said if "name0" in labels] == [None]
    assert [labels.get("otel.link.0") for labels in said if "name0" not in labels and len(labels) > 1] == [
        ":".join(ids_of(span))
    ]

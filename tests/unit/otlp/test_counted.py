"""The judge of what a backend shows: it finds nothing where all is there, and names whatever is not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from benchmarks.why import joined_runs
from causeline.otlp.exporter.traces import linked_spans_of, spans_of
from causeline.schemas.run import Run
from interop.counted import Seen, compare

RUNS = [run for run, _ in joined_runs(5, 12, faulty_share=0.5, pairs=False)]


def shown(runs: list[Run]) -> list[Seen]:
    """What a faultless backend would show of an export."""
    return [_seen(span) for run in runs for span in (*spans_of(run), *linked_spans_of(run))]


def _seen(span: Span) -> Seen:
    said = {pair.key: _plain(pair.value) for pair in span.attributes}
    return Seen(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        kind=str(said["openinference.span.kind"]),
        started_at=_moment(span.start_time_unix_nano),
        finished_at=_moment(span.end_time_unix_nano),
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=said,
        events=tuple(event.name for event in span.events),
    )


def _plain(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


def _moment(nanos: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=nanos // 1000)


def test_all_that_was_exported_is_found() -> None:
    report = compare(RUNS, shown(RUNS))
    assert report["first"] == []
    assert report["runs"] == [12, 12]
    assert report["facts"]
    for counted in ("spans", "gaps", "reviews_and_evals"):
        told = report[counted]
        assert isinstance(told, list)
        assert told[0] == told[1] > 0


def _one(kind: str, change: Callable[[Seen], list[Seen]]) -> Callable[[list[Seen]], list[Seen]]:
    def spoil(spans: list[Seen]) -> list[Seen]:
        place = next(at for at, span in enumerate(spans) if span.kind == kind and span.parent_id is not None)
        return [*spans[:place], *change(spans[place]), *spans[place + 1 :]]

    return spoil


LATER = timedelta(milliseconds=1)
SPOILT: dict[str, tuple[Callable[[list[Seen]], list[Seen]], str]] = {
    "a span less": (_one("LLM", lambda _: []), "spans and 1 roots"),
    "a span twice": (_one("TOOL", lambda span: [span, span]), "spans and 1 roots"),
    "no parent": (_one("LLM", lambda span: [replace(span, parent_id=None)]), "2 roots"),
    "another parent": (_one("LLM", lambda span: [replace(span, parent_id="0" * 16)]), "is under another span"),
    "another kind": (_one("LLM", lambda span: [replace(span, kind="CHAIN")]), "is a CHAIN"),
    "another time": (_one("LLM", lambda span: [replace(span, finished_at=span.finished_at + LATER)]), "other times"),
    "another outcome": (_one("LLM", lambda span: [replace(span, failed=not span.failed)]), "here or there only"),
    "no facts": (_one("LLM", lambda span: [replace(span, attributes={})]), "llm.model_name is None"),
    "no gaps": (lambda spans: [replace(span, events=()) for span in spans], "0 gaps"),
    "no reviews": (
        lambda spans: [span for span in spans if "causeline.linked.run.id" not in span.attributes],
        "other reviews",
    ),
    "no run": (lambda spans: [span for span in spans if span.trace_id != RUNS[0].run_id], "0 spans and 0 roots"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_whatever_is_not_as_it_was_is_named(fault: str) -> None:
    spoil, says = SPOILT[fault]
    report = compare(RUNS, spoil(shown(RUNS)))
    assert report["differing"]
    assert says in " ".join(map(str, report["first"] if isinstance(report["first"], list) else ()))

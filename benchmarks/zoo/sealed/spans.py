"""A run told by hand-written OpenTelemetry spans, beside what an instrumentation library makes of the model calls."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import Any, Protocol

from benchmarks.zoo.sealed.book import PASSING, Book, Note, Work
from benchmarks.zoo.sealed.model import Ask, Model, Said, Skill
from benchmarks.zoo.sealed.troubles import Trouble

Attributes = dict[str, Any]
Client = Callable[[Model, Ask, Callable[[], Said]], Said]
"""A provider's client library: model, request, what the provider answers. Raises the Trouble that the provider had."""


class Dialect(Protocol):
    """How a team writes its spans."""

    def span(self, kind: str, name: str) -> tuple[str, Attributes] | None:
        """Name and first attributes of a step's span; None where the team has none for it."""

    def said(self, kind: str, fields: Mapping[str, Any]) -> Attributes:
        """Attributes for what a step said; content stands in the fields as text."""

    def words(self, kind: str, words: Mapping[str, object], *, measures: bool) -> Attributes:
        """Attributes for own words and for measures."""

    def over(self, state: str, answer: str | None, words: Mapping[str, object]) -> Attributes:
        """Attributes of the root span at its end."""

    def event(self, what: str, fields: Mapping[str, Any]) -> tuple[str, Attributes] | None:
        """An event for a fallback, a review, an evaluation or evidence; None where the team has none."""


class SpanNote(Note):
    """Says it on a span."""

    def __init__(self, span: Any, kind: str, dialect: Dialect) -> None:
        self._span, self._kind, self._dialect = span, kind, dialect

    def say(self, **fields: Any) -> None:
        self._span.set_attributes(self._dialect.said(self._kind, {k: v for k, v in fields.items() if v is not None}))

    def measure(self, measures: Mapping[str, object]) -> None:
        self._span.set_attributes(self._dialect.words(self._kind, measures, measures=True))

    def tell(self, words: Mapping[str, object]) -> None:
        self._span.set_attributes(self._dialect.words(self._kind, words, measures=False))

    def failed(self, error: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("error.type", error)
        self._span.set_status(Status(StatusCode.ERROR))


class SpanBook(Book):
    """A run as one trace."""

    def __init__(self, tracer: Any, root: Any, dialect: Dialect, client: Client) -> None:
        self._tracer, self._root, self._dialect, self._client = tracer, root, dialect, client
        self.run_id = format(root.get_span_context().trace_id, "032x")
        self._error: str | None = None

    def keep(self, content: str) -> str:
        return f"doc-{sha256(content.encode()).hexdigest()[:12]}"

    @contextmanager
    def step(self, kind: str, name: str, **fields: Any) -> Iterator[Note]:
        begun = self._dialect.span(kind, name)
        if begun is None:
            yield Note()
            return
        with self._tracer.start_as_current_span(begun[0], attributes=begun[1]) as span:
            note = SpanNote(span, kind, self._dialect)
            note.say(**fields)
            yield note

    def ask(self, model: Model, ask: Ask, skill: Skill, tries: int = 3) -> Said:
        for tried in range(tries):
            try:
                return self._client(model, ask, partial(model.attempt, ask, skill, tried))
            except PASSING:
                if tried + 1 == tries:
                    raise
        raise Trouble

    def _event(self, what: str, fields: Mapping[str, Any]) -> None:
        from opentelemetry import trace

        event = self._dialect.event(what, {key: value for key, value in fields.items() if value is not None})
        if event is not None:
            trace.get_current_span().add_event(*event)

    def evidence(
        self,
        field: str,
        *,
        refs: Sequence[str] = (),
        score: float | None = None,
        required: bool = True,
        conflicting: Sequence[str] = (),
        attempts: int = 0,
    ) -> None:
        self._event("evidence", {"field": field, "sources": list(refs), "score": score})

    def fallback(self, kind: str, reason: str) -> None:
        self._event("fallback", {"kind": kind, "reason": reason})

    def review(
        self,
        outcome: str,
        *,
        field: str | None = None,
        reviewer: str = "reviewer:1",
        override: str | None = None,
        note: str | None = None,
    ) -> None:
        self._event(
            "review", {"outcome": outcome, "field": field, "reviewer": reviewer, "override": override, "note": note}
        )

    def evaluated(self, case: str, outcome: str) -> None:
        self._event("eval", {"name": case, "outcome": outcome})

    def finish(
        self,
        state: str,
        *,
        answer: str | None = None,
        error: str | None = None,
        words: Mapping[str, object] | None = None,
    ) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._root.set_attributes(self._dialect.over(state, answer, words or {}))
        if error is not None:
            self._root.set_attribute("error.type", error)
        if state == "failed":
            self._root.set_status(Status(StatusCode.ERROR))


def on_spans(
    provider: Any, scope: str, root: tuple[str, Attributes], *, dialect: Dialect, client: Client, work: Work
) -> str:
    """Do the work as one trace; gives its id."""
    tracer = provider.get_tracer(scope)
    run_id = ""
    try:
        with tracer.start_as_current_span(root[0], attributes=root[1]) as span:
            book = SpanBook(tracer, span, dialect, client)
            run_id = book.run_id
            work(book)
    except Trouble:
        return run_id
    return run_id

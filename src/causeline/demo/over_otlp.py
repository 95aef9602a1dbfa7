"""A part of the demo that knows nothing of Causeline: OpenTelemetry's SDK and OpenInference, over OTLP to a receiver.

A small help desk looks a passage up, lets a model say it, and checks how much of the question the passage speaks of.
Some questions have no passage, and some calls fail. Every run has `service.name` and session to know it by.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from openinference.instrumentation import (
    Document,
    Message,
    OITracer,
    TokenCount,
    TraceConfig,
    get_llm_attributes,
    get_retriever_attributes,
    using_session,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from causeline.schemas.errors import Unreachable

SERVICE: Final = "demo-otlp"
"""The resource's name, and so the run's label `service.name`."""
WORKFLOW: Final = "help_desk"
_MODEL, _PROVIDER = "acme-small", "acme"
_FAILING = 0.06
_SPANS_A_RUN = 4
_FLUSH_MS = 60_000

_PASSAGES: Final = {
    "refunds#1": "A refund is paid within 14 days after the goods have come back.",
    "refunds#2": "Goods that were made to order are not taken back.",
    "delivery#1": "Parcels leave the warehouse on the next working day before noon.",
    "delivery#2": "Islands are served on Tuesday and Friday only.",
    "account#1": "A password is reset by the link in the letter of welcome.",
}
_QUESTIONS: Final = (
    "When is a refund paid after the goods have come back?",
    "Are goods that were made to order taken back?",
    "When do parcels leave the warehouse?",
    "On which days are islands served?",
    "How is a password reset?",
    "Who painted the ceiling of the lobby?",
)


class ModelOverloaded(Exception):
    """The model played here does not answer."""


@dataclass(frozen=True, slots=True)
class SentOverOtlp:
    """Trace ids that the receiver acknowledged, and how many spans each has."""

    run_ids: tuple[str, ...]
    spans_a_run: int

    @property
    def spans(self) -> int:
        """Of all of them."""
        return len(self.run_ids) * self.spans_a_run


class _Counted(OTLPSpanExporter):
    """The SDK's exporter, which remembers how many spans were acknowledged."""

    acknowledged = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export(spans)
        if result is SpanExportResult.SUCCESS:
            self.acknowledged += len(spans)
        return result


def publish_over_otlp(
    endpoint: str, *, runs: int, seed: int, session: str, project: str, timeout_s: float = 30
) -> SentOverOtlp:
    """Ask the help desk so many questions; raises Unreachable when a span was not acknowledged."""
    exporter = _Counted(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=timeout_s)
    provider = TracerProvider(
        resource=Resource({"service.name": SERVICE, "openinference.project.name": project}), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=max(2048, 2 * runs * _SPANS_A_RUN)))
    desk = _HelpDesk(OITracer(provider.get_tracer("causeline.demo"), config=TraceConfig()), random.Random(seed))
    try:
        with using_session(session):
            run_ids = tuple(desk.answer() for _ in range(runs))
        provider.force_flush(_FLUSH_MS)
    finally:
        provider.shutdown()
    sent = SentOverOtlp(run_ids, _SPANS_A_RUN)
    if exporter.acknowledged != sent.spans:
        raise Unreachable(
            f"Of {sent.spans:,d} spans the receiver acknowledged {exporter.acknowledged:,d}.",
            hint="The receiver's log in the state folder says why.",
        )
    return sent


class _HelpDesk:
    """Four spans a run: the chain, the look-up, the call, the check."""

    def __init__(self, tracer: OITracer, dice: random.Random) -> None:
        self._tracer = tracer
        self._dice = dice

    def answer(self) -> str:
        """One question; gives the trace id."""
        question = self._dice.choice(_QUESTIONS)
        with self._tracer.start_as_current_span(WORKFLOW, openinference_span_kind="chain") as chain:
            chain.set_attribute("gen_ai.workflow.name", WORKFLOW)
            chain.set_input(question)
            found = self._look_up(question)
            try:
                said = self._ask(question, found)
            except ModelOverloaded:
                said = ""
            self._check(said, found)
            chain.set_output(said)
            return f"{chain.get_span_context().trace_id:032x}"

    def _look_up(self, question: str) -> dict[str, float]:
        """The passages by how much of the question they say, the best first."""
        with self._tracer.start_as_current_span("passages", openinference_span_kind="retriever") as span:
            scores = {name: _share(question, text) for name, text in _PASSAGES.items()}
            best = dict(sorted(scores.items(), key=lambda each: -each[1])[:2])
            documents = [Document(id=name, content=_PASSAGES[name], score=score) for name, score in best.items()]
            span.set_attributes(get_retriever_attributes(documents=documents))
            return best

    def _ask(self, question: str, found: dict[str, float]) -> str:
        """The best passage, as a model would say it again."""
        with self._tracer.start_as_current_span("answer", openinference_span_kind="llm") as span:
            span.set_attributes(
                get_llm_attributes(
                    provider=_PROVIDER,
                    model_name=_MODEL,
                    invocation_parameters={"temperature": 0.2, "seed": 7},
                    input_messages=[Message(role="user", content=question)],
                )
            )
            if self._dice.random() < _FAILING:
                raise ModelOverloaded
            name, _ = next(iter(found.items()))
            said = _PASSAGES[name]
            count = TokenCount(prompt=len(question.split()), completion=len(said.split()))
            message = Message(role="assistant", content=said)
            span.set_attributes(get_llm_attributes(output_messages=[message], token_count=count))
            return said

    def _check(self, said: str, found: dict[str, float]) -> None:
        """How much of what was asked the passage says, as evidence for the answer."""
        name, share = next(iter(found.items()))
        with self._tracer.start_as_current_span("support", openinference_span_kind="evaluator") as span:
            span.set_attributes(
                {
                    "causeline.step.kind": "evidence",
                    "causeline.evidence.field": "$.answer",
                    "causeline.evidence.score": round(share, 3) if said else 0.0,
                    "causeline.evidence.refs": [f"passage:{name}"] if said and share else [],
                }
            )


def _share(question: str, text: str) -> float:
    """The share of the question's words that the text has."""
    asked = {word.strip("?.,").lower() for word in question.split()}
    said = {word.strip("?.,").lower() for word in text.split()}
    return len(asked & said) / len(asked)

"""LangChain runnables under OpenInference's instrumentation: each step is a run of LangChain's callbacks."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.callbacks import CallbackManager
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from opentelemetry.context import Context

from benchmarks.zoo.open.kit.model import Ask, Reply
from benchmarks.zoo.open.kit.record import Call, Note, Recorder, Serve
from benchmarks.zoo.open.kit.text import Passage
from benchmarks.zoo.protocol import Surroundings

SPOKEN = ("route", "route_confidence", "validation_errors", "status")


class AcmeChat(BaseChatModel):  # type: ignore[misc]
    """A chat model of a house of its own."""

    model_name: str
    temperature: float
    ask: Any
    serve: Any

    @property
    def _llm_type(self) -> str:
        return "acme-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, "temperature": self.temperature}

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        reply: Reply = self.serve(self.ask)
        used = {"input_tokens": reply.tokens_in, "output_tokens": reply.tokens_out}
        message = AIMessage(
            content=reply.text,
            response_metadata={
                "finish_reason": reply.finish,
                "model_name": reply.model,
                "system_fingerprint": reply.fingerprint,
            },
            usage_metadata={**used, "total_tokens": reply.tokens_in + reply.tokens_out},
            additional_kwargs={"reply": reply},
        )
        return ChatResult(generations=[ChatGeneration(message=message)], llm_output={"model_name": reply.model})


class ChainNote(Note):
    """Gathers what a chain's run gives."""

    def __init__(self) -> None:
        self.out: dict[str, Any] = {}
        self.shown: list[Document] = []
        self.error: Exception | None = None

    def say(self, **fields: Any) -> None:
        self.out |= {k: v if isinstance(v, str | int | float) else list(v) for k, v in fields.items() if k in SPOKEN}

    def gives(self, text: str) -> None:
        self.out["output"] = text

    def shows(self, passages: Sequence[Passage]) -> None:
        self.shown = [
            Document(page_content=p.text, metadata={"source": p.source, "score": p.score}, id=f"{p.source}#{p.number}")
            for p in passages
        ]

    def failed(self, error: Exception) -> None:
        self.error = error


class Chains(Recorder):
    """A run is a request to a service that runs a chain."""

    def __init__(self, around: Surroundings, service: str) -> None:
        self._tracer = around.otel.get_tracer("opentelemetry.instrumentation.fastapi")
        self._service = service
        self._managers: list[Any] = []
        self._root: Any = None
        self._given: dict[str, Any] = {}

    @contextmanager
    def run(self, name: str, text: str, labels: Mapping[str, str]) -> Iterator[None]:
        with self._tracer.start_as_current_span(f"POST /{self._service}", context=Context()) as self._root:
            self.run_id = format(self._root.get_span_context().trace_id, "032x")
            self._root.set_attribute("http.request.method", "POST")
            self._root.set_attribute("http.route", f"/{self._service}")
            manager = CallbackManager.configure(inheritable_metadata=dict(labels))
            began = manager.on_chain_start({"name": name}, {"input": text}, name=name)
            self._managers.append(began)
            try:
                yield
            except Exception as error:
                began.on_chain_error(error)
                self._root.set_attribute("http.response.status_code", 500)
                raise
            began.on_chain_end(self._given)
            self._root.set_attribute("http.response.status_code", 200)

    @contextmanager
    def step(self, kind: str, name: str, **fields: Any) -> Iterator[Note]:
        under = self._managers[-1].get_child()
        note = _Begun(kind, name, under, fields)
        try:
            yield note
        except Exception as error:
            note.end(error)
            raise
        note.end(note.error)

    def model(self, call: Call, ask: Ask, serve: Serve, passages: Sequence[Passage] = ()) -> Reply:
        chat = AcmeChat(model_name=ask.model, temperature=ask.temperature, ask=ask, serve=serve)
        roles = {"user": HumanMessage, "assistant": AIMessage}
        messages = [SystemMessage(ask.system), *(roles[role](text) for role, text in ask.turns)]
        held = {"callbacks": self._managers[-1].get_child(), "run_name": call.name}
        answer = chat.invoke(messages, config=held)
        reply: Reply = answer.additional_kwargs["reply"]
        return reply

    def evidence(
        self, field: str, passages: Sequence[Passage], score: float | None, *, against: Sequence[Passage] = ()
    ) -> None:
        """No such thing in LangChain."""

    def fallback(self, kind: str, reason: str) -> None:
        with self.step("custom", "fallback") as note:
            note.gives(reason)

    def review(self, outcome: str, *, field: str | None = None, value: str | None = None, note: str = "") -> None:
        self._root.add_event("feedback", {"outcome": outcome, "field": field or "", "corrected": value or ""})

    def grade(self, case: str, outcome: str) -> None:
        """The evaluator's own run says it."""

    def finish(self, state: str, text: str, labels: Mapping[str, str]) -> None:
        self._given = {"output": text, "state": state}
        for name, value in labels.items():
            self._root.set_attribute(f"ticket.{name}", value)


class _Begun(ChainNote):
    """A run of LangChain that starts when its input is known, and at the latest when it ends."""

    def __init__(self, kind: str, name: str, under: Any, fields: Mapping[str, Any]) -> None:
        super().__init__()
        self._kind, self._name, self._under = kind, name, under
        self._run: Any = None
        self.say(**fields)

    def reads(self, text: str) -> None:
        if self._run is not None:
            return
        named: dict[str, Any] = {"name": self._name}
        if self._kind == "tool":
            self._run = self._under.on_tool_start(named, text, name=self._name)
        elif self._kind == "retrieve":
            self._run = self._under.on_retriever_start(named, text, name=self._name)
        else:
            self._run = self._under.on_chain_start(named, {"input": text}, name=self._name)

    def end(self, error: Exception | None) -> None:
        self.reads("")
        ends = {"tool": "tool", "retrieve": "retriever"}.get(self._kind, "chain")
        if error is not None:
            getattr(self._run, f"on_{ends}_error")(error)
        elif ends == "retriever":
            self._run.on_retriever_end(self.shown)
        elif ends == "tool":
            self._run.on_tool_end(self.out.get("output", json.dumps(self.out)))
        else:
            self._run.on_chain_end(self.out)


def instrument(provider: Any) -> Callable[[], None]:
    """OpenInference's instrumentation of LangChain."""
    from openinference.instrumentation.langchain import LangChainInstrumentor  # noqa: PLC0415

    made = LangChainInstrumentor()
    made.instrument(tracer_provider=provider)

    def undo() -> None:
        made.uninstrument()

    return undo


def recorder(around: Surroundings, service: str) -> Recorder:
    return Chains(around, service)

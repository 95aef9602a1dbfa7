"""What `lint-traces` tells people whose traces come from elsewhere: attributes in their own client's words."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from causeline.diagnosis import foreign_words
from causeline.diagnosis.habits import HABITS, Found, lint
from causeline.schemas.otel_names import KIND_ROWS, ROWS
from causeline.schemas.run import Run
from interop.recorder import Request, read_recording
from interop.run_clients import RECORDINGS, replayed
from tests.unit.otlp.planting import message_of

_OWN = {
    "langfuse": "langfuse.observation.prompt.version",
    "mlflow": "gen_ai.prompt.version",
    "openinference_langchain": "llm.prompt_template.version",
    "openai_agents": "llm.prompt_template.version",
    "strands": "gen_ai.prompt.version",
    "traceloop": "traceloop.prompt.version",
    "vercel_ai": "gen_ai.prompt.version",
}
_EXAMPLES = {row.key.replace("#", " → ").replace("*", "…"): row for row in ROWS}


def _run(requests: list[Request], folder: Path) -> Run:
    [run] = replayed(requests, folder)
    return run


def _dropped(run: Run) -> list[Found]:
    return [each for each in lint([run]).found if each.habit.name == "version_dropped"]


def _set(span: Any, asked: Iterable[str]) -> None:
    """Give a span the attributes, each as its example says it; members of one JSON text stand in one."""
    said: dict[str, str] = {pair.key: pair.value.string_value for pair in span.attributes}
    for key in asked:
        outer, _, inner = _EXAMPLES[key].key.partition("#")
        example = _EXAMPLES[key].example
        said[outer] = json.dumps(json.loads(said.get(outer) or "{}") | json.loads(example)) if inner else example
    kept = [pair for pair in span.attributes if pair.key not in {_EXAMPLES[key].key.partition("#")[0] for key in asked}]
    del span.attributes[:]
    span.attributes.extend(kept)
    for key in {_EXAMPLES[each].key.partition("#")[0] for each in asked}:
        span.attributes.add(key=key).value.string_value = said[key]


@pytest.mark.parametrize("client", _OWN)
def test_the_attributes_that_are_asked_for_end_the_habit(tmp_path: Path, client: str) -> None:
    requests = read_recording(RECORDINGS / client)
    [told] = _dropped(_run(requests, tmp_path / "before"))
    assert _OWN[client] in told.attributes
    assert not [key for key in told.attributes if key.startswith("causeline.")], "words that its client has"
    mended = []
    for request in requests:
        message = message_of(request)
        for group in getattr(message, "resource_spans", ()):
            for span in (each for scoped in group.scope_spans for each in scoped.spans):
                _set(span, told.attributes)
        mended.append(Request(request.signal, False, "http", message.SerializeToString()))
    assert _dropped(_run(mended, tmp_path / "after")) == []


def test_a_client_of_another_provider_is_not_asked_for_openai_s_words(tmp_path: Path) -> None:
    [told] = _dropped(_run(read_recording(RECORDINGS / "google_adk"), tmp_path))
    assert not [key for key in told.attributes if key.startswith("openai.")]


@pytest.mark.parametrize(
    ("client", "output"),
    [("js_json", "gen_ai.output.messages"), ("google_adk", "gen_ai.output.messages")],
)
def test_an_answer_that_is_nowhere_is_asked_for_where_its_client_puts_it(
    tmp_path: Path, client: str, output: str
) -> None:
    [told] = _dropped(_run(read_recording(RECORDINGS / client), tmp_path))
    assert told.attributes[-1] == output


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.name)
@pytest.mark.parametrize(
    "scope", ["app", "openinference.instrumentation.openai", "langfuse-sdk", "traceloop.tracer", "ai"]
)
def test_every_habit_has_words_that_the_receiver_reads(habit: object, scope: str) -> None:
    name = str(getattr(habit, "name", ""))
    asked = foreign_words.attributes(name, ("model_call.prompt_version", "model_call.model_policy"), scope)
    known = {*_EXAMPLES, *(f"{row.key} = {row.word}" for row in KIND_ROWS), "causeline.linked.run.id"}
    assert asked
    assert not set(asked) - known - {"causeline.run.final_state"}

"""What real clients sent, replayed: what each of them gives, and nothing of its content on the wire."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from causeline.console.diagnosis.diagnose import diagnose
from interop.fake_openai import ANSWER, FINGERPRINT, MODEL
from interop.recorder import read_recording
from interop.run_clients import RECORDINGS, names, replayed
from tests.unit.otlp.door import Door


@dataclass(frozen=True, slots=True)
class Gives:
    """What a client's run has: the model call's facts, and what else its steps say."""

    steps: int
    workflow: str = "answer a question"
    provider: str | None = "openai"
    temperature: float | None = 0.0
    model: str = MODEL
    fingerprint: str | None = None
    documents: int = 0
    content: bool = True


GIVEN = {
    "js_json": Gives(2, temperature=0.5, content=False),
    "js_proto": Gives(2, temperature=0.5, content=False),
    "langfuse": Gives(3, provider=None),
    "langfuse_js": Gives(2, provider=None, model="gpt-4o-mini"),
    "mlflow": Gives(3, provider=None, fingerprint=FINGERPRINT, documents=1),
    "openai_v2": Gives(2),
    "openinference_langchain": Gives(7, workflow="RunnableSequence", documents=1),
    "openinference_openai": Gives(2),
    "openlit": Gives(3, fingerprint=FINGERPRINT),
    "otel_grpc": Gives(3, documents=1, content=False),
    "otel_http": Gives(3, documents=1, content=False),
    "pydantic_ai": Gives(3),
    "traceloop": Gives(3, fingerprint=FINGERPRINT),
    "vercel_ai": Gives(2, provider="openai.chat"),
}


def test_every_client_is_recorded_and_held_to_what_it_gives() -> None:
    assert names() == sorted(GIVEN)
    assert sorted(folder.name for folder in RECORDINGS.iterdir()) == sorted(GIVEN)


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_a_real_clients_requests_become_a_run(tmp_path: Path, name: str) -> None:
    gives = GIVEN[name]
    door = Door(tmp_path)
    try:
        for request in read_recording(RECORDINGS / name):
            assert door.post(request.body, json=request.json, path=f"/v1/{request.signal}").status_code == 200
        [run] = door.runs.values()
        sent = b"".join(value for _, value in door.transport.sent)
    finally:
        door.close()
    assert (run.workflow, run.verdict, len(run.steps)) == (gives.workflow, "complete", gives.steps)
    [call] = [step for step in run.steps if step.step_kind == "model_call"]
    assert (call.model_name, call.model_provider, call.temperature, call.system_fingerprint) == (
        gives.model, gives.provider, gives.temperature, gives.fingerprint,
    )  # fmt: skip
    assert (call.input_tokens, call.output_tokens) == (21, 8)
    assert (run.input_tokens, run.output_tokens) == (21, 8)  # counted once, whoever repeats them
    assert sum(len(step.context_refs) for step in run.steps if step.step_kind == "retrieve") == gives.documents
    assert (call.raw_output_ref is not None) is gives.content
    assert ANSWER.encode() not in sent
    assert b"How long is the notice" not in sent


def test_why_names_the_attribute_to_set(tmp_path: Path) -> None:
    [run] = replayed(read_recording(RECORDINGS / "openai_v2"), tmp_path)
    unknown = [sentence for answer in diagnose(run).answers for sentence in answer.unknown]
    assert "prompt_version was never recorded: set gen_ai.prompt.version on the model_call span." in unknown
    for attribute in ("causeline.route.name", "causeline.evidence.field", "causeline.validation.schema_version"):
        assert any(attribute in sentence for sentence in unknown)
    assert not [sentence for sentence in unknown if "run." in sentence and "tracer." not in sentence]


def test_the_docs_name_every_client() -> None:
    page = (Path(__file__).parents[3] / "docs" / "opentelemetry.md").read_text("utf-8")
    for name in GIVEN:
        assert f"| `{name}` |" in page

"""What real clients sent, replayed: what each of them gives, and nothing of its content on the wire."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from causeline.diagnosis.diagnose import diagnose
from interop import matrix
from interop.fake_openai import ANSWER, FINGERPRINT, MODEL
from interop.recorder import read_recording
from interop.run_clients import FAILURES, RECORDINGS, names, replayed
from tests.unit.otlp.endpoint import Door


@dataclass(frozen=True, slots=True)
class Gives:
    """What a client's run has: the facts of its model calls, and what else its steps say."""

    steps: int
    workflow: str = "app"
    provider: str | None = "openai"
    temperature: float | None = 0.0
    model: str = MODEL
    asked: str | None = "gpt-4o-mini"
    fingerprint: str | None = None
    documents: int = 0
    content: bool = True
    calls: int = 1
    session: str | None = None
    agents: int = 0


_ASK = "answer a question"
GIVEN = {
    "google_adk": Gives(5, "contracts", "gcp.gemini", None, "gemini-2.5-flash", "gemini-2.5-flash", content=False,
                        calls=2, session="session-7", agents=1),
    "js_json": Gives(2, _ASK, temperature=0.5, content=False),
    "js_proto": Gives(2, _ASK, temperature=0.5, content=False),
    "langfuse": Gives(3, provider=None, asked=None, documents=1),
    "langfuse_js": Gives(2, _ASK, provider=None, model="gpt-4o-mini", asked=None),
    "langgraph": Gives(10, "contracts", calls=2, session="session-7", agents=2),
    "mlflow": Gives(3, provider=None, asked=None, fingerprint=FINGERPRINT, documents=1),
    "openai_agents": Gives(9, "contracts", temperature=None, model="gpt-4o-mini", asked=None, calls=2,
                           session="session-7", agents=2),
    "openai_v2": Gives(2),
    "openinference_langchain": Gives(7, asked=None, documents=1),
    "openinference_openai": Gives(2, asked=None),
    "openlit": Gives(3, fingerprint=FINGERPRINT),
    "otel_grpc": Gives(3, documents=1, content=False),
    "otel_http": Gives(3, documents=1, content=False),
    "otel_java": Gives(3, "contracts", content=False, session="session-7", agents=1),
    "pydantic_ai": Gives(3, "answer", session="01a2098b-6a2c-7563-bd27-077cc23fa140", agents=1),
    "smolagents": Gives(8, model="gpt-4o-mini", asked=None, calls=3, agents=1),
    "strands": Gives(6, "contracts", "strands-agents", None, "gpt-4o-mini", calls=2, session="session-7", agents=1),
    "traceloop": Gives(3, _ASK, fingerprint=FINGERPRINT),
    "vercel_ai": Gives(2, _ASK, provider="openai.chat"),
}  # fmt: skip
"""What each gives where the model answers; `Gives.asked` is None for a client that says one model only."""


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
    calls = [step for step in run.steps if step.step_kind == "model_call"]
    assert len(calls) == gives.calls
    for call in calls:
        assert (call.model_name, call.model_provider, call.temperature, call.system_fingerprint) == (
            gives.model, gives.provider, gives.temperature, gives.fingerprint,
        )  # fmt: skip
        assert call.request_model == gives.asked
        assert (call.input_tokens, call.output_tokens) == (21, 8)
        assert (call.raw_output_ref is not None) is gives.content
    assert (run.input_tokens, run.output_tokens) == (21 * gives.calls, 8 * gives.calls)  # once, whoever repeats them
    assert (run.model_name, run.model_provider, run.session_id) == (gives.model, gives.provider, gives.session)
    assert sum(step.step_kind == "agent" for step in run.steps) == gives.agents
    assert sum(len(step.context_refs) for step in run.steps if step.step_kind == "retrieve") == gives.documents
    assert diagnose(run).first_cause is None, "a run that went well is accused of nothing"
    assert ANSWER.encode() not in sent
    assert b"How long is the notice" not in sent
    assert b"user-12" not in sent


@pytest.mark.parametrize("name", sorted(folder.name for folder in FAILURES.iterdir()))
def test_a_real_clients_failure_is_a_failed_run_that_tells_no_message(tmp_path: Path, name: str) -> None:
    door = Door(tmp_path)
    try:
        for request in read_recording(FAILURES / name):
            assert door.post(request.body, json=request.json, path=f"/v1/{request.signal}").status_code == 200
        [run] = door.runs.values()
        sent = b"".join(value for _, value in door.transport.sent)
    finally:
        door.close()
    assert (run.status, b"overloaded" in sent.lower().replace(b"modeloverloadederror", b"")) == ("error", False)
    assert [step.status for step in run.steps if step.step_kind == "model_call"].count("error") >= 1
    found = diagnose(run)
    first = found.first_cause
    assert first is not None
    assert (first.finding.boundary, first.certainty) == ("model_call", "certain")
    told = [each.finding.rule for each in found.causes] + [each.finding.rule for each in first.consequences]
    assert "label_says_so" not in told, "an attribute that says failure says no more than the error does"
    assert not any(word in first.finding.headline for word in ("no recorded class", "~"))


def test_the_table_of_clients_has_no_cell_without_a_reason(tmp_path: Path) -> None:
    found = matrix.rows(tmp_path)
    assert [each for row in found for each in row.missing()] == []
    assert [row.client for row in found] == sorted(GIVEN)
    assert {row.cells["leaks"].partition(" of ")[0] for row in found} == {"0"}
    assert [row.client for row in found if not row.cells["why"].startswith("quiet")] == []
    assert [row.client for row in found if "failing" in row.cells["why"] and "model_call" not in row.cells["why"]] == []


def test_why_names_the_attribute_to_set(tmp_path: Path) -> None:
    [run] = replayed(read_recording(RECORDINGS / "openai_v2"), tmp_path)
    assert diagnose(run).unknown == (), "nobody is told to record more of a run that went well"
    unknown = diagnose(replace(run, final_state="failed", error_type="Unhappy")).unknown
    for attribute in ("causeline.context.refs", "gen_ai.prompt.version", "causeline.evidence.score"):
        assert any(attribute in sentence for sentence in unknown)
    assert not [sentence for sentence in unknown if "run." in sentence]


def test_the_docs_name_every_client() -> None:
    page = (Path(__file__).parents[3] / "docs" / "opentelemetry.md").read_text("utf-8")
    for name in GIVEN:
        assert f"| `{name}` |" in page

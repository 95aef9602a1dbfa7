"""What real traces are like: entered from elsewhere, with two roots, told twice, with agents, evaluations, people."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from causeline.console.views.trace_map import trace_map
from causeline.console.views.waterfall import Odd
from causeline.diagnosis.habits import lint
from causeline.otlp.receiver.rules import Rules, UserIds
from causeline.otlp.receiver.settings import ReceiverSettings
from causeline.schemas.run import Run
from tests.unit.otlp.endpoint import Door
from tests.unit.otlp.requests import START_NS, TRACE, event_json, span_json, traces_json

HAS_REMOTE, REMOTE = 0x100, 0x300
AGENT = {"gen_ai.operation.name": "invoke_agent"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-5"}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    opened = Door(tmp_path)
    yield opened
    opened.close()


def run_of(door: Door, *spans: dict[str, Any], **more: Any) -> Run:
    answer = door.post(traces_json(*spans, **more), json=True)
    assert answer.status_code == 200, answer.text
    [run] = door.runs.values()
    return run


# --- where a run begins


@pytest.mark.parametrize("entry", [{"flags": REMOTE}, {"kind": 2}, {"kind": 5}], ids=["flags", "server", "consumer"])
def test_a_trace_that_is_entered_from_elsewhere_is_a_whole_run(door: Door, entry: dict[str, Any]) -> None:
    run = run_of(
        door,
        span_json("chat gpt-5", span=2, parent=1, attributes=CHAT, at_ms=(100, 400)),
        span_json("POST /ask", span=1, parent=0x99, attributes={"http.route": "/ask"}, **entry),
    )
    assert (run.verdict, run.final_state, run.missing, run.duration_us) == ("complete", "answered", (), 1_000_000)
    assert dict(run.steps[0].labels) == {"http.route": "/ask"}


def test_a_parent_of_the_same_process_is_no_entry_whatever_the_kind(door: Door) -> None:
    door.post(traces_json(span_json("receive", span=2, parent=1, kind=2, flags=HAS_REMOTE)), json=True)
    assert [event.event_type for event in door.events] == ["step_finished"]


def test_an_entry_within_a_run_ends_nothing(door: Door) -> None:
    """A tool server that is traced too, and fails, is a step of the run that asked it; its caller's end stands."""
    run = run_of(
        door,
        span_json("invoke_agent bot", span=1, attributes=AGENT | {"gen_ai.agent.name": "bot"}),
        span_json("tools/call", span=2, parent=1, attributes={"mcp.method.name": "tools/call"}, at_ms=(100, 300)),
        span_json("search", span=3, parent=2, kind=2, flags=REMOTE, status={"code": 2}, at_ms=(150, 1200)),
    )
    assert (run.workflow, run.final_state, run.duration_us, run.verdict) == ("bot", "answered", 1_000_000, "complete")
    assert [step.step_kind for step in run.steps] == ["agent", "tool", "custom"]


def test_a_run_that_nobody_begins_has_its_topmost_orphan_for_root(door: Door) -> None:
    run = run_of(
        door,
        span_json("chat gpt-5", span=3, parent=2, attributes=CHAT, at_ms=(200, 300)),
        span_json("answer", span=2, parent=0x99, status={"code": 2}, at_ms=(100, 900)),
    )
    assert (run.verdict, run.final_state, run.missing) == ("partial", "failed", (f"parent:{0x99:016x}",))
    assert run.duration_us == 900_000 - 100_000


@pytest.mark.parametrize(("second", "state"), [({"status": {"code": 2}}, "failed"), ({}, "answered")])
def test_a_run_that_nobody_begins_lasts_from_its_first_orphan_to_its_last(
    door: Door, second: dict[str, Any], state: str
) -> None:
    """Two attempts of a client that never ends the span around them: how the second came out is how the run did."""
    run = run_of(
        door,
        span_json("chat gpt-5", span=3, parent=2, attributes=CHAT, status={"code": 2}, at_ms=(0, 100)),
        span_json("chat gpt-5", span=4, parent=2, attributes=CHAT, at_ms=(2000, 2300), **second),
    )
    assert (run.verdict, run.final_state, run.duration_us) == ("partial", state, 2_300_000)


def test_a_run_that_nobody_begins_is_foreign_all_the_same(door: Door) -> None:
    """The span that would say its scope never came; that is no reason to ask it for the words of a `Tracer`."""
    run = run_of(door, span_json("chat gpt-5", span=3, parent=2, attributes=CHAT))
    assert run.is_foreign
    assert "never recorded" not in repr(trace_map(run)).lower()
    [dropped] = [each for each in lint([run]).found if each.habit.name == "version_dropped"]
    assert "gen_ai.prompt.version" in dropped.attributes


def test_what_describes_a_tool_is_no_input(door: Door) -> None:
    """A client that keeps messages out of its spans still tells what its tools are for; nobody asked that."""
    said = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.description": "Look into the contract."}
    run = run_of(
        door,
        span_json("execute_tool search", span=1, attributes=said),
        span_json("chat gpt-5", span=2, parent=1, attributes=CHAT | {"gen_ai.tool.definitions": '[{"name":"search"}]'}),
    )
    assert [(step.input_ref, "input.chars" in step.labels) for step in run.steps] == [(None, False)] * 2
    assert run.input_ref is None
    assert all(step.attributes_ref is not None for step in run.steps)


def test_the_parent_of_an_entry_is_elsewhere_and_not_missing(door: Door) -> None:
    inner = span_json("chat gpt-5", span=2, parent=1, attributes=CHAT, at_ms=(100, 400))
    entered = run_of(door, span_json("POST /ask", span=1, parent=0x99, kind=2), inner)
    assert Odd.PARENT_MISSING not in repr(trace_map(entered))


def test_two_roots_make_one_run_that_spans_both_and_says_so(door: Door) -> None:
    run = run_of(
        door,
        span_json("first", span=1, at_ms=(0, 500)),
        span_json("second", span=2, status={"code": 2}, at_ms=(600, 2600)),
        span_json("child", span=3, parent=2, at_ms=(700, 800)),
    )
    assert (run.duration_us, run.final_state, run.status) == (2_600_000, "failed", "error")
    assert run.labels["otel.roots"] == "2"


@pytest.mark.parametrize("parent", ["zzzzzzzzzzzzzzzz", "abc"])
def test_a_parent_that_is_no_id_makes_an_orphan_and_no_root(door: Door, parent: str) -> None:
    run = run_of(door, span_json("root", span=1), span_json("lost", span=2, parent=parent, at_ms=(100, 200)))
    assert "otel.roots" not in run.labels
    assert (len(run.missing), run.verdict) == (1, "partial")
    assert run.steps[1].parent_step_id is not None


def test_a_parent_of_zeros_is_none(door: Door) -> None:
    run = run_of(door, span_json("root", span=1, parent="0" * 16))
    assert (run.verdict, run.steps[0].parent_step_id) == ("complete", None)


# --- the same thing told twice


def test_a_span_that_comes_again_and_says_more_is_merged(door: Door) -> None:
    door.post(traces_json(span_json("root", span=1), span_json("child", span=2, parent=1, at_ms=(0, 500))), json=True)
    more = span_json("child", span=2, parent=1, attributes=CHAT | {"gen_ai.usage.input_tokens": 5}, at_ms=(0, 500))
    run = run_of(door, more | {"status": {"code": 2}})
    assert [(step.step_name, step.status, step.model_name, step.input_tokens) for step in run.steps] == [
        ("root", "ok", None, None),
        ("child", "error", "gpt-5", 5),
    ]
    before = len(door.events)
    door.post(traces_json(more | {"status": {"code": 2}}), json=True)
    assert len({event.event_id for event in door.events}) == before  # the same again is the same event


def test_a_call_that_two_instrumentations_tell_is_counted_once_and_marked(door: Door) -> None:
    said = CHAT | {"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 2}
    run = run_of(
        door,
        span_json("root", span=1),
        span_json("ChatOpenAI", span=2, parent=1, attributes=said, at_ms=(100, 500)),
        span_json("openai.chat", span=3, parent=2, attributes=said, at_ms=(110, 490)),
    )
    assert (run.input_tokens, run.output_tokens) == (5, 2)
    assert [step.labels.get("otel.doubled") for step in run.steps] == [None, "true", None]


# --- what a run is called, and whose it is


@pytest.mark.parametrize(
    ("root", "agent", "service", "named"),
    [
        ({"gen_ai.workflow.name": "claims"}, "bot", "shop", "claims"),
        ({}, "bot", "shop", "bot"),
        ({}, None, "shop", "shop"),
        ({}, None, "unknown_service:python", "POST /"),
        ({}, None, None, "POST /"),
    ],
)
def test_the_strongest_word_names_the_workflow(
    door: Door, root: dict[str, Any], agent: str | None, service: str | None, named: str
) -> None:
    of_agent = AGENT | ({"gen_ai.agent.name": agent} if agent else {})
    spans = [
        span_json("chat", span=4, parent=3, attributes=CHAT, at_ms=(300, 400)),
        span_json("inner", span=3, parent=2, attributes=AGENT | {"gen_ai.agent.name": "helper"} if agent else {},
                  at_ms=(200, 500)),
        span_json("outer", span=2, parent=1, attributes=of_agent, at_ms=(100, 600)),
        span_json("POST /", span=1, kind=2, attributes=root),
    ]  # fmt: skip
    resource = {"service.name": service} if service else {}
    for span in spans:  # a request each, as exporters that do not wait send them
        door.post(traces_json(span, resource=resource), json=True)
    [run] = door.runs.values()
    assert run.workflow == named


def test_a_session_and_a_users_hash_come_from_any_span_and_the_id_stays(door: Door) -> None:
    said = AGENT | {"gen_ai.conversation.id": "conversation-1", "session.id": "other", "user.id": "ann@example.org"}
    run = run_of(door, span_json("POST /", span=1, kind=2), span_json("a", span=2, parent=1, attributes=said))
    assert run.session_id == "conversation-1"
    assert run.user_hash == Rules(user_key=b"a key of the tests").hashed("ann@example.org")
    assert b"ann@" not in b"".join(value for _, value in door.transport.sent)
    assert run.steps[1].attributes_ref is not None
    assert json.loads(door.store.get(run.steps[1].attributes_ref))["user"] == "ann@example.org"


@pytest.mark.parametrize(
    ("user_ids", "hashed", "label"),
    [(UserIds.KEEP, "user-7", "user-7"), (UserIds.DROP, None, None)],
)
def test_what_becomes_of_user_ids_is_a_setting(
    tmp_path: Path, user_ids: UserIds, hashed: str | None, label: str | None
) -> None:
    door = Door(tmp_path, ReceiverSettings(user_ids=user_ids, durable_timeout_s=60))
    try:
        run = run_of(door, span_json("a", attributes={"user.id": "user-7"}))
    finally:
        door.close()
    assert (run.user_hash, run.labels.get("user.id")) == (hashed, label)


def test_a_session_that_is_no_word_is_hashed(door: Door) -> None:
    run = run_of(door, span_json("a", attributes={"session.id": "Ann Doe, ann@example.org"}))
    assert run.session_id == Rules(user_key=b"a key of the tests").hashed("Ann Doe, ann@example.org")


def test_only_model_calls_say_a_runs_model(door: Door) -> None:
    agent = AGENT | {"gen_ai.provider.name": "langchain", "gen_ai.agent.name": "Bot", "gen_ai.request.model": "any"}
    run = run_of(
        door,
        span_json("chat", span=2, parent=1, attributes=CHAT | {"gen_ai.request.temperature": 0.3}, at_ms=(100, 300)),
        span_json("execute_tool x", span=3, parent=1, at_ms=(400, 500),
                  attributes={"gen_ai.operation.name": "execute_tool", "gen_ai.provider.name": "langchain"}),
        span_json("invoke_agent Bot", span=1, attributes=agent),
    )  # fmt: skip
    assert (run.model_name, run.model_provider, run.temperature) == ("gpt-5", "openai", 0.3)


# --- what clients say of cost, kinds and documents


def test_cost_said_by_the_client_is_the_runs(door: Door) -> None:
    run = run_of(
        door, span_json("a", span=1), span_json("c", span=2, parent=1, attributes=CHAT | {"operation.cost": 5.6e-6})
    )
    assert run.cost_usd == 5.6e-6


def test_langsmiths_kinds_and_documents_are_read(door: Door) -> None:
    found = '{"documents":[{"page_content":"Notice","metadata":{"id":"d1"}}]}'
    words = ["chain", "retriever", "llm", "tool", "embedding"]
    spans = [
        span_json(word, span=place, parent=1 if place > 1 else None, attributes={"langsmith.span.kind": word},
                  at_ms=(place, 900))
        for place, word in enumerate(words, 1)
    ]  # fmt: skip
    spans[1]["attributes"] += [{"key": "gen_ai.completion", "value": {"stringValue": found}}]
    run = run_of(door, *spans)
    assert [step.step_kind for step in run.steps] == ["chain", "retrieve", "model_call", "tool", "embedding"]
    assert [step.original_kind for step in run.steps] == words
    assert run.steps[1].context_refs == ("document:d1",)


def test_a_vector_stores_results_are_documents(door: Door) -> None:
    events = [
        event_json("db.query.embeddings", {"db.query.embeddings.vector": "[0.1]"}),
        event_json("db.query.result", {"db.query.result.id": "doc-1", "db.query.result.document": "Notice."}),
        event_json("db.query.result", {"db.query.result.document": "No id, but a text."}),
    ]
    said = {"db.system": "chroma", "db.operation": "query"}
    run = run_of(
        door, span_json("a", span=1), span_json("chroma.query", span=2, parent=1, attributes=said, events=events)
    )
    step = run.steps[1]
    assert (step.step_kind, step.context_refs[0], len(step.context_refs)) == ("retrieve", "document:doc-1", 2)
    assert step.raw_output_ref is not None
    assert b"Notice." in door.store.get(step.raw_output_ref)


def test_a_guardrail_is_no_validation_and_its_verdict_is_kept(door: Door) -> None:
    said = {"openinference.span.kind": "GUARDRAIL", "guardrail.name": "pii", "gen_ai.guardrail.action": "block"}
    run = run_of(door, span_json("check", attributes=said))
    assert (run.steps[0].step_kind, run.steps[0].labels["gen_ai.guardrail.action"]) == ("guardrail", "block")


def test_langfuses_level_is_a_status(door: Door) -> None:
    run = run_of(door, span_json("a", attributes={"langfuse.observation.level": "ERROR"}))
    assert (run.status, run.final_state) == ("error", "failed")


# --- evaluations


def _evaluated(door: Door, *said: dict[str, Any]) -> Run:
    events = [
        event_json("gen_ai.evaluation.result", {f"gen_ai.evaluation.{key}": value for key, value in each.items()})
        for each in said
    ]
    return run_of(door, span_json("invoke_agent a", attributes=AGENT, events=events))


def test_evaluations_are_stored_as_they_are_said(door: Door) -> None:
    run = _evaluated(
        door,
        {"name": "Relevance", "score.value": 0.2, "explanation": "off topic"},
        {"name": "Toxicity", "score.value": 1.0, "score.label": "toxic", "evaluator.name": "judge-1"},
    )
    found = {each.name: each for each in run.evaluations}
    assert (found["Relevance"].score, found["Relevance"].label) == (0.2, None)
    assert (found["Toxicity"].label, found["Toxicity"].evaluator) == ("toxic", "judge-1")
    assert found["Relevance"].explanation_ref is not None
    assert door.store.get(found["Relevance"].explanation_ref) == b"off topic"
    assert run.evals == ()


@pytest.mark.parametrize(
    ("said", "support"),
    [
        ({"name": "Groundedness", "score.value": 1.0, "score.label": "ungrounded"}, 0.0),
        ({"name": "Groundedness 1-5", "score.value": 2}, 0.25),
        ({"name": "Faithfulness", "score.value": 3, "score.scale": "0..4"}, 0.75),
        ({"name": "Groundedness", "score.value": 0.1, "score.label": "grounded"}, 1.0),
    ],
)
def test_a_label_goes_before_a_score_and_a_scale_before_a_guess(
    door: Door, said: dict[str, Any], support: float
) -> None:
    run = _evaluated(door, said)
    assert [each.provenance_score for each in run.evidence] == [support]


def test_a_score_off_its_scale_is_no_evidence(door: Door) -> None:
    run = _evaluated(door, {"name": "Groundedness", "score.value": 87})
    assert (run.evidence, [each.score for each in run.evaluations]) == ((), [87.0])


def test_an_evaluators_own_span_is_an_evaluation_of_what_it_stands_under(door: Door) -> None:
    said = {"openinference.span.kind": "EVALUATOR", "eval.score": 0.9, "eval.label": "relevant"}
    run = run_of(door, span_json("a", span=1), span_json("relevance", span=2, parent=1, attributes=said))
    [found] = run.evaluations
    assert (found.name, found.score, found.label, found.step_id) == ("relevance", 0.9, "relevant", f"{1:016x}")
    assert run.steps[1].step_kind == "eval"


def test_a_log_record_is_an_evaluation_too(door: Door) -> None:
    door.post(traces_json(span_json("a", span=1)), json=True)
    record = {
        "traceId": TRACE, "spanId": f"{1:016x}", "eventName": "gen_ai.evaluation.result", "timeUnixNano": str(START_NS),
        "attributes": [{"key": "gen_ai.evaluation.name", "value": {"stringValue": "Relevance"}}],
    }  # fmt: skip
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    assert door.post(body, json=True, path="/v1/logs").status_code == 200
    [run] = door.runs.values()
    assert [each.name for each in run.evaluations] == ["Relevance"]


def test_an_exception_as_a_log_record_names_the_error_and_not_its_words(door: Door) -> None:
    door.post(traces_json(span_json("a", span=1, status={"code": 2})), json=True)
    said = {"exception.type": "ValueError", "exception.message": "Ann's salary"}
    record = {
        "traceId": TRACE, "spanId": f"{1:016x}", "eventName": "exception", "timeUnixNano": str(START_NS),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in said.items()],
    }  # fmt: skip
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    assert door.post(body, json=True, path="/v1/logs").status_code == 200
    [run] = door.runs.values()
    assert (run.error_type, run.steps[0].step_name) == ("ValueError", "a")
    assert b"salary" not in b"".join(value for _, value in door.transport.sent)


# --- shapes of requests


def test_a_trace_as_tempo_answers_it_is_refused_with_the_way_out(door: Door) -> None:
    answer = door.post(json.dumps({"batches": [{"scopeSpans": []}]}).encode(), json=True)
    assert (answer.status_code, "Rename `batches`" in answer.text) == (400, True)


def test_an_old_name_of_a_member_is_taken_with_a_hint(door: Door) -> None:
    group = json.loads(traces_json(span_json("a")))["resourceSpans"][0]
    group["instrumentationLibrarySpans"] = group.pop("scopeSpans")
    answer = door.post(json.dumps({"resourceSpans": [group]}).encode(), json=True)
    assert answer.status_code == 200
    assert "instrumentationLibrarySpans" in answer.json()["partialSuccess"]["errorMessage"]
    assert len(door.runs) == 1

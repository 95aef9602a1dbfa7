"""What spans become: runs, steps, evidence and evals, with content kept apart."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.trace import Status, StatusCode

from causeline.otlp.receiver.settings import ReceiverSettings
from tests.unit.otlp.endpoint import Door
from tests.unit.otlp.requests import Recorded, answer_a_question, as_json


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    opened = Door(tmp_path)
    yield opened
    opened.close()


def test_a_trace_is_a_run_and_its_spans_are_steps(door: Door) -> None:
    app = Recorded()
    trace_id = answer_a_question(app)
    assert door.post(app.body()).status_code == 200
    [run] = door.runs.values()
    assert (run.run_id, run.project, run.workflow, run.verdict) == (trace_id, "tests", "shop", "complete")
    assert [step.full_name for step in run.steps] == [
        "custom:answer", "retrieve:search", "model_call:chat gpt-x", "tool:lookup",
    ]  # fmt: skip
    assert run.session_id == "s-1"
    assert run.labels["service.name"] == "shop"


def test_a_model_call_has_its_anchors(door: Door) -> None:
    app = Recorded()
    answer_a_question(app)
    door.post(app.body())
    [run] = door.runs.values()
    call = run.steps[2]
    assert (call.model_provider, call.model_name, call.temperature, call.top_p, call.seed) == (
        "openai", "gpt-x-2026", 0.25, 1.0, 7,
    )  # fmt: skip
    assert (call.prompt_id, call.prompt_version, call.system_fingerprint) == ("notice", "3", "fp_1")
    assert (call.input_tokens, call.output_tokens) == (120, 12)
    shape = {"input.chars": "53", "output.chars": "7", "output.form": "text"}
    assert call.labels == {"cache.hit": "true", "model.finish_reason": "stop", **shape}


def test_content_goes_to_the_store_and_references_travel(door: Door) -> None:
    app = Recorded()
    answer_a_question(app)
    door.post(app.body())
    [run] = door.runs.values()
    call, search = run.steps[2], run.steps[1]
    assert call.raw_output_ref is not None
    assert door.store.get(call.raw_output_ref) == b'[{"role":"assistant","content":"30 days"}]'
    assert run.input_ref is not None
    assert door.store.get(run.input_ref) == b"How long is the notice?"
    assert search.context_refs[0] == "doc:contract#page=2"
    assert b"Nothing of use." in door.store.get(search.context_refs[1])
    for _, value in door.transport.sent:
        assert b"days" not in value
        assert b"secret customer name" not in value


def test_a_failed_span_says_the_class_of_its_error_only(door: Door) -> None:
    app = Recorded()
    answer_a_question(app)
    door.post(app.body())
    [run] = door.runs.values()
    assert (run.steps[3].status, run.steps[3].error_type) == ("error", "KeyError")


def test_both_forms_of_a_request_are_the_same_events(door: Door) -> None:
    app = Recorded()
    answer_a_question(app)
    door.post(app.body())
    protobuf = sorted(door.events)
    door.transport.sent.clear()
    door.post(as_json(app.request()), json=True)
    assert sorted(door.events) == protobuf


def test_requests_again_shuffled_and_split_give_the_same_runs(door: Door) -> None:
    app = Recorded()
    for _ in range(3):
        answer_a_question(app)
    door.post(app.body())
    once = door.runs
    spans = app.spans
    for turn in range(5):
        order = sorted(range(len(spans)), key=lambda place, turn=turn: (place * 7 + turn * 5) % len(spans))  # type: ignore[misc]
        cut = 1 + turn * 2
        door.post(app.body(*[spans[place] for place in order[:cut]]))
        door.post(app.body(*[spans[place] for place in order[cut:]]))
    again = door.runs
    assert again.keys() == once.keys()
    for run_id, run in once.items():
        assert (again[run_id].steps, again[run_id].events, again[run_id].labels) == (run.steps, run.events, run.labels)


def test_a_groundedness_evaluation_is_evidence_that_can_fall_short(door: Door) -> None:
    app = Recorded()
    with app.span("answer"), app.span("chat", gen_ai__operation__name="chat") as call:
        call.add_event(
            "gen_ai.evaluation.result",
            {
                "gen_ai.evaluation.name": "Groundedness",
                "gen_ai.evaluation.score.value": 0.4,
                "gen_ai.evaluation.score.label": "fail",
            },
        )
    door.post(app.body())
    [run] = door.runs.values()
    assert [(gap.kind, gap.field_path) for gap in run.gaps] == [("weak_provenance", "$")]
    assert [(each.name, each.score, each.label) for each in run.evaluations] == [("Groundedness", 0.4, "fail")]
    assert run.evals == ()


def test_an_evaluators_input_is_the_evidence_of_its_score(door: Door) -> None:
    app = Recorded()
    said = {"openinference__span__kind": "EVALUATOR", "input__value": "is it so?", "eval__score": 0.4}
    with app.span("groundedness", **said):
        pass
    answer = door.post(app.body())
    assert (answer.status_code, answer.content) == (200, b"")
    [refs] = [event.evidence_refs for event in door.events if event.event_type == "evidence_checked"]
    assert [door.store.get(ref) for ref in refs] == [b"is it so?"]


def test_our_own_attributes_say_evidence_route_and_fallback(door: Door) -> None:
    app = Recorded()
    with app.span("claim", causeline__run__final_state="partial"):
        with app.span(
            "route",
            causeline__step__kind="route",
            causeline__route__name="motor",
            causeline__route__reason="form",
            causeline__route__confidence=0.5,
        ):
            pass
        with app.span(
            "premium",
            causeline__step__kind="evidence",
            causeline__evidence__field="$.premium",
            causeline__evidence__required=True,
        ):
            pass
        with app.span("give up", causeline__step__kind="fallback", causeline__fallback__kind="partial_answer"):
            pass
    door.post(app.body())
    [run] = door.runs.values()
    assert (run.route, run.route_reason, run.route_confidence) == ("motor", "form", 0.5)
    assert [gap.kind for gap in run.gaps] == ["missing_citation"]
    assert (run.final_state, run.fallback_taken) == ("partial", "partial_answer")


def test_parameters_inside_content_are_a_model_calls_only(door: Door) -> None:
    app = Recorded()
    asked = '{"temperature": 0.5, "seed": 3, "top_p": 7}'
    with app.span("answer", mlflow__spanInputs=asked):
        with app.span("ask", mlflow__spanType='"CHAT_MODEL"', mlflow__spanInputs=asked, gen_ai__request__seed=9):
            pass
        with app.span("cut", mlflow__spanType='"LLM"', mlflow__spanInputs=asked[:20]):
            pass
    door.post(app.body())
    [run] = door.runs.values()
    said = {step.step_name: (step.temperature, step.seed, step.top_p) for step in run.steps}
    assert said == {"answer": (None, None, None), "ask": (0.5, 9, None), "cut": (None, None, None)}
    assert all(step.input_ref for step in run.steps)


def test_documents_are_read_from_json_and_from_a_retrievers_outputs(door: Door) -> None:
    app = Recorded()
    listed = '[{"id": "contract-7", "page_content": "Notice."}, {"page_content": "Nothing of use."}]'
    with app.span("answer", mlflow__spanOutputs=listed):
        with app.span("standard", gen_ai__operation__name="retrieval", gen_ai__retrieval__documents=listed):
            pass
        with app.span("mlflow", mlflow__spanType='"RETRIEVER"', mlflow__spanOutputs=listed):
            pass
        with app.span("prose", mlflow__spanType='"RETRIEVER"', mlflow__spanOutputs="nothing was found"):
            pass
    door.post(app.body())
    [run] = door.runs.values()
    found = {step.step_name: step.context_refs for step in run.steps}
    assert found["standard"][0] == found["mlflow"][0] == "document:contract-7"
    assert [len(found[name]) for name in ("answer", "standard", "mlflow", "prose")] == [0, 2, 2, 0]
    assert b"Nothing of use." in door.store.get(found["mlflow"][1])


def test_what_has_no_place_of_its_own_is_kept_whole_and_counted_by_key(door: Door) -> None:
    app = Recorded()
    with app.span("answer", huge="x" * 1000, user__email="a@b.c", tier="gold", retries=3, is_cached=True):
        pass
    door.post(app.body())
    [run] = door.runs.values()
    labels = dict(run.steps[0].labels)
    assert labels.pop("tier")[0] == "~"
    assert labels == {"retries": "3", "is_cached": "true"}
    assert run.steps[0].attributes_ref is not None
    kept = json.loads(door.store.get(run.steps[0].attributes_ref))
    assert (kept["huge"], kept["user.email"], kept["tier"]) == ("x" * 1000, "a@b.c", "gold")
    assert (door.intake.set_aside, door.intake.dropped) == ({"huge": 1, "user.email": 1, "tier": 1}, {})


def test_labels_of_one_s_own_are_allowed_by_their_keys(tmp_path: Path) -> None:
    door = Door(tmp_path, ReceiverSettings(labels="tier, shop.*", durable_timeout_s=60))
    try:
        app = Recorded()
        with app.span("answer", tier="gold", shop__till="7a", shop__note="two words", other="word"):
            pass
        door.post(app.body())
        [run] = door.runs.values()
    finally:
        door.close()
    labels = dict(run.steps[0].labels)
    assert labels.pop("other")[0] == "~"
    assert labels == {"tier": "gold", "shop.till": "7a"}


def test_a_mask_sees_labels_too(tmp_path: Path) -> None:
    def mask(key: str, text: str) -> str | None:
        if key == "shop.note":
            raise ValueError(text)
        return None if key == "shop.till" else text.replace("greta", "g.")

    door = Door(tmp_path, ReceiverSettings(labels="shop.*", durable_timeout_s=60), mask=mask)
    try:
        app = Recorded()
        with app.span("answer", shop__customer="greta", shop__note="greta", shop__till="7", shop__tier="gold"):
            pass
        door.post(app.body())
        [run] = door.runs.values()
        assert run.steps[0].labels == {"shop.customer": "g.", "shop.tier": "gold"}
        assert door.keeper.mask_failed >= 1
        assert {"shop.note", "shop.till"} <= door.intake.dropped.keys()
    finally:
        door.close()


@pytest.mark.parametrize("gives", ["***", "", None])
def test_a_mask_sees_names_and_reasons(tmp_path: Path, gives: str | None) -> None:
    canary = "greta.garbo@example.org"
    door = Door(tmp_path, mask=lambda _, text: gives and text.replace(canary, gives))
    try:
        app = Recorded()
        named = {"gen_ai__workflow__name": f"answer {canary}", "causeline__validation__errors": [f"not {canary}"]}
        with app.span(f"answer {canary}", **named) as root:
            root.set_status(Status(StatusCode.ERROR))
            with app.span(f"why {canary}", causeline__route__name="a", causeline__route__reason=f"asked by {canary}"):
                pass
            with app.span(f"judge {canary}", openinference__span__kind="EVALUATOR", eval__label="pass"):
                pass
            root.add_event(
                "causeline.fallback", {"causeline.fallback.kind": "stop", "causeline.fallback.reason": canary}
            )
        assert door.post(app.body()).status_code == 200
        wire = b"".join(value for _, value in door.transport.sent)
        [run] = door.runs.values()
    finally:
        door.close()
    assert canary.encode() not in wire
    assert len(run.steps) == 3
    assert run.workflow == ("answer" if gives else "masked")  # a name ends before an address, masked or not


def test_a_mask_that_fails_keeps_nothing(tmp_path: Path) -> None:
    def mask(key: str, text: str) -> str | None:
        if "days" in text:
            raise ValueError(text)
        return text.replace("notice", "***")

    door = Door(tmp_path, mask=mask)
    try:
        app = Recorded()
        answer_a_question(app)
        assert door.post(app.body()).status_code == 200
        [run] = door.runs.values()
        assert run.steps[2].raw_output_ref is None
        assert run.steps[2].input_ref is not None
        assert b"notice" not in door.store.get(run.steps[2].input_ref)
        assert door.keeper.mask_failed == 1
    finally:
        door.close()

"""Fallbacks that a workflow does not say: inferred from what it did, marked, and never beside ones that it says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeline.schemas.events import Record
from tests.examples import tried
from tests.unit.streams.both import assemble
from tests.unit.streams.build import event, messages


def call(seq: int, *, name: str = "extract", kind: str = "model_call", **said: Any) -> Record:
    return event("step_finished", seq=seq, step_kind=kind, step_name=name, **said)


def fallbacks(*steps: Record, **end: Any) -> list[dict[str, Any]]:
    events = [event("run_started"), *steps, event("run_finished", seq=len(steps) + 1, **end)]
    (run,) = assemble(messages(events)).runs
    return list(run["fallbacks"])


@pytest.mark.parametrize(
    ("steps", "kind", "reason"),
    [
        (
            [call(1, status="error"), call(2)],
            "retry",
            "model_call:extract failed before",
        ),
        (
            [call(1, retry_count=2)],
            "retry",
            "model_call:extract counts attempts before it",
        ),
        (
            [call(1, kind="tool", name="lookup", status="error"), call(2, kind="tool", name="lookup")],
            "retry",
            "tool:lookup failed before",
        ),
        (
            [call(1, status="error", model_name="small"), call(2, model_name="large")],
            "other_model",
            "another model failed before model_call:extract",
        ),
        (
            [call(1, context_refs=["r:a", "r:b"]), call(2, context_refs=["r:b"])],
            "narrower_scope",
            "model_call:extract had more context before",
        ),
        (
            [call(1, kind="prompt", context_refs=["r:a", "r:b"]), call(2, kind="prompt", context_refs=["r:b"])],
            "narrower_scope",
            "prompt:extract had more context before",
        ),
    ],
)
def test_a_step_that_came_again_is_a_fallback_that_names_what_it_rests_on(
    steps: list[Record], kind: str, reason: str
) -> None:
    (found,) = fallbacks(*steps)
    assert (found["kind"], found["reason"], found["inferred"]) == (kind, reason, True)
    assert (found["step_id"], found["event_id"]) == (steps[-1]["step_id"], None)


def test_a_run_that_ends_with_a_part_gave_a_partial_answer() -> None:
    (found,) = fallbacks(call(1), final_state="partial")
    assert (found["kind"], found["inferred"], found["step_id"]) == ("partial_answer", True, None)


@pytest.mark.parametrize(
    "steps",
    [
        [call(1), call(2)],
        [call(1, status="error"), call(2, name="other")],
        [call(1, model_name="small"), call(2, model_name="large")],
        [call(1, context_refs=["r:a"]), call(2, context_refs=["r:b"])],
        [call(1, context_refs=["r:a"]), call(2, context_refs=["r:a"])],
        [call(1, context_refs=["r:a"]), call(2, context_refs=["r:a", "r:b"])],
        [call(1, retry_count=0)],
    ],
)
def test_what_merely_comes_twice_is_none(steps: list[Record]) -> None:
    assert fallbacks(*steps) == []


def test_a_narrower_context_shows_once_though_prompt_and_call_both_have_it() -> None:
    steps = [
        call(1, kind="prompt", context_refs=["r:a", "r:b"]),
        call(2, context_refs=["r:a", "r:b"]),
        call(3, kind="prompt", context_refs=["r:a"]),
        call(4, context_refs=["r:a"]),
    ]
    assert [(each["kind"], each["step_id"]) for each in fallbacks(*steps)] == [("narrower_scope", steps[3]["step_id"])]


def test_a_workflow_that_says_its_fallbacks_is_believed() -> None:
    said = event("fallback_taken", seq=2, fallback_taken="stronger_model", fallback_reason="schema_error")
    found = fallbacks(call(1, status="error", model_name="s"), said, call(3, model_name="l"), final_state="partial")
    assert [(each["kind"], each["inferred"]) for each in found] == [("stronger_model", False), ("partial_answer", True)]


STEP = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["model_call", "prompt", "tool"]),
        "name": st.sampled_from(["a", "b"]),
        "status": st.sampled_from(["ok", "error"]),
        "model_name": st.sampled_from([None, "m", "n"]),
        "context_refs": st.lists(st.sampled_from(["r:x", "r:y", "r:z"]), max_size=3),
        "retry_count": st.sampled_from([None, 0, 1]),
    }
)


@given(st.lists(STEP, max_size=8), st.sampled_from([None, "retry", "stop"]), st.sampled_from(["answered", "partial"]))
@tried(150)
def test_whatever_the_steps_did_all_infer_the_same(
    steps: list[dict[str, Any]], said: str | None, final_state: str
) -> None:
    events = [event("run_started"), *(call(seq, **step) for seq, step in enumerate(steps, 1))]
    if said is not None:
        events.append(event("fallback_taken", seq=len(events), fallback_taken=said))
    events.append(event("run_finished", seq=len(events), final_state=final_state))
    assert len(assemble(messages(events)).runs) == 1

"""A run's first cause is the earliest boundary that its later faults can follow from, told from the record alone."""

import cProfile
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from causeline.console.views.why_view import as_json, first_line, markdown, one_line, render
from causeline.diagnosis import Certainty, Diagnosis, DriftAlert, Finding, diagnose
from causeline.schemas.policy_file import parse_policy
from causeline.schemas.run import Eval, Evidence, Fallback, Review, Run, RunConflictSide, Step

START = datetime(2026, 3, 1, tzinfo=UTC)
POLICY = parse_policy("""
version = 1
[workflow.claim]
routes = ["auto", "manual"]
confidence_floor = 0.7
parse_quality_floor = 0.8
context_expected = true
expect = [{ step = "validate" }]
[workflow.claim.evidence."$.total"]
threshold = 0.8
masked_as = ["MONEY"]
[workflow.claim.evidence."$.date"]
""")


def _step(kind: str, name: str, place: int, **said: Any) -> Step:
    begun = START + timedelta(seconds=place)
    labels = said.pop("labels", {})
    return Step(
        step_id=f"{place:016x}",
        step_kind=kind,
        step_name=name,
        status=said.pop("status", "ok"),
        started_at=begun,
        finished_at=begun + timedelta(milliseconds=5),
        labels=labels,
        **said,
    )


GOOD_STEPS = {
    "parse": _step(
        "parse", "pages", 1, input_ref="a:in", parsed_artifact_ref="a:parsed", parser_version="2",
        labels={"parse.quality": "0.95", "parse.pages": "3", "parse.pages_read": "3"},
    ),
    "mask": _step("mask", "pii", 2, input_ref="a:parsed", parsed_artifact_ref="a:masked",
                  labels={"masked.PERSON": "2"}),
    "route": _step("route", "kind", 3, input_ref="a:masked", route="auto", route_reason="total", route_confidence=0.9,
                   route_policy_version="4", labels={"route.taken": "auto"}),
    "retrieve": _step("retrieve", "total", 4, input_ref="a:masked", context_refs=("a:chunk#1",),
                      labels={"retrieve.field": "$.total", "retrieve.matches": "1", "retrieve.shown": "1"}),
    "prompt": _step("prompt", "extract", 5, context_refs=("a:chunk#1",), raw_output_ref="a:prompt", prompt_id="extract",
                    prompt_version="7", labels={"prompt.asks": "$.total,$.date"}),
    "model": _step("model_call", "extract", 6, input_ref="a:prompt", context_refs=("a:chunk#1",),
                   raw_output_ref="a:out", prompt_id="extract", prompt_version="7", model_name="m", model_provider="p"),
    "validate": _step("validate", "schema", 7, input_ref="a:out", schema_version="3",
                      labels={"validate.checked": "$.total,$.date"}),
}  # fmt: skip
TOTAL = Evidence(event_id="e1", field_path="$.total", evidence_required=True, provenance_score=0.95,
                 evidence_refs=("a:chunk#1",))  # fmt: skip
DATE = Evidence(event_id="e2", field_path="$.date", evidence_required=True, provenance_score=0.95,
                evidence_refs=("a:chunk#1",))  # fmt: skip
GOOD = Run(
    run_id="f" * 32, workflow="claim", verdict="complete", final_state="answered", started_at=START,
    steps=tuple(GOOD_STEPS.values()), evidence=(TOTAL, DATE),
)  # fmt: skip
MISSING = replace(TOTAL, evidence_refs=(), provenance_score=None, next_step="search")


def _with(evidence: tuple[Evidence, ...] = (TOTAL, DATE), **steps: Step | None) -> Run:
    """The good run with other steps; where a value has no source its workflow does as the policy says."""
    changed = {**GOOD_STEPS, **steps}
    state = "partial" if MISSING in evidence else "answered"
    kept = tuple(step for step in changed.values() if step is not None)
    return replace(GOOD, steps=kept, evidence=evidence, final_state=state)


def _labelled(name: str, **labels: str) -> Step:
    step = GOOD_STEPS[name]
    return replace(step, labels={**step.labels, **{key.replace("__", "."): value for key, value in labels.items()}})


def _found(run: Run) -> Diagnosis:
    return diagnose(run, POLICY, drift=())


def _first(run: Run) -> Finding:
    cause = _found(run).first_cause
    assert cause is not None
    return cause.finding


def test_a_run_with_nothing_wrong_says_what_it_did() -> None:
    found = _found(replace(GOOD, duration_us=2_200_000))

    assert (found.causes, found.symptoms, found.unknown) == ((), (), ())
    assert first_line(found) == "Nothing went wrong: 1 model call, 1 retrieval, answered in 2.2 s."


def test_what_was_never_recorded_accuses_nobody() -> None:
    bare = Run(run_id="f" * 32, workflow="claim", verdict="complete", final_state="answered",
               missing_anchors=("route.route_reason", "model_call.prompt_version"),
               steps=(_step("route", "kind", 1, route="auto"), _step("model_call", "answer", 2)))  # fmt: skip

    assert diagnose(bare).first_cause is None


CASES: dict[str, tuple[Run, str, str, str]] = {
    "parse ended in error": (
        _with((MISSING, DATE), parse=replace(GOOD_STEPS["parse"], status="error", error_type="Unreadable")),
        "parse", "step_error", "Unreadable",
    ),
    "pages were lost and a value has no source": (
        _with((MISSING, DATE), parse=_labelled("parse", parse__pages_read="2"),
              retrieve=_labelled("retrieve", retrieve__matches="0", retrieve__shown="0")),
        "parse", "pages_lost", "2 of 3",
    ),
    "the scan was bad and a value has no source": (
        _with((MISSING, DATE), parse=_labelled("parse", parse__quality="0.4"),
              retrieve=_labelled("retrieve", retrieve__matches="0", retrieve__shown="0")),
        "parse", "parse_quality", "0.40",
    ),
    "masking took the fact": (
        _with((MISSING, DATE), mask=_labelled("mask", masked__MONEY="1")), "mask", "masked_source", "MONEY",
    ),
    "retrieval cut the chunk": (
        _with((MISSING, DATE), retrieve=_labelled("retrieve", retrieve__matches="4")),
        "retrieve", "retrieval", "1 of 4",
    ),
    "the model was asked without a source": (
        _with((MISSING, DATE), model=replace(GOOD_STEPS["model"], context_refs=(), input_ref=None)),
        "prompt", "empty_context", "without any source",
    ),
    "the model cited what it was never shown": (
        _with((replace(TOTAL, evidence_refs=("a:other#9",), provenance_score=0.1), DATE)),
        "model_call", "cited_unseen", "$.total",
    ),
    "the route is not allowed": (
        _with(route=replace(GOOD_STEPS["route"], route="express", labels={})), "route", "route_not_allowed", "express",
    ),
    "another branch was entered": (
        _with(route=_labelled("route", route__taken="manual")), "route", "branch_differs", "manual",
    ),
    "the prompt does not ask for the field": (
        _with((MISSING, DATE), prompt=_labelled("prompt", prompt__asks="$.date")), "prompt", "prompt_omits", "$.total",
    ),
    "the provider failed": (
        _with((), model=replace(GOOD_STEPS["model"], status="error", error_type="RateLimited")),
        "model_call", "step_error", "RateLimited",
    ),
    "the model refused": (
        _with((), model=replace(GOOD_STEPS["model"], refusal=True)), "model_call", "refusal", "refused",
    ),
    "the answer has the wrong shape": (
        _with(validate=replace(GOOD_STEPS["validate"], status="error", validation_errors=("type:$.total",))),
        "model_call", "wrong_shape", "$.total",
    ),
    "the validation does not look": (
        _with(validate=_labelled("validate", validate__checked="$.date")), "validate", "not_validated", "$.total",
    ),
    "a reviewer corrected what the model said": (
        replace(GOOD, reviews=(Review(event_id="r", outcome="overridden", field_path="$.total", override_ref="a:o"),)),
        "model_call", "corrected_value", "wrong value",
    ),
    "the validation never ran": (_with(validate=None), "validate", "step_left_out", "never ran"),
    "a value is unsupported and was answered": (
        _with((replace(TOTAL, provenance_score=0.1), DATE)), "model_call", "unsupported_value", "does not bear out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_first_cause_is_the_planted_one(case: str) -> None:
    run, boundary, rule, says = CASES[case]
    found = _found(run)

    assert found.first_cause is not None
    assert (found.first_cause.finding.boundary, found.first_cause.finding.rule) == (boundary, rule)
    assert says in first_line(found)
    assert found.first_cause.finding.fix
    assert found.first_cause.finding.facts


def test_what_follows_is_listed_with_its_tie() -> None:
    cause = _found(CASES["masking took the fact"][0]).first_cause

    assert cause is not None
    assert ("evidence", "field", "$.total") in [
        (item.finding.boundary, item.link.kind, item.link.value) for item in cause.consequences
    ]


def test_duties_are_left_to_do_and_never_a_cause() -> None:
    review = Review(event_id="r", outcome="overridden", field_path="$.total")
    found = _found(replace(GOOD, reviews=(review,)))

    assert [duty.rule for duty in found.left_to_do] == ["correction_lost", "no_eval_case"]
    assert {"correction_lost", "no_eval_case"}.isdisjoint(cause.finding.rule for cause in found.causes)


def test_a_reviewer_who_overrides_the_route_tells_where_to_look() -> None:
    review = Review(event_id="r", outcome="overridden", field_path="$.route", override_ref="a:o")

    assert _first(replace(GOOD, reviews=(review,))).rule == "route_overridden"
    elsewhere = replace(_with(route=_labelled("route", route__taken="manual")), reviews=(review,))
    assert _first(elsewhere).rule == "branch_differs"


def test_an_error_is_told_where_it_began_whatever_it_was_wrapped_in() -> None:
    root = _step("custom", "agent", 0, status="error", error_type="WorkflowFailed")
    tool = replace(_step("tool", "search", 1, status="error", error_type="Timeout"), parent_step_id=root.step_id)
    run = replace(GOOD, steps=(root, tool), evidence=(), final_state="failed", error_type="WorkflowFailed")

    assert first_line(_found(run)) == "The tool search failed with Timeout."


def test_a_tool_that_fails_on_what_a_model_wrote_is_that_models() -> None:
    call = _step("model_call", "plan", 1, raw_output_ref="a:args", model_name="m")
    tool = _step("tool", "search", 2, status="error", error_type="ValidationError", input_ref="a:args")
    run = replace(GOOD, steps=(call, tool), evidence=(), final_state="failed")

    assert (_first(run).rule, _first(run).step) == ("wrote_what_failed", "model_call:plan")


def test_an_error_that_was_mended_is_no_symptom() -> None:
    failed = replace(GOOD_STEPS["model"], status="error", error_type="RateLimited")
    run = replace(GOOD, steps=(*_with(model=failed).steps, replace(GOOD_STEPS["model"], step_id="f" * 16)))

    assert _found(run).first_cause is None


def test_calls_that_fail_again_and_again_are_one_finding_with_how_often() -> None:
    failed = replace(GOOD_STEPS["model"], status="error", error_type="RateLimited")
    calls = [replace(failed, step_id=f"{place:016x}") for place in (60, 61, 62)]
    run = replace(GOOD, steps=(*_with(model=None).steps, *calls), evidence=(), final_state="failed")

    assert first_line(_found(run)) == "Model m (step extract) failed with RateLimited, 3 times over."


def test_the_same_thing_done_over_and_over_is_a_loop() -> None:
    agent = _step("custom", "agent", 0)
    steps = [replace(_step("tool", "look", n, input_ref="a:q"), parent_step_id=agent.step_id) for n in range(1, 7)]
    run = replace(GOOD, steps=(agent, *steps), evidence=(), final_state="failed", error_type="StepBudgetExceeded")

    assert (_first(run).rule, _first(run).step) == ("loop", "custom:agent")


def test_where_only_the_failure_is_known_it_says_what_to_record() -> None:
    run = replace(GOOD, steps=(_step("custom", "work", 1),), evidence=(), final_state="failed", error_type="Boom")
    cause = _found(run).first_cause

    assert cause is not None
    assert cause.certainty is Certainty.POSSIBLE
    assert "What led to it is not on record" in cause.finding.fix


def test_what_a_policy_decided_for_another_is_nobodys_decision() -> None:
    said = replace(MISSING, next_step="partial_output", policy_hash="another")
    rules = {cause.finding.rule for cause in _found(_with((said, DATE))).causes}
    own = replace(said, policy_hash=POLICY.content_hash)
    asked = {cause.finding.rule for cause in _found(_with((own, DATE))).causes}

    assert "decided_otherwise" not in rules
    assert "decided_otherwise" in asked


def test_the_last_word_of_an_evaluation_of_a_name_stands_and_other_names_mend_nothing() -> None:
    failed = Eval(event_id="a", case_id="faithful", outcome="failed")
    other = Eval(event_id="b", case_id="polite", outcome="passed")
    again = Eval(event_id="c", case_id="faithful", outcome="passed")

    assert [each.rule for each in _found(replace(GOOD, evals=(failed, other))).symptoms] == ["evaluation_failed"]
    assert _found(replace(GOOD, evals=(failed, other, again))).symptoms == ()


def test_the_sides_of_a_conflict_are_shown_with_who_won_and_why() -> None:
    conflict = replace(TOTAL, conflicting_refs=("a:other#1",), next_step="escalate")
    sides = (
        RunConflictSide(event_id="e1", field_path="$.total", source_ref="a:chunk#1", source_kind="contract", won=True,
                        reason="authority"),
        RunConflictSide(event_id="e1", field_path="$.total", source_ref="a:other#1"),
    )  # fmt: skip
    run = replace(GOOD, evidence=(conflict, DATE), conflict_sides=sides, final_state="handed_over")

    assert _first(run).rule == "gap_source_conflict"
    assert [(fact.where, fact.name, fact.value) for fact in _first(run).facts if fact.where.startswith("source ")] == [
        ("source a:chunk#1", "contract", "won, authority"),
        ("source a:other#1", "kind never recorded", "lost, nobody recorded why"),
    ]


def test_what_a_run_did_instead_is_shown_and_what_it_did_not_say_is_marked() -> None:
    instead = (Fallback(event_id="f", kind="retry", reason="rate_limit"),
               Fallback(kind="partial_answer", reason="the run's final state is partial", inferred=True))  # fmt: skip
    run = replace(_with((), model=replace(GOOD_STEPS["model"], status="error", error_type="E")), fallbacks=instead)

    assert [(fact.name, fact.value) for fact in _first(run).facts if fact.where.startswith("fallback ")] == [
        ("reason", "rate_limit"), ("inferred from", "the run's final state is partial"),
    ]  # fmt: skip


def _validations(*errors: tuple[str, ...]) -> Run:
    tried = [replace(GOOD_STEPS["validate"], step_id=f"{99 + place:016x}", validation_errors=each,
                     started_at=START + timedelta(seconds=9 + place)) for place, each in enumerate(errors)]  # fmt: skip
    return replace(GOOD, steps=(*_with(validate=None).steps, *tried))


@pytest.mark.parametrize(
    ("errors", "symptoms"),
    [
        ((("type:$.total",), ()), []),
        ((("type:$.total",), ("type:$.total",)), ["wrong_shape"]),
        ((("not json",),), ["wrong_shape"]),
        (((), ()), []),
    ],
)
def test_what_a_later_attempt_mended_is_no_symptom(errors: tuple[tuple[str, ...], ...], symptoms: list[str]) -> None:
    assert [each.rule for each in _found(_validations(*errors)).symptoms] == symptoms


def test_alerts_are_told_where_the_run_lies_in_their_slice() -> None:
    alert = DriftAlert("a1", "route", {"system_fingerprint": "fp2"}, headline="Routes moved.")

    assert diagnose(replace(GOOD, system_fingerprint="fp2"), POLICY, [alert]).alerts == (alert,)
    assert diagnose(GOOD, POLICY, [alert]).alerts == ()


@pytest.mark.parametrize("case", CASES)
def test_it_is_shown_everywhere_and_hides_nothing_dangerous(case: str) -> None:
    run = replace(CASES[case][0], workflow="cl\x1b[31maim", steps=CASES[case][0].steps)
    found = diagnose(run, POLICY)

    console = Console(file=io.StringIO(), width=200, color_system=None)
    for part in render(found):
        console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert first_line(found) in text
    assert "\\x1b[31m" in text
    assert "\x1b" not in text + markdown(found)
    assert as_json(found)["summary"] == first_line(found)
    assert one_line(found)["sentence"] == first_line(found)


def _many(count: int) -> Run:
    """Steps that read what the one before made, every tenth in error: the kind of run that agents leave."""
    steps = tuple(
        _step("tool", f"t{n % 50}", n, status="ok" if n % 10 else "error", error_type=None if n % 10 else "E",
              input_ref=f"a:{n - 1}", raw_output_ref=f"a:{n}")
        for n in range(count)
    )  # fmt: skip
    return replace(GOOD, steps=steps, final_state="failed", error_type="E")


def test_the_work_grows_no_faster_than_the_steps() -> None:
    def calls(count: int) -> int:
        profile = cProfile.Profile()
        run = _many(count)
        profile.runcall(diagnose, run, POLICY)
        return sum(entry.callcount for entry in profile.getstats())

    assert calls(4_000) < 4.6 * calls(1_000)

"""A run's first cause is the earliest boundary that its later faults can follow from, told from the record alone."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from causeline.console.diagnosis import Diagnosis, DriftAlert, Finding, Health, Question, diagnose
from causeline.console.why_view import as_json, first_line, markdown, render
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


def test_a_run_with_nothing_wrong_has_no_cause_and_says_why_it_is_well() -> None:
    found = _found(GOOD)

    assert found.causes == ()
    assert [answer.health for answer in found.answers] == [Health.OK] * 6
    assert all(answer.because for answer in found.answers)
    assert first_line(found) == "Nothing is wrong as far as the record goes."


BLANK_OVERRIDE = Review(event_id="r", outcome="overridden", field_path="$.total")
CASES: dict[str, tuple[Run, str, str, str]] = {
    "parse ended in error": (
        _with((MISSING, DATE), parse=replace(GOOD_STEPS["parse"], status="error", error_type="Unreadable")),
        "parse", "parse_error", "Unreadable",
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
        "model_call", "call_error", "RateLimited",
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
        _with((replace(TOTAL, provenance_score=0.1), DATE)), "fallback", "decision_ignored", "another try at $.total",
    ),
    "a correction was lost": (
        replace(GOOD, reviews=(BLANK_OVERRIDE,), evals=(Eval(event_id="v", case_id="c"),)),
        "review", "correction_lost", "not recorded",
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
    assert [(item.finding.boundary, item.link.kind, item.link.value) for item in cause.consequences] == [
        ("evidence", "field", "$.total"),
    ]


def test_what_was_made_of_a_bad_reading_follows_from_it_by_reference() -> None:
    cause = _found(CASES["pages were lost and a value has no source"][0]).first_cause

    assert cause is not None
    assert {(item.finding.boundary, item.link.kind) for item in cause.consequences} >= {("retrieve", "reference")}


def test_going_on_in_spite_of_the_policy_is_a_cause_of_its_own() -> None:
    run = replace(CASES["masking took the fact"][0], final_state="answered")

    assert [cause.finding.rule for cause in _found(run).causes] == ["masked_source", "decision_ignored"]


def test_two_faults_without_a_tie_are_two_causes() -> None:
    run = _with(
        (MISSING, DATE),
        mask=_labelled("mask", masked__MONEY="1"),
        validate=replace(GOOD_STEPS["validate"], status="error", validation_errors=("type:$.date",)),
    )

    assert [cause.finding.rule for cause in _found(run).causes] == ["masked_source", "wrong_shape"]


def test_a_reviewer_who_overrides_the_route_tells_where_to_look() -> None:
    review = Review(event_id="r", outcome="overridden", field_path="$.route", override_ref="a:o")
    found = _found(replace(GOOD, reviews=(review,)))

    assert found.first_cause is not None
    assert found.first_cause.finding.rule == "route_overridden"
    assert [item.finding.rule for item in found.first_cause.consequences] == ["no_eval_case"]


def test_a_route_that_was_not_followed_is_not_the_rule_s_fault() -> None:
    review = Review(event_id="r", outcome="overridden", field_path="$.route", override_ref="a:o")
    found = _found(replace(_with(route=_labelled("route", route__taken="manual")), reviews=(review,)))

    assert [finding.rule for finding in found.answers[1].findings] == ["branch_differs"]
    assert found.first_cause is not None
    assert "branching after route:kind" in found.first_cause.finding.fix
    assert [item.finding.rule for item in found.first_cause.consequences] == ["no_eval_case"]


WEAK = tuple(replace(each, provenance_score=0.1, next_step="retry") for each in (TOTAL, DATE))


def test_values_that_are_all_unsupported_put_the_check_in_question() -> None:
    found = _found(replace(GOOD, evidence=WEAK, final_state="partial"))

    assert [finding.rule for finding in found.answers[3].findings] == ["none_supported"]
    assert "Not one of 2 values is well supported by the source it cites: $.date and $.total." in first_line(found)


def test_one_unsupported_value_among_others_is_its_own() -> None:
    found = _found(replace(GOOD, evidence=(WEAK[0], DATE), final_state="partial"))

    assert [finding.rule for finding in found.answers[3].findings] == ["gap_unsupported_field"]


def test_a_value_that_a_reviewer_approved_points_to_how_it_is_matched() -> None:
    run = replace(GOOD, evidence=(WEAK[0], DATE), final_state="partial")
    approved = replace(run, reviews=(Review(event_id="r", outcome="approved"),))
    elsewhere = replace(run, reviews=(Review(event_id="r", outcome="approved", field_path="$.date"),))

    assert [_first(each).fix.partition(",")[0] for each in (approved, elsewhere)] == [
        "What $.total is held against", "What the model is asked for $.total",
    ]  # fmt: skip
    assert [(fact.where, fact.name, fact.value) for fact in _first(approved).facts if fact.where == "review"] == [
        ("review", "outcome", "approved")
    ]


def test_a_field_that_was_corrected_is_not_approved_with_the_rest() -> None:
    reviews = (Review(event_id="r", outcome="overridden", field_path="$.total", override_ref="a:o"),
               Review(event_id="s", outcome="approved"))  # fmt: skip
    found = _found(replace(GOOD, evidence=(WEAK[0], DATE), final_state="partial", reviews=reviews))

    assert [finding.headline for finding in found.answers[3].findings] == [
        "The value of $.total is not supported by the source it cites."
    ]


def test_a_value_of_the_wrong_shape_is_not_blamed_again_for_what_contradicts_it() -> None:
    conflict = replace(TOTAL, provenance_score=0.5, conflicting_refs=("a:other#1",), next_step="escalate")
    run = replace(_validations(("type:$.total",)), evidence=(conflict, DATE), final_state="handed_over")

    assert [finding.rule for finding in _found(run).answers[3].findings] == ["gap_source_conflict"]


def test_the_sides_of_a_conflict_are_shown_with_who_won_and_why() -> None:
    conflict = replace(TOTAL, conflicting_refs=("a:other#1",), next_step="escalate")
    sides = (
        RunConflictSide(event_id="e1", field_path="$.total", source_ref="a:chunk#1", source_kind="contract", won=True,
                        reason="authority"),
        RunConflictSide(event_id="e1", field_path="$.total", source_ref="a:other#1"),
        RunConflictSide(event_id="e2", field_path="$.date", source_ref="a:other#1"),
    )  # fmt: skip
    run = replace(GOOD, evidence=(conflict, DATE), conflict_sides=sides, final_state="handed_over")

    assert _first(run).rule == "gap_source_conflict"
    assert [(fact.where, fact.name, fact.value) for fact in _first(run).facts if fact.where.startswith("source ")] == [
        ("source a:chunk#1", "contract", "won, authority"),
        ("source a:other#1", "kind never recorded", "lost, nobody recorded why"),
    ]


def test_an_escalation_follows_from_the_gap_that_it_is_about() -> None:
    conflict = replace(TOTAL, conflicting_refs=("a:other#1",), next_step="escalate")
    run = replace(GOOD, evidence=(conflict, DATE), final_state="handed_over",
                  reviews=(Review(event_id="r", outcome="escalated"),))  # fmt: skip
    cause = _found(run).first_cause

    assert cause is not None
    assert cause.finding.fix.startswith("Which source stands for $.total")
    assert [(item.finding.rule, item.link.value) for item in cause.consequences] == [("undecided", "$.total")]


def test_a_question_that_is_unknown_says_what_to_record() -> None:
    for run in (Run(run_id="f" * 32, workflow="claim", verdict="complete"), _with((MISSING,))):
        unknown = [answer for answer in diagnose(run, POLICY).answers if answer.health is Health.UNKNOWN]
        assert unknown
        assert [answer.question for answer in unknown if not answer.unknown] == []


@pytest.mark.parametrize(
    ("score", "rules"),
    [(0.95, ["gap_source_conflict"]), (0.5, ["gap_source_conflict", "contradicted"])],
)
def test_sources_may_disagree_and_a_value_that_its_own_source_hardly_bears_out_is_its_model_s(
    score: float, rules: list[str]
) -> None:
    conflict = replace(TOTAL, provenance_score=score, conflicting_refs=("a:other#1",), next_step="escalate")
    run = replace(GOOD, evidence=(conflict, DATE), final_state="handed_over",
                  reviews=(Review(event_id="r", outcome="approved"),))  # fmt: skip

    assert [finding.rule for finding in _found(run).answers[3].findings] == rules
    assert _first(run).rule == rules[-1]


@pytest.mark.parametrize(("score", "rule"), [(0.1, "value_mended"), (0.7, "gap_mended")])
def test_a_value_that_was_put_right_points_to_who_gave_it_first_if_nothing_bore_it_out(score: float, rule: str) -> None:
    first = replace(TOTAL, event_id="e0", provenance_score=score, next_step="retry" if score < 0.3 else "review")
    run = replace(GOOD, evidence=(first, TOTAL, DATE), reviews=(Review(event_id="r", outcome="approved"),))

    assert [finding.rule for finding in _found(run).answers[3].findings] == [rule]


def test_nothing_follows_from_what_the_run_got_over() -> None:
    mended = _validations(("type:$.total",), ())
    run = replace(mended, evidence=(replace(TOTAL, provenance_score=0.5, next_step="review"), DATE),
                  reviews=(Review(event_id="r", outcome="approved"),))  # fmt: skip

    assert [cause.finding.rule for cause in _found(run).causes] == ["gap_weak_provenance", "mended_shape"]


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


def test_attempts_that_fail_alike_are_one_finding_and_a_correction_of_it_no_other() -> None:
    again = _validations(("type:$.total",), ("type:$.total",))
    review = Review(event_id="r", outcome="overridden", field_path="$.total", override_ref="a:o")
    found = _found(replace(again, reviews=(review,)))

    assert [finding.rule for finding in found.answers[2].findings] == ["wrong_shape"]
    assert first_line(found).endswith("has the wrong shape at $.total, 2 times over.")
    assert ("outcome", "overridden") in {(fact.name, fact.value) for fact in found.answers[2].findings[0].facts}


@pytest.mark.parametrize(
    ("errors", "rules"),
    [
        ((("type:$.total",), ()), ["mended_shape"]),
        ((("type:$.total",), ("type:$.total",), ()), ["mended_shape"]),
        ((("type:$.date",), ("type:$.total",)), ["wrong_shape", "mended_shape"]),
        ((("not json",), ()), ["mended_shape"]),
        ((("not json",),), ["wrong_shape"]),
        (((), ()), []),
    ],
)
def test_what_a_later_attempt_mended_is_suspect_only(errors: tuple[tuple[str, ...], ...], rules: list[str]) -> None:
    assert [finding.rule for finding in _found(_validations(*errors)).answers[2].findings] == rules


def test_calls_and_searches_that_fail_again_are_one_finding_with_how_often() -> None:
    failed = replace(GOOD_STEPS["model"], status="error", error_type="RateLimited")
    calls = [replace(failed, step_id=f"{place:016x}") for place in (60, 61, 62)]
    run = replace(GOOD, steps=(*_with(model=None).steps, *calls), evidence=())
    mended = replace(run, steps=(*run.steps, replace(GOOD_STEPS["model"], step_id="f" * 16)))
    nothing = _labelled("retrieve", retrieve__matches="0", retrieve__shown="0")
    again = replace(nothing, step_id="e" * 16, step_name="total again")
    searched = replace(_with((MISSING, DATE)), steps=(*_with(retrieve=nothing).steps, again))

    assert first_line(_found(run)) == "Model m (step extract) failed with RateLimited, 3 times over."
    assert [finding.rule for finding in _found(run).answers[2].findings] == ["call_error"]
    assert [finding.health for finding in _found(mended).answers[2].findings] == [Health.SUSPECT] * 3
    assert [finding.rule for finding in _found(searched).answers[0].findings] == ["retrieval"]
    assert _first(searched).fix.startswith("Retrieval in retrieve:total and retrieve:total again:")


def test_a_label_does_not_hide_the_field_of_its_name() -> None:
    broken = replace(GOOD_STEPS["parse"], status="error", error_type="Unreadable", labels={"error_type": "Other"})

    assert ("error_type", "Unreadable") in {(fact.name, fact.value) for fact in _first(_with(parse=broken)).facts}


def test_a_gap_that_the_workflow_heeded_is_no_failure() -> None:
    checks = (MISSING, replace(MISSING, event_id="e3", next_step="retry"), DATE)
    heeded = replace(_with(checks), final_state="partial")

    assert _found(heeded).answers[3].health is Health.SUSPECT


def test_a_workflow_that_went_another_way_than_its_policy_is_a_finding() -> None:
    run = _with((replace(MISSING, next_step="partial_output"), DATE))
    rules = {finding.rule for finding in _found(run).answers[3].findings}

    assert "decision_ignored" in rules


def test_absence_is_unknown_and_says_how_to_record_it() -> None:
    bare = Run(run_id="f" * 32, workflow="claim", verdict="partial", events_lost=2, final_state="stopped",
               missing_anchors=("model_call.prompt_version",))  # fmt: skip
    found = diagnose(bare, POLICY)

    assert [answer.health for answer in found.answers] == [Health.UNKNOWN] * 6
    assert first_line(found) == "Too little was recorded to tell what happened."
    assert any("prompt_version was never recorded: run.model_call(" in text for text in found.answers[2].unknown)
    assert all("2 events were lost" in answer.unknown[0] for answer in found.answers[:5])
    assert "| Is behaviour drifting? | unknown | nobody watches this workflow for drift yet: causeline watch. |" in (
        markdown(found)
    )


def test_drift_is_answered_from_the_open_alerts_of_the_runs_slice() -> None:
    alert = DriftAlert("a1", "route", {"system_fingerprint": "fp2"}, headline="Routes moved.")
    within = replace(GOOD, system_fingerprint="fp2")

    assert diagnose(within, POLICY, [alert]).answers[5].health is Health.FAILED
    assert diagnose(GOOD, POLICY, [alert]).answers[5].health is Health.OK
    assert diagnose(within, POLICY, [replace(alert, open=False)]).answers[5].health is Health.SUSPECT
    assert diagnose(GOOD, POLICY).answers[5].question is Question.DRIFT


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


def test_a_run_of_many_steps_is_diagnosed_within_bounds() -> None:
    steps = tuple(_step("tool", f"t{n % 50}", n, status="error" if n % 2 else "ok") for n in range(2_000))

    assert len(_found(replace(GOOD, steps=steps)).causes) <= 2_000

"""What a reader is told of a run, and that no record can keep them from being told."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from causeline.console.answers import LiveGap
from causeline.console.views.notes import Tone
from causeline.console.views.trace_map import DEFAULT_STEPS, MapStep, TraceMap, as_document, trace_map
from causeline.console.views.trace_view import render
from causeline.schemas.run import Evidence, Fallback, Review, Run, RunGap, Step
from tests.unit.console.samples import REF, clean_run, failed_run, step


def text_of(run: Run, *, full: bool = False, live: tuple[LiveGap, ...] = (), width: int = 160) -> str:
    return rendered(trace_map(run, live, full=full), full=full, width=width)


def rendered(map_: TraceMap, *, full: bool = False, width: int = 160) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, highlight=False, markup=False, emoji=False)
    for part in render(map_, full=full):
        console.print(part)
    return out.getvalue()


def test_a_clean_run_says_that_nothing_stands_out() -> None:
    text = text_of(clean_run())
    assert "complete — all 6 events that its workflow sent are in" in text
    assert "Nothing stands out" in text
    assert trace_map(clean_run()).findings == ()


def test_each_step_says_what_went_in_what_came_out_and_what_was_decided() -> None:
    text = text_of(clean_run(), full=True)
    for said in (
        "parser 2.1",
        "parsed  artifact:",
        "route standard because two_matches (confidence 0.93)",
        "acme/acme-large",
        "prompt    extract-totals version 7",
        "temperature 0",
        "1,200→80 tokens",
        "$0.0123",
    ):
        assert said in text
    assert text.count(REF) >= 4


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_a_step_is_one_line_at_any_width_and_what_has_no_room_stands_below(width: int) -> None:
    more: dict[str, object] = {
        "status": "error",
        "error_type": "schema_mismatch",
        "cost_usd": 0.00303,
        "retry_count": 2,
    }
    dear = step("model_call", 0, took_ms=67, step_name="some length", input_tokens=1_200, output_tokens=80, **more)
    lines = [line.rstrip() for line in text_of(clean_run(steps=(dear,)), width=width).splitlines()]
    (place,) = [at for at, line in enumerate(lines) if "model_call:some length" in line and "━" in line]
    assert "67 ms  ERROR" in lines[place]
    below = " ".join(" ".join(lines[place : place + 3]).split())
    assert "schema_mismatch" in below
    assert "$0.00303 1,200→80 tokens 2 retries" in below
    assert max(map(len, lines)) <= width


def test_references_are_short_unless_asked_for_in_full() -> None:
    run = clean_run(input_ref=None)
    assert REF not in text_of(run)
    assert REF + "#out" in "".join(text_of(run, full=True).split("\n"))


def test_findings_come_in_the_order_in_which_causes_flow() -> None:
    found = trace_map(failed_run()).findings
    assert [finding.boundary for finding in found] == [
        "record",
        "model_call",
        "validate",
        "evidence",
        "fallback",
        "review",
    ]
    assert [finding.tone for finding in found if finding.boundary == "review"] == [Tone.BAD]


def test_a_gap_names_score_threshold_policy_and_what_the_workflow_did() -> None:
    live = LiveGap("e" * 32, "weak_provenance", "$.premium", 0.52, 0.7, "review", "partial_output")
    text = " ".join(text_of(failed_run(), live=(live,)).split())
    assert "$.premium (required): 1 reference, score 0.52, 0.7 asked; gap weak_provenance" in text
    assert "policy says review but the workflow chose partial_output" in text
    assert "the run answered all the same" in text


def test_a_conflict_counts_the_sources_that_disagree() -> None:
    evidence = Evidence(
        event_id="c" * 32,
        step_id=step("evidence", 9).step_id,
        field_path="$.date",
        evidence_required=False,
        evidence_refs=("a",),
        conflicting_refs=("b", "c"),
        next_step="escalate",
    )
    gap = RunGap(event_id="c" * 32, kind="source_conflict", field_path="$.date", next_step="escalate")
    run = clean_run(evidence=(evidence,), gaps=(gap,), steps=(step("evidence", 9),))
    assert "2 sources disagreeing; gap source_conflict → policy says escalate and so did the workflow" in text_of(run)


def test_validation_errors_that_a_later_check_did_not_find_are_said_to_be_mended() -> None:
    steps = (step("validate", 0, validation_errors=("type $.total",)), step("validate", 1))
    [finding] = trace_map(clean_run(steps=steps)).findings
    assert finding.text == "validate:validate_0: type $.total; validate:validate_1 found none later."
    assert finding.tone is Tone.DOUBTFUL


def test_a_trouble_that_recurs_is_said_once_with_how_often() -> None:
    check = step("validate", 0, step_name="schema", status="error", error_type="E", validation_errors=("type $.a",))
    [finding] = trace_map(clean_run(steps=(check, replace(check, step_id="a" * 16)))).findings
    assert finding.text == "validate:schema ended in error E: type $.a (2 times)."


def test_every_kind_of_trouble_has_a_sentence() -> None:
    run = clean_run(
        verdict="unfinished",
        close_reason="idle",
        final_state=None,
        steps=(
            step("retrieve", 0),
            step("model_call", 1, refusal=True),
            step("tool", 2, status="skipped"),
            step("tool", 3, status=None, finished_at=None, duration_us=None),
            step("tool", 4, status="error"),
        ),
        fallbacks=(Fallback(event_id="a" * 32, kind="retry", inferred=True),),
        reviews=(Review(event_id="b" * 32, outcome="overridden"), Review(event_id="c" * 32, outcome="approved")),
    )
    said = " ".join(finding.text for finding in trace_map(run).findings)
    for sentence in (
        "unfinished — its end never came; closed after no event came for the idle timeout",
        "retrieve:retrieve_0 found no context.",
        "the model declined to answer",
        "tool:tool_2 was skipped",
        "tool:tool_3 started; its end was never seen",
        "tool:tool_4 ended in error, its class not recorded",
        "retry, no reason recorded (seen in its steps, not said)",
        "A reviewer overrode the run, and no corrected value was recorded",
        "A reviewer approved the run",
    ):
        assert sentence in said


def test_names_from_elsewhere_cannot_write_to_the_terminal() -> None:
    evil = "\x1b[31m\u202e[bold]x[/bold]\n\x07"
    hostile = step("tool", 0, step_name=evil, error_type=evil, status="error", input_ref=evil, labels={evil: evil})
    run = clean_run(
        workflow=evil,
        project=evil,
        labels={evil: evil},
        missing=(evil,),
        missing_anchors=(evil,),
        verdict="partial",
        steps=(hostile,),
        reviews=(Review(event_id="b" * 32, outcome=evil, reviewer_ref=evil),),
        fallbacks=(Fallback(event_id="a" * 32, kind=evil, reason=evil, step_id=hostile.step_id),),
    )
    for full in (False, True):
        text = text_of(run, full=full)
        assert all(character.isprintable() or character == "\n" for character in text)
        assert "\\x1b[31m\\u202e[bold]" in text


@pytest.mark.slow
def test_a_run_of_a_hundred_thousand_steps_is_shown_in_part_and_says_so() -> None:
    steps = tuple(step("tool", number, status="error" if number == 99_999 else "ok") for number in range(100_000))
    map_ = trace_map(clean_run(steps=steps))
    assert len(map_.steps) <= DEFAULT_STEPS + 2
    assert map_.hidden_steps == 100_000 - DEFAULT_STEPS
    text = rendered(map_)
    assert f"100,000 steps over {'2 h 46 min'}, {100_000 - DEFAULT_STEPS:,d} not shown" in text
    assert "tool:tool_99999" in text
    assert len(text.splitlines()) < 2_000


def test_steps_that_something_is_said_of_elsewhere_come_before_all_others() -> None:
    steps = tuple(step("tool", number, status="error") for number in range(500))
    named = steps[400].step_id

    shown = trace_map(clean_run(steps=steps), most=60, named={named}).steps

    places = [each.place.step.step_id for each in shown if isinstance(each, MapStep)]
    assert len(places) == 60
    assert places[-1] == named


def test_ten_thousand_steps_inside_one_another_stay_on_the_screen() -> None:
    deep = tuple(
        replace(step("tool", number), parent_step_id=f"{number:016x}" if number else None) for number in range(10_000)
    )
    text = text_of(clean_run(steps=deep))
    assert max(map(len, text.splitlines())) <= 160
    assert "[199] tool:tool_199" in text


def test_long_texts_are_bounded() -> None:
    run = clean_run(labels={"k": "v" * 5_000}, steps=(step("validate", 0, validation_errors=("e" * 1024,) * 1000),))
    assert len(text_of(run)) < 10_000


def test_an_empty_record_has_a_map() -> None:
    assert "No step was recorded." in text_of(Run(run_id="a" * 32))
    assert "No step was recorded." not in text_of(Run(run_id="a" * 32, steps=(Step(),)))


def test_json_has_the_whole_run() -> None:
    document = json.loads(json.dumps(as_document(failed_run(), (), None), default=str))
    assert document["steps"][3]["validation_errors"] == ["missing $.premium"]
    assert document["findings"][0]["boundary"] == "record"
    assert "events_listed" not in document


def test_an_error_is_told_from_within_outwards() -> None:
    """An agent that fails because its model call does comes after the call, although agents come before calls."""
    around = [
        Step(step_id="1", step_kind="agent", step_name="bot", status="error"),
        Step(step_id="2", parent_step_id="1", step_kind="chain", step_name="turn", status="ok"),
        Step(step_id="3", parent_step_id="2", step_kind="model_call", step_name="chat", status="error"),
        Step(step_id="4", parent_step_id="1", step_kind="tool", step_name="search", status="error"),
        Step(step_id="5", parent_step_id="6", step_kind="chain", step_name="circle", status="error"),
        Step(step_id="6", parent_step_id="5", step_kind="chain", step_name="circle", status="ok"),
    ]
    found = trace_map(replace(clean_run(), steps=tuple(around))).findings
    assert [each.text.split()[0] for each in found if "ended in error" in each.text] == [
        "chain:circle",
        "model_call:chat",
        "tool:search",
        "agent:bot",
    ]


def test_ten_thousand_failures_one_within_the_other_are_told_at_once() -> None:
    deep = tuple(
        Step(step_id=f"{n}", parent_step_id=f"{n - 1}", step_kind="chain", step_name=f"{n}", status="error")
        for n in range(1, 10_001)
    )
    found = trace_map(replace(clean_run(), steps=deep), full=True).findings
    assert [each.boundary for each in found[:2]] == ["chain", "chain"]
    assert found[0].text.startswith("chain:10000 ")

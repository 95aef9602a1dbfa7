"""What addresses and counts alone say of how steps hand things on."""

from causeline.diagnosis.wiring import handed_on
from causeline.schemas.run import Step


def a_step(kind: str, name: str, **fields: object) -> Step:
    return Step(step_id=name.ljust(16, "0")[:16], step_kind=kind, step_name=name, status="ok", **fields)  # type: ignore[arg-type]


def test_a_step_is_told_from_where_its_input_comes() -> None:
    steps = [a_step("parse", "ocr", input_ref="r:1", parsed_artifact_ref="r:2"), a_step("mask", "pii", input_ref="r:2")]

    assert [(where, value) for where, name, value in handed_on(steps) if name == "input from"] == [
        ("parse:ocr", "elsewhere"),
        ("mask:pii", "parse:ocr"),
    ]


def test_of_what_was_found_the_share_is_told_that_a_prompt_is_shown() -> None:
    steps = [
        a_step("retrieve", "kb", context_refs=("d:1", "d:2", "d:3", "d:4")),
        a_step("prompt", "ask", context_refs=("d:1", "d:9")),
    ]

    assert ("prompt:ask", "share of what was found", 0.25) in list(handed_on(steps))


def test_the_length_of_a_tools_answer_is_told_by_what_the_next_call_is_given_more() -> None:
    steps = [
        a_step("model_call", "decide", input_tokens=40, output_tokens=10),
        a_step("tool", "quotes"),
        a_step("model_call", "decide", input_tokens=120, output_tokens=10),
        a_step("tool", "quotes"),
        a_step("tool", "budget"),
        a_step("model_call", "decide", input_tokens=200, output_tokens=10),
    ]

    added = [each for each in handed_on(steps) if each[1] == "tokens that it adds"]
    assert added == [("tool:quotes", "tokens that it adds", 70.0)], (
        "of two tools between calls nobody can tell whose it is"
    )

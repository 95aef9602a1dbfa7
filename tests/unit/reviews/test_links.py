"""What a link of a review item is to its run."""

from causeline.reviews.links import roles_of
from causeline.schemas.run import Evidence, Run, Step

RUN = Run(
    run_id="0" * 32,
    input_ref="a:letter",
    evidence=(Evidence(field_path="$.total", evidence_refs=("a:doc#page=2",), conflicting_refs=("a:order",)),),
    steps=(Step(step_id="1", step_kind="parse", step_name="pdf", input_ref="a:letter", parsed_artifact_ref="a:doc"),),
)


def test_the_very_reference_says_what_it_is() -> None:
    assert roles_of(RUN, "a:doc#page=2") == ["supports $.total"]
    assert roles_of(RUN, "a:order") == ["contradicts $.total"]
    assert roles_of(RUN, "a:letter") == ["the run's input", "input of parse:pdf"]


def test_another_place_in_a_document_says_what_the_document_is() -> None:
    assert roles_of(RUN, "a:doc#page=9") == ["supports $.total", "parsed artifact of parse:pdf"]


def test_a_reference_that_the_run_does_not_have_is_nothing_to_it() -> None:
    assert roles_of(RUN, "a:other") == []

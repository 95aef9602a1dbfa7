"""A correction on the command line: a text or a reference, and never nothing."""

import pytest
from typer.testing import CliRunner

from causeline.cli.app import app


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--override-text", "300 EUR", "--override-ref", "artifact:right"], "a text or a reference, not both"),
        (["--override-text", "  "], "The corrected value is empty"),
        (["--override-text", ""], "The corrected value is empty"),
    ],
)
def test_a_correction_that_cannot_be_meant_is_refused_before_anything_is_asked(given: list[str], said: str) -> None:
    words = ["reviews", "resolve", "ITEM", "--outcome", "overridden", "--reviewer", "reviewer:17", *given]
    refused = CliRunner().invoke(app, words)

    assert refused.exit_code == 2
    assert said in " ".join(refused.output.split())

"""Artifacts on the command line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from causeline.cli.app import app

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSELINE_ARTIFACTS", str(tmp_path / "artifacts"))


def put(data: bytes) -> str:
    stored = RUNNER.invoke(app, ["artifact", "put", "-"], input=data)
    assert stored.exit_code == 0, stored.output
    return stored.stdout.strip()


def test_what_is_put_is_shown_and_a_place_in_it_alone() -> None:
    ref = put(b"page one\fAnnual premium: 300 EUR")

    assert "Annual premium: 300 EUR" in RUNNER.invoke(app, ["artifact", "show", ref]).stdout
    assert RUNNER.invoke(app, ["artifact", "show", f"{ref}#page=1"]).stdout == "page one\n"
    assert RUNNER.invoke(app, ["artifact", "show", f"{ref}#chars=25-28"]).stdout == "300\n"


def test_bytes_that_are_no_text_come_as_they_are_when_asked_for_raw() -> None:
    ref = put(b"\x89PNG\r\n\x1a\n\x00")

    refused = RUNNER.invoke(app, ["artifact", "show", ref])
    assert refused.exit_code != 0
    assert RUNNER.invoke(app, ["artifact", "show", ref, "--raw"]).stdout_bytes == b"\x89PNG\r\n\x1a\n\x00"


def test_a_file_that_is_not_there_is_named() -> None:
    missing = RUNNER.invoke(app, ["artifact", "put", "nowhere.txt"])

    assert missing.exit_code != 0
    assert "nowhere.txt" in str(missing.exception) + missing.output

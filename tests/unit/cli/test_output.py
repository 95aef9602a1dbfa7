"""How commands speak: to people, to programs, and to terminals that are narrow."""

import io
import json
from datetime import UTC, datetime

import pytest

from causeline.cli import output, sql
from causeline.cli.sql import Format
from causeline.console.read_only_sql import SqlResult


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_in_a_pipe_a_table_is_tab_separated_and_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(["a", "b", "c"], [(1, None, "x\ty\n\x1b[1m"), (True, 2.5, "")])
    assert capsys.readouterr().out == "a\tb\tc\n1\t\tx\\ty\\n\\x1b[1m\nyes\t2.5\t\n"


def test_on_a_terminal_a_table_is_drawn_and_names_what_it_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    rows = [("r" * 32, "[bold]w[/bold]", "\x1b[2J", "z" * 30)]
    output.print_table(["run", "workflow", "state", "more"], rows, optional=["state", "more"])
    drawn = screen.getvalue()
    assert "r" * 32 in drawn
    assert "more" not in drawn
    assert "\x1b[2J" not in drawn
    assert "Left out for want of room: state, more" in capsys.readouterr().err


def test_on_a_terminal_ids_are_short_and_rows_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    for name, value in (("COLUMNS", "40"), ("NO_COLOR", "1"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    run_id = "0198c1" + "0" * 18 + "deadbeef"
    output.print_table(["run", "question"], [(run_id, "why " * 30)], short={"run": output.RUN_DIGITS})
    lines = [line for line in screen.getvalue().splitlines() if "deadbeef" in line]
    assert len(lines) == 1
    assert lines[0].rstrip().endswith("…")
    assert run_id not in screen.getvalue()
    assert "What ends in … is cut" in capsys.readouterr().err


def test_json_is_one_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json_lines([{"at": datetime(2026, 3, 1, tzinfo=UTC)}, {"text": "ü\n"}])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [{"at": "2026-03-01T00:00:00+00:00"}, {"text": "ü\n"}]


def test_progress_without_a_terminal_is_a_line_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress() as tell:
        for fraction in (0.0, 0.5, 1.0):
            tell("loading", fraction)
        tell("counting", 0.0)
    with output.progress(quiet=True) as tell:
        tell("never said", 0.0)
    assert capsys.readouterr().err == "loading\ncounting\n"


def test_progress_on_a_terminal_is_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with output.progress() as tell:
        tell("[red]loading\x1b[2J", 2.0)
    assert "[red]loading\\x1b[2J" in screen.getvalue()


def test_a_dumb_terminal_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert not output.is_terminal(Terminal())


def test_json_is_json_and_moves_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    said = {"a": "\x1b[2J\x9b31m\x7f\u202e Prämie"}

    output.print_json(said)

    shown = capsys.readouterr().out
    assert shown.removesuffix("\n").isprintable()
    assert "Prämie" in shown
    assert json.loads(shown) == said


@pytest.mark.parametrize(("format_", "separator"), [(Format.CSV, ","), (Format.TSV, "\t")])
def test_rows_on_a_terminal_are_shown_and_those_for_a_file_are_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], format_: Format, separator: str
) -> None:
    answer = SqlResult(("a", "b"), (("\x1b[2J", "\x9b31m"),), more=False)
    sql._print(answer, format_)
    assert "\x1b[2J" in capsys.readouterr().out
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "xterm")

    sql._print(answer, format_)

    assert [line.split(separator) for line in screen.getvalue().splitlines()] == [["a", "b"], ["\\x1b[2J", "\\x9b31m"]]


def test_moments_of_this_year_are_told_without_it_and_others_whole() -> None:
    this, last = datetime(2026, 11, 28, 23, 1, 2, tzinfo=UTC), datetime(2025, 12, 31, tzinfo=UTC)
    assert f"{this:%Y-%m-%d %H:%M:%S}"[output.moment_digits([this, None], 2026) :] == "11-28 23:01:02"
    assert output.moment_digits([this, last], 2026) == 19

"""How commands speak: to people, to programs, and to terminals that are narrow."""

import io
import json
from datetime import UTC, datetime

import pytest

from causeline.cli import output


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
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    rows = [("r" * 32, "[bold]w[/bold]", "\x1b[2J", "z" * 30)]
    output.print_table(["run", "workflow", "state", "more"], rows, optional=["state", "more"])
    drawn = screen.getvalue()
    assert "r" * 32 in drawn
    assert "more" not in drawn
    assert "\x1b[2J" not in drawn
    assert "Left out for want of room: state, more" in capsys.readouterr().err


@pytest.mark.parametrize(("width", "shown"), [(100, [0, 1, 2]), (23, [0, 1, 2]), (22, [0, 1]), (13, [0]), (1, [0])])
def test_optional_columns_go_from_the_last_until_the_rest_fits(width: int, shown: list[int]) -> None:
    assert output.fitting(["a", "b", "c"], [["1234", "1234", "123456"]], width, optional=["b", "c"]) == shown


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

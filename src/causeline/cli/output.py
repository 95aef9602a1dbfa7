"""How commands speak: answers on stdout, everything else on stderr; rich on a terminal, plain lines in a pipe."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, TextIO, TypeAlias

import typer

from causeline.cli.tables import Layout, layout
from causeline.runtime.text import SHORT_ID_DIGITS, inert_json, visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Progress: TypeAlias = Callable[[str, float], None]
"""Told a stage and the fraction of it that is done, 0 to 1."""

_MOST_NAMES: Final = 8
RUN_DIGITS: Final = -SHORT_ID_DIGITS
"""Of a run id the last digits are shown."""
_PLAIN_WIDTH = 160
"""Columns of what is not a table, where there is no terminal to ask."""


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at `stream` through something that understands escapes."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def console(*, stderr: bool = False) -> "Console":
    """A rich console on stdout or stderr: colours on a terminal unless NO_COLOR is set, none elsewhere."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if is_terminal(stream) else int(os.environ.get("COLUMNS") or _PLAIN_WIDTH)
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def print_parts(parts: "Iterable[RenderableType]") -> None:
    """What a view renders, part by part; in a pipe without the blanks that rich fills its lines up with."""
    screen = console()
    if is_terminal(sys.stdout):
        for part in parts:
            screen.print(part)
        return
    for part in parts:
        with screen.capture() as printed:
            screen.print(part)
        typer.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


def say(text: str = "") -> None:
    """One line of the answer."""
    typer.echo(visible(text))


def note(text: str) -> None:
    """One line beside the answer, on stderr."""
    typer.echo(visible(text), err=True)


def print_json(document: object) -> None:
    """The answer as one JSON document on one line; JSON has no word for what is no finite number, so that is null."""
    try:
        text = json.dumps(document, ensure_ascii=False, default=_as_json, allow_nan=False)
    except ValueError:
        said = json.dumps(document, default=_as_json)
        text = json.dumps(json.loads(said, parse_constant=lambda _: None), ensure_ascii=False, allow_nan=False)
    typer.echo(inert_json(text))


def print_json_lines(documents: Iterable[object]) -> None:
    """The answer as one JSON document a line."""
    for document in documents:
        print_json(document)


def _as_json(value: object) -> object:
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if callable(isoformat) else str(value)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    optional: Sequence[str] = (),
    short: Mapping[str, int] | None = None,
) -> None:
    """A table: drawn on a terminal, a row a line; tab-separated with a header elsewhere. None is an empty cell.

    `right` names the columns of numbers; `optional` those that a narrow terminal goes without, the first to go last;
    `short` the columns of ids, of which a terminal is shown so many digits: the first, or where negative the last.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not is_terminal(sys.stdout):
        for row in (list(columns), *cells):
            typer.echo("\t".join(row))
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    digits = short or {}
    shortened = [[_short(cell, digits.get(name)) for name, cell in zip(columns, row, strict=True)] for row in cells]
    screen = console()
    fitted = layout(columns, shortened, screen.width, optional=optional, whole={*right, *digits})
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, width in fitted.widths.items():
        justify: Literal["left", "right"] = "right" if columns[place] in right else "left"
        table.add_column(columns[place], justify=justify, width=width, no_wrap=True, overflow="ellipsis")
    for row in shortened:
        table.add_row(*(Text(row[place]) for place in fitted.widths))
    screen.print(table)
    _tell_what_is_not_shown(fitted, columns)


def moment_digits(moments: Iterable[datetime | None], this_year: int) -> int:
    """For `short`, of a column of moments to the second: without the year where all are of this one."""
    return -14 if all(each is None or each.year == this_year for each in moments) else 19


def _tell_what_is_not_shown(fitted: Layout, columns: Sequence[str]) -> None:
    if left_out := fitted.left_out(columns):
        shown = ", ".join(left_out[:_MOST_NAMES])
        more = f" and {len(left_out) - _MOST_NAMES} more" if len(left_out) > _MOST_NAMES else ""
        note(f"Left out for want of room: {shown}{more}; a pipe or --json has them.")
    elif fitted.is_cut:
        note("What ends in … is cut for want of room; a pipe or --json has it whole.")


def _short(text: str, digits: int | None) -> str:
    if digits is None:
        return text
    return text[digits:] if digits < 0 else text[:digits]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return visible(str(value))


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Tells on stderr how far a long piece of work is: a bar on a terminal, a line a stage elsewhere."""
    if quiet:
        yield lambda _stage, _fraction: None
    elif is_terminal(sys.stderr):
        with _bar() as tell:
            yield tell
    else:
        yield _line_a_stage()


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=1.0)

        def tell(stage: str, fraction: float) -> None:
            bars.update(task, description=visible(stage), completed=min(max(fraction, 0.0), 1.0))

        yield tell


def _line_a_stage() -> Progress:
    said: list[str] = []

    def tell(stage: str, _fraction: float) -> None:
        if said[-1:] != [stage]:
            said[:] = [stage]
            note(stage)

    return tell

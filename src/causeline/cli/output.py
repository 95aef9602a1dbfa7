"""How commands speak: answers on stdout, everything else on stderr; rich on a terminal, plain lines in a pipe."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, TypeAlias

import typer

from causeline.console.safe_text import visible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

Progress: TypeAlias = Callable[[str, float], None]
"""Told a stage and the fraction of it that is done, 0 to 1."""

_COLUMN_GAP = 3
_PLAIN_WIDTH = 160
"""Columns of what is not a table, where there is no terminal to ask."""


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at `stream` through something that understands escapes."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def console(*, stderr: bool = False) -> "Console":
    """A rich console on stdout or stderr: colours on a terminal unless NO_COLOR is set, none elsewhere."""
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that `--help` need not pay

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
    """The answer as one JSON document on one line."""
    typer.echo(json.dumps(document, ensure_ascii=False, default=_as_json))


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
) -> None:
    """A table: drawn on a terminal, tab-separated with a header elsewhere; None is an empty cell.

    `right` names the columns of numbers; `optional` those that a narrow terminal goes without, the first to go last.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    if not is_terminal(sys.stdout):
        for row in (list(columns), *cells):
            typer.echo("\t".join(row))
        return
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    screen = console()
    shown = fitting(columns, cells, screen.width, optional)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index in shown:
        name = columns[index]
        table.add_column(name, justify="right" if name in right else "left", overflow="fold", no_wrap=index == 0)
    for row in cells:
        table.add_row(*(Text(row[index]) for index in shown))
    screen.print(table)
    left_out = [columns[index] for index in range(len(columns)) if index not in shown and columns[index] in optional]
    if left_out:
        note(f"Left out for want of room: {', '.join(left_out)}; a pipe or --json has them.")


def fitting(
    columns: Sequence[str], cells: Sequence[Sequence[str]], width: int, optional: Sequence[str] = ()
) -> list[int]:
    """The columns, by place, that fit into `width` characters: optional ones go from the last until the rest fits."""
    widths = [max([len(name), *(len(row[index]) for row in cells)]) for index, name in enumerate(columns)]
    shown = list(range(len(columns)))
    for name in reversed(optional):
        if sum(widths[index] + _COLUMN_GAP for index in shown) <= width:
            break
        shown.remove(columns.index(name))
    return shown


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
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - as above

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

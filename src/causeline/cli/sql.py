"""`sql`: ask ClickHouse, read-only."""

import sys
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, StateDir, examples
from causeline.runtime.clock import system_clock
from causeline.runtime.text import visible
from causeline.schemas.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from causeline.console.read_only_sql import Bounds, SqlResult
    from causeline.runtime.connections import ClickHouseConnection

_ONLY = "Only the first {:,d} rows are shown; --limit shows more."


class Format(StrEnum):
    """What the rows are printed as."""

    TABLE = "table"
    JSON = "json"  # one object a line
    CSV = "csv"
    TSV = "tsv"
    ARROW = "arrow"  # Arrow's stream
    PARQUET = "parquet"


def sql(
    *,
    statement: Annotated[
        str | None,
        typer.Argument(
            metavar="SQL", help="The statement, or @NAME of a question; `-`, or none and a pipe, reads stdin."
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="Fills {NAME:Type} in the statement, server-side."),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", "-l", help="List the questions that come with it.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the SQL of a question in place of asking it.")] = False,
    format_: Annotated[Format, typer.Option("--format", "-f", help="What the rows are printed as.")] = Format.TABLE,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000_000, help="Rows at most.")] = 1_000,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.1, max=3600, help="Seconds at most.")] = 30.0,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Ask ClickHouse in SQL: one statement, read-only, bounded in rows, time and memory.

    The views events, runs, steps, gaps, reviews and dead_letters show each thing once; `DESCRIBE runs` explains their
    columns. Questions that everybody has come with it: `--list` names them, `@NAME` asks one.
    """
    from causeline.console.questions import MARK, question
    from causeline.console.read_only_sql import Bounds, ask, one_statement, parse_parameters

    if list_:
        _list(json_output=json_output)
        return
    text = _statement(statement)
    parameters = parse_parameters(param or ())
    if text.startswith(MARK):
        asked = question(text.strip())
        if show:
            for line in asked.sql.splitlines():
                output.say(line)
            return
        text, parameters = asked.sql, asked.values(parameters, now_us=system_clock())
    elif show:
        raise UsageError("--show prints the SQL of a question.", hint="causeline sql @gap-rates --show")
    statement = one_statement(text)
    connection = connections.reader(state_dir, clickhouse_url)
    if not json_output and format_ in {Format.ARROW, Format.PARQUET}:
        _write(connection, statement, parameters, format_, Bounds(rows=limit, seconds=timeout_s))
        return
    answer = ask(connection, text, parameters, Bounds(rows=limit, seconds=timeout_s))
    _print(answer, Format.JSON if json_output else format_)
    if answer.more:
        output.note(_ONLY.format(limit))


def _list(*, json_output: bool) -> None:
    from causeline.console.questions import MARK, questions

    if json_output:
        output.print_json_lines(asdict(each) for each in questions().values())
        return
    for each in questions().values():
        output.say(f"{MARK}{each.name}")
        output.say(f"    {each.asks}")
        for parameter in each.parameters:
            default = "must be given" if parameter.default is None else f"default {parameter.default or 'all'}"
            output.say(f"    --param {parameter.name}=…  {parameter.help} ({default})")


def _statement(argument: str | None) -> str:
    if argument is not None and argument != "-":
        return argument
    if argument is None and sys.stdin.isatty():
        raise UsageError("There is no SQL to run.", hint='causeline sql "SHOW TABLES"')
    return sys.stdin.read()


def _print(answer: "SqlResult", format_: Format) -> None:
    from causeline.console.read_only_sql import as_separated, plain

    match format_:
        case Format.JSON:
            output.print_json_lines(dict(zip(answer.columns, map(plain, row), strict=True)) for row in answer.rows)
        case Format.CSV | Format.TSV:
            for line in as_separated(answer, "," if format_ is Format.CSV else "\t"):
                # A terminal shows what a cell is; what goes into a file or a pipe stays as it is.
                shown = _shown(line) if output.is_terminal(sys.stdout) else line
                typer.echo(shown, nl=False, color=True)  # else what looks like a colour is left out
        case Format.TABLE:
            numbers = [
                name
                for index, name in enumerate(answer.columns)
                if answer.rows and isinstance(answer.rows[0][index], int | float)
            ]
            output.print_table(answer.columns, [[plain(v) for v in row] for row in answer.rows], right=numbers)


def _write(
    connection: "ClickHouseConnection",
    statement: str,
    parameters: "Mapping[str, str]",
    format_: Format,
    bounds: "Bounds",
) -> None:
    """The rows as bytes for a file or a program, block by block."""
    from causeline.console.read_only_sql import require_used
    from causeline.read.rows import Rows

    if sys.stdout.isatty():
        raise UsageError(
            f"{format_.value.capitalize()} is no text.", hint=f"causeline sql … -f {format_} > rows.{format_}"
        )
    require_used(statement, parameters)
    rows = Rows(connection, statement, parameters, bounds)
    if rows.write(sys.stdout.buffer, as_parquet=format_ is Format.PARQUET):
        output.note(_ONLY.format(bounds.rows))


def _shown(line: str) -> str:
    return "\t".join(map(visible, line.removesuffix("\n").removesuffix("\r").split("\t"))) + "\n"


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(
        epilog=examples(
            'causeline sql "SELECT workflow, verdict, count() FROM runs GROUP BY ALL"',
            'causeline sql "SELECT * FROM steps WHERE run_id = {run:String}" --param run=RUN --format csv',
            "echo 'DESCRIBE gaps' | causeline sql",
            'causeline sql "SELECT run_id, cost_usd FROM runs" --limit 1000000 --format parquet > runs.parquet',
            "causeline sql --list",
            "causeline sql @gap-rates --param workflow=invoice --param since=24h",
        )
    )(sql)

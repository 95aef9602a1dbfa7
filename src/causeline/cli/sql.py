"""`sql`: ask ClickHouse, read-only."""

import sys
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, StateDir, examples
from causeline.schemas.clock import system_clock
from causeline.schemas.errors import UsageError

if TYPE_CHECKING:
    from causeline.console.read_only_sql import Answer


class Format(StrEnum):
    """What the rows are printed as."""

    TABLE = "table"
    JSON = "json"  # one object a line
    CSV = "csv"
    TSV = "tsv"


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
    from causeline.console.questions import MARK, question  # noqa: PLC0415 - the console extra
    from causeline.console.read_only_sql import Bounds, ask, one_statement, parse_parameters  # noqa: PLC0415

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
    one_statement(text)
    connection = connections.reader(state_dir, clickhouse_url)
    answer = ask(connection, text, parameters, Bounds(rows=limit, seconds=timeout_s))
    _print(answer, Format.JSON if json_output else format_)
    if answer.more:
        output.note(f"Only the first {limit:,d} rows are shown; --limit shows more.")


def _list(*, json_output: bool) -> None:
    from causeline.console.questions import MARK, questions  # noqa: PLC0415 - the console extra

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


def _print(answer: "Answer", format_: Format) -> None:
    from causeline.console.read_only_sql import as_separated, plain  # noqa: PLC0415 - the console extra

    match format_:
        case Format.JSON:
            output.print_json_lines(dict(zip(answer.columns, map(plain, row), strict=True)) for row in answer.rows)
        case Format.CSV | Format.TSV:
            for line in as_separated(answer, "," if format_ is Format.CSV else "\t"):
                typer.echo(line, nl=False)
        case Format.TABLE:
            numbers = [
                name
                for index, name in enumerate(answer.columns)
                if answer.rows and isinstance(answer.rows[0][index], int | float)
            ]
            output.print_table(answer.columns, [[plain(v) for v in row] for row in answer.rows], right=numbers)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(
        epilog=examples(
            'causeline sql "SELECT workflow, verdict, count() FROM runs GROUP BY ALL"',
            'causeline sql "SELECT * FROM steps WHERE run_id = {run:String}" --param run=0198… --format csv',
            "echo 'DESCRIBE gaps' | causeline sql",
            "causeline sql --list",
            "causeline sql @gap-rates --param workflow=invoice --param since=24h",
        )
    )(sql)

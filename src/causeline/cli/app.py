"""The commands, gathered into one app."""

import logging
import platform
from importlib.metadata import PackageNotFoundError, version

import typer

from causeline.cli import (
    amend,
    compare,
    dead,
    demo,
    doctor,
    drift,
    evals,
    explain,
    export,
    lint,
    output,
    policies,
    read,
    receive,
    rejudge,
    reviews,
    services,
    spool,
    sql,
    stack,
    status,
    topics,
)
from causeline.cli.options import Json, examples
from causeline.cli.shield import Shielded

app = typer.Typer(
    name="causeline",
    cls=Shielded,
    help="Turn a bad answer of an AI workflow into an inspectable chain of causes.",
    epilog=examples(  # noqa: S608 - an example in SQL; nobody runs it here
        "causeline demo                        # start everything, publish three workflows, explain a failed run",
        "causeline runs --since 1h --has-gap   # find runs",
        "causeline show RUN                    # what happened in one, step by step",
        "causeline why RUN                     # what went wrong, and what to touch",
        'causeline sql "SELECT count() FROM runs"',
    )
    + "\n\n\b\nExit codes: 0 done; 1 the answer is no; 2 wrong command line; 3 a service does not answer;\n"
    "4 this machine lacks something; 5 a fault of causeline's; 130 interrupted; 141 pipe closed.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def causeline() -> None:
    """Turn a bad answer of an AI workflow into an inspectable chain of causes."""
    # What clients complain about is raised, and told once; services log it besides.
    for client in ("clickhouse_connect", "urllib3"):
        logging.getLogger(client).addHandler(logging.NullHandler())


def show_version(json_output: Json = False) -> None:
    """Print the version of causeline and of the Python it runs on."""
    try:
        ours = version("causeline")
    except PackageNotFoundError:
        ours = "unknown"
    if json_output:
        output.print_json({"causeline": ours, "python": platform.python_version()})
    else:
        output.say(f"causeline {ours} (Python {platform.python_version()})")


for group in (
    demo,
    stack,
    status,
    doctor,
    read,
    explain,
    compare,
    lint,
    evals,
    sql,
    policies,
    topics,
    services,
    receive,
    export,
    amend,
    reviews,
    rejudge,
    drift,
    dead,
    spool,
):
    group.register(app)
app.command("version", epilog=examples("causeline version"))(show_version)

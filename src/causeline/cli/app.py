"""The commands, gathered into one app; each is loaded when it is called."""

import logging

import typer

from causeline.cli.options import examples
from causeline.cli.root import Root

app = typer.Typer(
    name="causeline",
    cls=Root,
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
    # What clients complain about is raised, and told once.
    for client in ("clickhouse_connect", "urllib3"):
        logging.getLogger(client).addHandler(logging.NullHandler())

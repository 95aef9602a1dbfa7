"""The command line: thin typer commands over the parts' plain functions, and the one place where the parts meet.

Exit codes: 0 done; 1 the command ran and the answer is no; 2 the command line is wrong; 3 a service does not answer;
4 this machine lacks something; 5 a fault of ours; 130 interrupted; 141 the reader of a pipe went away.
"""

import gc
import io
import os
import sys

_MANY_NEW = 100_000
"""Objects between two looks for garbage: loading modules leaves none, and looking takes a tenth of a command's time."""


def main() -> None:
    """Run the command line on this process's arguments; ends the process with the command's exit code."""
    gc.set_threshold(_MANY_NEW, 20, 20)
    if "_CAUSELINE_COMPLETE" in os.environ:
        _complete()
    try:
        import typer  # noqa: F401 - the console extra; asked for here so that its absence is a sentence
    except ModuleNotFoundError:
        sys.stderr.write("error: The causeline commands are not installed.\nhint: pip install 'causeline[console]'\n")
        sys.exit(4)
    from causeline.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # where the terminal lacks a character, its escape is better than none
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="causeline")


def _complete() -> None:
    """Answer a shell that completes, and end; what is not known without typer is left to it."""
    from causeline.cli.completing import answer, ask_clickhouse

    if (found := answer(os.environ, ask_clickhouse)) is not None:
        text, code = found
        if text:
            sys.stdout.write(f"{text}\n")
        sys.exit(code)

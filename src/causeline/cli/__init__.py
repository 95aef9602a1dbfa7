"""The command line: thin typer commands over the parts' plain functions, and the one place where the parts meet.

Exit codes: 0 done; 1 the command ran and the answer is no; 2 the command line is wrong; 3 a service does not answer;
4 this machine lacks something; 5 a fault of ours; 130 interrupted; 141 the reader of a pipe went away.
"""

import io
import sys


def main() -> None:
    """Run the command line on this process's arguments; ends the process with the command's exit code."""
    try:
        import typer  # noqa: F401, PLC0415 - the console extra; asked for here so that its absence is a sentence
    except ModuleNotFoundError:
        sys.stderr.write("error: The causeline commands are not installed.\nhint: pip install 'causeline[console]'\n")
        sys.exit(4)
    from causeline.cli.app import app  # noqa: PLC0415 - needs typer

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # where the terminal lacks a character, its escape is better than none
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="causeline")

"""`version`: which causeline this is."""

import platform

import typer

from causeline.cli import output
from causeline.cli.options import Json, examples


def show_version(json_output: Json = False) -> None:
    """Print the version of causeline and of the Python it runs on."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        ours = version("causeline")
    except PackageNotFoundError:
        ours = "unknown"
    if json_output:
        output.print_json({"causeline": ours, "python": platform.python_version()})
    else:
        output.say(f"causeline {ours} (Python {platform.python_version()})")


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command("version", epilog=examples("causeline version"))(show_version)

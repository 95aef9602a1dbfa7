"""`open`: the console in a browser, signed in."""

import time
import webbrowser
from typing import Annotated
from urllib.parse import urlencode

import typer

from causeline.cli import connections, output
from causeline.cli.options import Json, StateDir, examples


def open_console(
    *,
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run id, or a part of one; else the overview.")
    ] = None,
    show: Annotated[bool, typer.Option("--print", help="Only print the address.")] = False,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Open the local stack's console in a browser, signed in as its owner.

    The address that is opened is good for one minute. Whoever has the stack's folder has its token, so nobody else can
    make one. Of another console than the local stack's, open its address and sign in.
    """
    from causeline.stack.endpoints import Endpoints
    from causeline.web.identity import link_key

    endpoints = Endpoints.load(connections.state_folder(state_dir))
    token = endpoints.console_token_file.read_text("utf-8").strip()
    where = {"key": link_key(token, time.time()), "to": f"/r/{run}" if run else "/", "name": "owner"}
    address = f"{endpoints.console_url}/enter?{urlencode(where)}"
    if json_output:
        output.print_json({"url": address})
        return
    if show or not webbrowser.open(address):
        output.say(address)


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command("open", epilog=examples("causeline open", "causeline open RUN", "causeline open --print"))(open_console)

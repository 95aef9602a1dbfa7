"""`up` and `down`: the local stack, from nothing to readiness and back."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import Json, StateDir, examples
from causeline.schemas.errors import NotFound

Partitions = Annotated[
    int | None,
    typer.Option("--partitions", envvar="CAUSELINE_PARTITIONS", show_default="4", help="Partitions of new topics."),
]
_PORT = "0 is a free one, kept for the next time."


def up(
    *,
    state_dir: StateDir = None,
    kafka_port: Annotated[
        int | None, typer.Option(envvar="CAUSELINE_KAFKA_PORT", show_default="0", help=f"Kafka's port; {_PORT}")
    ] = None,
    clickhouse_port: Annotated[
        int | None,
        typer.Option(envvar="CAUSELINE_CLICKHOUSE_PORT", show_default="0", help=f"ClickHouse's HTTP port; {_PORT}"),
    ] = None,
    console_port: Annotated[
        int | None, typer.Option(envvar="CAUSELINE_CONSOLE_PORT", show_default="0", help=f"The console's port; {_PORT}")
    ] = None,
    otlp_port: Annotated[
        int | None,
        typer.Option(envvar="CAUSELINE_OTLP_PORT", show_default="0", help=f"The receiver's port of OTLP/HTTP; {_PORT}"),
    ] = None,
    otlp_grpc_port: Annotated[
        int | None,
        typer.Option(
            envvar="CAUSELINE_OTLP_GRPC_PORT", show_default="0", help=f"The receiver's port of OTLP/gRPC; {_PORT}"
        ),
    ] = None,
    partitions: Partitions = None,
    workers: Annotated[
        int | None, typer.Option(envvar="CAUSELINE_WORKERS", show_default="1", help="How many workers join runs.")
    ] = None,
    loaders: Annotated[
        int | None, typer.Option(envvar="CAUSELINE_LOADERS", show_default="1", help="How many loaders fill ClickHouse.")
    ] = None,
    json_output: Json = False,
) -> None:
    """Start the local stack, or what of it is not running, and wait until it is ready.

    Kafka, ClickHouse, the topics and tables, a worker, a loader, the console's HTTP service and the OTLP receiver; all
    on this machine, all on the loopback address, without Docker. Twice is one stack.
    """
    start(
        state_dir,
        quiet=json_output,
        kafka_port=kafka_port,
        clickhouse_port=clickhouse_port,
        console_port=console_port,
        otlp_port=otlp_port,
        otlp_grpc_port=otlp_grpc_port,
        partitions=partitions,
        workers=workers,
        loaders=loaders,
    )
    endpoints = connections.local_endpoints(connections.state_folder(state_dir))
    if endpoints is None:  # `start` saved them; someone took the stack down since
        raise typer.Exit(1)
    if json_output:
        output.print_json(endpoints.model_dump(mode="json"))
        return
    output.say(f"Kafka       {endpoints.kafka_bootstrap_servers}")
    output.say(f"ClickHouse  {endpoints.clickhouse_url}  (password in {endpoints.clickhouse_password_file})")
    output.say(f"Console     {endpoints.console_url}   (causeline open signs you in)")
    output.say(f"OTLP        {endpoints.otlp_url} (HTTP), {endpoints.otlp_grpc_url} (gRPC)")
    output.say(f"Artifacts   {endpoints.artifacts}")
    output.say("Next: causeline demo · causeline status · causeline down")


def start(state_dir: Path | None, *, quiet: bool = False, **chosen: object) -> None:
    """Bring the stack up with the settings that were chosen, telling how far it is."""
    from causeline.demo.publish import demo_policy_text
    from causeline.stack.local import up as bring_up
    from causeline.stack.settings import StackSettings

    settings = StackSettings.from_environment(state_dir=connections.state_folder(state_dir), **chosen)
    with output.progress(quiet=quiet) as tell:
        bring_up(settings, tell, policy=demo_policy_text())


def down(state_dir: StateDir = None, json_output: Json = False) -> None:
    """Stop the local stack; what it stored stays for the next `up`."""
    from causeline.stack.local import down as bring_down

    folder = connections.state_folder(state_dir)
    with output.progress(quiet=json_output) as tell:
        stopped = bring_down(folder, tell)
    if json_output:
        output.print_json({"state_dir": str(folder), "stopped": stopped})
    else:
        output.say("The stack is stopped." if stopped else f"No stack was running in {folder}.")


def env(
    *,
    writer: Annotated[
        bool, typer.Option("--writer", help="Log in to ClickHouse as its owner, who may change and remove everything.")
    ] = False,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Print the variables that point any program at the running local stack, for `eval "$(causeline env)"`.

    ClickHouse is read as its reader, which notebooks and drivers need no more than; `causeline`'s own commands find the
    owner by themselves where they write. Applications with OpenTelemetry's SDK send their spans to its receiver.
    """
    folder = connections.state_folder(state_dir)
    endpoints = connections.local_endpoints(folder)
    if endpoints is None:
        raise NotFound(f"No stack is running in {folder}.", hint="causeline up")
    variables = endpoints.environment() if writer else endpoints.reading()
    variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoints.otlp_url
    if json_output:
        output.print_json(variables)
        return
    for name, value in variables.items():
        output.say(f"export {name}={shlex.quote(value)}")


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(epilog=examples('eval "$(causeline env)"', "causeline env --json"))(env)
    app.command(
        epilog=examples(
            "causeline up", "causeline up --workers 2 --partitions 8", "causeline up --json | jq .console_url"
        )
    )(up)
    app.command(epilog=examples("causeline down", "causeline down && rm -r .causeline   # forget everything"))(down)

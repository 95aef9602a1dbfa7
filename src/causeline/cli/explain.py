"""`why` and `policy check`: from a run to its cause, and a policy held against its contract."""

from pathlib import Path
from typing import Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, StateDir, examples
from causeline.schemas.errors import UsageError
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.policy_file import InvalidPolicy, read_policy

PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", envvar="CAUSELINE_POLICY", metavar="FILE", help="The policy to judge by (TOML)."),
]


def why(
    *,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run id, whole or how it begins.")],
    policy: PolicyFile = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="For a ticket.")] = False,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Say what went wrong in a run, and what to touch: by fixed rules, from its record alone; no model is asked.

    The first line is for everybody. Below it are the causes with their evidence and what followed from them, then the
    six questions: source, route, shape, support, review, drift. What was never recorded is unknown, never well.
    """
    from causeline.console import queries  # noqa: PLC0415 - the console extra
    from causeline.console.diagnosis import diagnose  # noqa: PLC0415
    from causeline.console.store import open_store  # noqa: PLC0415
    from causeline.console.why_view import as_json, render  # noqa: PLC0415
    from causeline.console.why_view import markdown as as_markdown  # noqa: PLC0415

    if markdown and json_output:
        raise UsageError("--markdown and --json are two forms of one answer.", hint="Choose one.")
    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        found = queries.run_by_id(store, run)
    diagnosis = diagnose(found, _policy(policy))
    if json_output:
        output.print_json(as_json(diagnosis))
    elif markdown:
        output.say(as_markdown(diagnosis).rstrip())
    else:
        output.print_parts(render(diagnosis))
        output.say()
        output.say(f"Next: causeline show {found.run_id} · causeline why {found.run_id} --markdown")


def _policy(file: Path | None) -> Policy:
    """The policy named, else the local stack's own, else the built-in one."""
    import os  # noqa: PLC0415 - the variable is settled with the connection

    named = file or os.environ.get("CAUSELINE_POLICY")
    return read_policy(Path(named)) if named else DEFAULT_POLICY


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The policy file.")], json_output: Json = False
) -> None:
    """Check a policy file: everything that cannot be meant, with its line and its key."""
    try:
        policy = read_policy(file)
    except InvalidPolicy as error:
        if json_output:
            output.print_json(
                {
                    "valid": False,
                    "problems": [{"line": p.line, "key": p.key, "message": p.message} for p in error.problems],
                }
            )
        else:
            for problem in error.problems:
                output.say(f"{file}: {problem}")
        raise typer.Exit(1) from None
    if json_output:
        output.print_json({"valid": True, "hash": policy.content_hash, "workflows": sorted(policy.workflow)})
    else:
        output.say(f"{file} is a policy (hash {policy.content_hash}) of {len(policy.workflow)} workflows.")


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(
        epilog=examples(
            "causeline why RUN", "causeline why RUN --markdown > ticket.md", "causeline why RUN --json | jq .summary"
        )
    )(why)
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Policies: what evidence must be, and what follows."
    )
    group.command("check", epilog=examples("causeline policy check policy.toml"))(check)
    app.add_typer(group, name="policy")

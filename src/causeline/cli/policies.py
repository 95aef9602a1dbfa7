"""`policy`: a policy held against its contract, and the policies that have judged."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, StateDir, examples
from causeline.schemas.policy_file import InvalidPolicy, read_policy


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


def list_policies(
    *, clickhouse_url: ClickHouseUrl = None, state_dir: StateDir = None, json_output: Json = False
) -> None:
    """List every policy that has judged runs or gaps, the newest first."""
    from causeline.console.policies import kept_policies
    from causeline.console.store import open_store

    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        kept = kept_policies(store)
    if json_output:
        output.print_json_lines(
            {name: value for name, value in asdict(each).items() if name != "text"} for each in kept
        )
        return
    output.print_table(
        ["hash", "first used (UTC)", "by", "partitions", "workflows"],
        [
            [
                each.policy_hash,
                f"{each.first_used_at:%Y-%m-%d %H:%M:%S}",
                ", ".join(each.used_by),
                each.partitions,
                ", ".join(sorted(each.policy.workflow)) or "(any)",
            ]
            for each in kept
        ],
        right=["partitions"],
    )
    if not kept:
        output.note("No policy has judged yet: a worker records the one it judges by when it gets its partitions.")


def show(
    *,
    policy_hash: Annotated[
        str, typer.Argument(metavar="HASH", help="The hash on a run or a gap, whole or how it begins.")
    ],
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Read back a policy that has judged: what it said, and from which messages on it did."""
    from causeline.console.policies import kept_policy, uses_of
    from causeline.console.store import open_store

    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        kept = kept_policy(store, policy_hash)
        uses = uses_of(store, kept.policy_hash)
    said = json.loads(kept.text)
    if json_output:
        output.print_json({"policy_hash": kept.policy_hash, "policy": said, "uses": [asdict(use) for use in uses]})
        return
    for use in uses:
        output.say(
            f"# {use.used_by}, partition {use.source_partition}: from offset {use.from_offset} on,"
            f" {use.used_at:%Y-%m-%d %H:%M:%S} UTC"
        )
    for line in json.dumps(said, indent=2, ensure_ascii=False).splitlines():
        output.say(line)


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Policies: what evidence must be, and what follows."
    )
    group.command("check", epilog=examples("causeline policy check policy.toml"))(check)
    group.command("list", epilog=examples("causeline policy list", "causeline policy list --json"))(list_policies)
    group.command("show", epilog=examples("causeline policy show HASH", "causeline policy show HASH --json"))(show)
    app.add_typer(group, name="policy")

"""`why`: from a run to its cause."""

from pathlib import Path
from typing import Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, StateDir, examples
from causeline.schemas.errors import UsageError
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.policy_file import read_policy

PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", envvar="CAUSELINE_POLICY", metavar="FILE", help="The policy to judge by (TOML)."),
]


def why(
    *,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run id: whole, its last 8 digits, or how it begins.")],
    policy: PolicyFile = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="For a ticket.")] = False,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Say what went wrong in a run, and what to touch: by fixed rules, from its record alone; no model is asked.

    The first line is for everybody. Below it are the first cause with its evidence and what followed from it, the
    nearest run that went well, what is left to do, and what could not be told. The run is held against up to 400 others
    of its workflow. What was never recorded accuses nobody. The rules are those of --policy, else of the policy that
    judged the run, which is kept.
    """
    from causeline.console import lookups
    from causeline.console.neighbours import cohort_of
    from causeline.console.policies import judging_policy
    from causeline.console.store import open_store
    from causeline.console.views.why_view import as_json, render
    from causeline.console.views.why_view import markdown as as_markdown
    from causeline.diagnosis import diagnose
    from causeline.drift.alerts import alerts_for_diagnosis

    if markdown and json_output:
        raise UsageError("--markdown and --json are two forms of one answer.", hint="Choose one.")
    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        found = lookups.run_by_id(store, run)
        judging = named_policy(policy) or judging_policy(store, found.policy_hash) or DEFAULT_POLICY
        drift = alerts_for_diagnosis(store, found.workflow)
        cohort = cohort_of(store, found, judging)
    diagnosis = diagnose(found, judging, drift, cohort)
    if json_output:
        output.print_json(as_json(diagnosis))
    elif markdown:
        for line in as_markdown(diagnosis).splitlines():
            output.say(line)
    else:
        output.print_parts(render(diagnosis))
        output.say()
        output.say(f"Next: causeline show {found.run_id} · causeline why {found.run_id} --markdown")


def named_policy(file: Path | None) -> Policy | None:
    """The policy of an option or its variable, where one is named."""
    import os

    named = file or os.environ.get("CAUSELINE_POLICY")
    return read_policy(Path(named)) if named else None


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(
        epilog=examples(
            "causeline why RUN", "causeline why RUN --markdown > ticket.md", "causeline why RUN --json | jq .summary"
        )
    )(why)

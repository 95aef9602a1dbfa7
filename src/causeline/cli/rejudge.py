"""`rejudge`: what another policy makes of stored runs, and the revisions that make it so."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.amend import on_demand, stored_rows
from causeline.cli.options import ClickHouseUrl, Json, KafkaServers, StateDir, TopicPrefix, examples
from causeline.cli.why import PolicyFile
from causeline.runtime.clock import system_clock
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.policy_file import read_policy
from causeline.schemas.topics import DEFAULT_PREFIX

if TYPE_CHECKING:
    from causeline.streams.amender.rejudge import Outcome


def rejudge(
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="Runs started then or later: 15m, 2h, 7d, or ISO 8601 (UTC).")
    ],
    workflow: Annotated[
        list[str] | None, typer.Option("--workflow", "-w", help="Of this workflow. Repeat it for alternatives.")
    ] = None,
    policy: PolicyFile = None,
    apply: Annotated[bool, typer.Option("--apply", help="Publish the runs whose judgement changes.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most so many runs.")] = 100_000,
    kafka: KafkaServers = None,
    clickhouse_url: ClickHouseUrl = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Judge the evidence of stored runs again by a policy: how many runs change, and how. Nothing is written.

    With --apply the runs that change are published anew, and replace their records. Their revision stays, since it
    counts events and a policy changes none: of equal revisions the last published stands.
    """
    from causeline.console.when import parse_moment
    from causeline.streams.amender.rejudge import Rejudge
    from causeline.streams.amender.settings import AmenderSettings

    now_us = system_clock()
    since_us = parse_moment(since, now_us=now_us)
    connections.clickhouse(state_dir, clickhouse_url)
    if apply:
        connections.kafka(state_dir, kafka)
    connections.set_topic_prefix(prefix)
    judging = _policy(policy)
    settings = AmenderSettings.from_environment()
    with stored_rows(settings) as source:
        from causeline.schemas.registry import Schemas
        from causeline.streams.amender.stored import Stored
        from causeline.streams.runs.chosen import core

        amending = on_demand(settings, source) if apply else None
        stored = Stored(source)
        found = stored.started(since_us, workflow or [], limit=limit)
        schemas = amending.schemas if amending else Schemas()
        outcome = Rejudge(
            stored=stored,
            policy=judging,
            schemas=schemas,
            core=core(schemas),
            publisher=amending.publisher if amending else None,
            max_run_events=settings.max_run_events,
            max_batch_runs=settings.max_batch_runs,
            max_batch_events=settings.max_batch_events,
        ).over(found, now_us)
    _tell(outcome, apply=apply, json_output=json_output)
    if len(found) == limit:
        output.note(f"Only the {limit:,d} oldest runs were looked at; --limit takes more.")


def _policy(file: Path | None) -> Policy:
    import os

    named = file or os.environ.get("CAUSELINE_POLICY")
    return read_policy(Path(named)) if named else DEFAULT_POLICY


def _tell(outcome: "Outcome", *, apply: bool, json_output: bool) -> None:
    kinds = sorted(outcome.gaps_before | outcome.gaps_after)
    if json_output:
        output.print_json(
            {
                "policy_hash": outcome.policy_hash,
                "runs": outcome.runs,
                "changed": outcome.changed,
                "skipped": outcome.skipped,
                "applied": outcome.applied,
                "gaps": {
                    kind: {"before": outcome.gaps_before[kind], "after": outcome.gaps_after[kind]} for kind in kinds
                },
                "examples": [
                    {"run_id": each.run_id, "workflow": each.workflow, "before": each.before, "after": each.after}
                    for each in outcome.examples
                ],
            }
        )
        return
    output.say(f"Policy {outcome.policy_hash} changes {outcome.changed:,d} of {outcome.runs:,d} runs.")
    if kinds:
        rows = [(kind, outcome.gaps_before[kind], outcome.gaps_after[kind]) for kind in kinds]
        output.print_table(["gap", "before", "after"], rows, right=["before", "after"])
    for each in outcome.examples:
        output.say(f"{each.run_id} ({each.workflow}): {_gaps(each.before)} becomes {_gaps(each.after)}")
    if outcome.skipped:
        output.note(f"{outcome.skipped:,d} runs were left out: their events are not all in the store.")
    if apply:
        output.say(f"Published: {outcome.applied:,d} runs.")
    elif outcome.changed:
        output.note("Nothing was written; --apply publishes the runs that change.")


def _gaps(gaps: tuple[str, ...]) -> str:
    return ", ".join(gaps) or "no gap"


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(
        epilog=examples(
            "causeline rejudge --since 24h --policy policy.toml",
            "causeline rejudge --since 7d --workflow invoice --policy policy.toml --apply",
        )
    )(rejudge)

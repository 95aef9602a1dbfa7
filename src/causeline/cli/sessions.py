"""`sessions`: the runs of a conversation together."""

from dataclasses import asdict
from typing import Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, StateDir, examples
from causeline.console.run_filter import RunFilter, checked_limit
from causeline.runtime.clock import system_clock


def sessions(
    *,
    session: Annotated[list[str] | None, typer.Argument(metavar="SESSION…", help="Only these.")] = None,
    user: Annotated[
        list[str] | None, typer.Option("--user", metavar="HASH", help="Of this user, by the hash that runs have.")
    ] = None,
    workflow: Annotated[list[str] | None, typer.Option("--workflow", "-w", help="With runs of this workflow.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="With runs started then or later: 15m, 2h, 7d, or ISO 8601."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many at most.")] = 50,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Conversations: how many runs each has, how they came out and what they cost; `runs --session` lists its runs."""
    from causeline.console.sessions import find_sessions
    from causeline.console.store import open_store
    from causeline.console.when import parse_moment

    wanted = RunFilter(
        sessions=tuple(session or ()),
        user_hashes=tuple(user or ()),
        workflows=tuple(workflow or ()),
        since_us=None if since is None else parse_moment(since, now_us=system_clock()),
    )
    checked_limit(limit)
    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        found = find_sessions(store, wanted, limit=limit)
    if json_output:
        output.print_json_lines(asdict(each) for each in found)
        return
    from causeline.console.words import dollars, duration, listed

    output.print_table(
        ["session", "user", "workflows", "runs", "failed", "gaps", "from (UTC)", "over", "cost", "tokens"],
        [
            (
                each.session_id,
                each.user_hash and each.user_hash[:12],
                listed(each.workflows),
                each.runs,
                each.failed or None,
                each.with_gaps or None,
                f"{each.started_at:%Y-%m-%d %H:%M:%S}",
                duration(round((each.finished_at - each.started_at).total_seconds() * 1e6)),
                dollars(each.cost_usd),
                None if each.input_tokens is None else f"{each.input_tokens:,d}→{each.output_tokens or 0:,d}",
            )
            for each in found
        ],
        right=["runs", "failed", "gaps", "over", "cost"],
        optional=["user", "gaps", "over", "tokens", "cost", "from (UTC)"],
    )
    if not found:
        output.note("No run says that it belongs to a session.")


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(
        epilog=examples(
            "causeline sessions --since 1d",
            "causeline sessions SESSION --json",
            "causeline runs --session SESSION   # its runs",
        )
    )(sessions)

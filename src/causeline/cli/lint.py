"""`lint-traces`: which habits of a workflow leave its bad answers unexplained."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, StateDir, examples
from causeline.console.run_filter import RunFilter
from causeline.runtime.clock import system_clock
from causeline.schemas.run import Run

if TYPE_CHECKING:
    from causeline.console.store import Store
    from causeline.diagnosis.habits import Found, Lint

_BATCH = 500


def lint_traces(
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="Runs started then or later: 15m, 2h, 7d, or ISO 8601 (UTC).")
    ] = "1h",
    workflow: Annotated[
        list[str] | None, typer.Option("--workflow", "-w", help="Of this workflow; repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="The newest runs, so many.")] = 5_000,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Look for six habits of tracing that leave a bad answer unexplained, with examples and the code to add.

    It ends with 1 when a workflow has one of them, so that a pipeline can hold a new workflow to them.
    """
    from causeline.console.store import open_store
    from causeline.console.when import parse_moment
    from causeline.diagnosis.habits import lint

    wanted = RunFilter(workflows=tuple(workflow or ()), since_us=parse_moment(since, now_us=system_clock()))
    with (
        open_store(connections.clickhouse(state_dir, clickhouse_url)) as store,
        output.progress(quiet=json_output) as tell,
    ):
        found = lint(_runs(store, wanted, limit, tell))
    if json_output:
        output.print_json(_as_json(found))
    else:
        _print(found, since)
        if sum(found.runs.values()) == limit:
            output.note(f"Only the newest {limit:,d} runs were looked at; --limit looks at more.")
    if found.found:
        raise typer.Exit(1)


def _runs(store: "Store", wanted: RunFilter, limit: int, tell: output.Progress) -> Iterator[Run]:
    from causeline.console import lookups, run_lists

    ids = [run.run_id for run in run_lists.find_runs(store, wanted, limit=limit)]
    for start in range(0, len(ids), _BATCH):
        tell("reading runs", start / len(ids))
        yield from lookups.runs_by_id(store, ids[start : start + _BATCH]).values()


def _print(found: "Lint", since: str) -> None:
    if not found.runs:
        output.note(f"No run has started since {since}.")
    for workflow, runs in sorted(found.runs.items()):
        mine = [each for each in found.found if each.workflow == workflow]
        output.say(f"{workflow}: {runs:,d} runs, {len(mine)} of 6 habits")
        for each in mine:
            _print_habit(each)
            if each.habit.name == "version_dropped":
                lacking = found.missing_anchors.get(workflow, {})
                said = ", ".join(f"{anchor} ({count:,d})" for anchor, count in lacking.items())
                output.say(f"      lacking: {said}")
        for says, count in found.cost_answers.get(workflow, ()):
            output.say(f"  cost {count:,d} answer{'' if count == 1 else 's'}: {says}")
        output.say()
    for habit in {each.habit.name: each.habit for each in found.found if not each.attributes}.values():
        output.say(f"What ends {habit.name}:")
        for line in habit.add.splitlines():
            output.say(f"    {line}")
        output.say()


def _print_habit(found: "Found") -> None:
    output.say(f"  {found.habit.name}: {found.runs:,d} of {found.of_runs:,d} runs ({found.share:.0%})")
    output.say(f"      {found.habit.says}")
    output.say(f"      e.g. causeline show {found.examples[0]}")
    if found.attributes:
        output.say(f"      set on its spans: {', '.join(found.attributes)}")


def _as_json(found: "Lint") -> dict[str, object]:
    return {
        "runs": found.runs,
        "missing_anchors": found.missing_anchors,
        "cost_answers": {
            name: [{"says": says, "runs": count} for says, count in each] for name, each in found.cost_answers.items()
        },
        "habits": [
            {
                "workflow": each.workflow,
                "habit": each.habit.name,
                "says": each.habit.says,
                "runs": each.runs,
                "of_runs": each.of_runs,
                "share": round(each.share, 4),
                "examples": each.examples,
                "add": "" if each.attributes else each.habit.add,
                "set": each.attributes,
            }
            for each in found.found
        ],
    }


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(
        "lint-traces",
        epilog=examples("causeline lint-traces", "causeline lint-traces --since 7d --workflow invoice --json"),
    )(lint_traces)

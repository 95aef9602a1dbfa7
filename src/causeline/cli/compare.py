"""`compare`: what differs between two runs, or two versions of a workflow."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, StateDir, examples
from causeline.runtime.clock import system_clock
from causeline.runtime.text import inert_markdown, shortened
from causeline.schemas.errors import UsageError

if TYPE_CHECKING:
    from causeline.console.compare.runs import Difference
    from causeline.console.compare.versions import Measured, Share, Versions


class By(StrEnum):
    """What a version is a version of."""

    PROMPT_VERSION = "prompt_version"
    PROMPT_ID = "prompt_id"
    MODEL_NAME = "model_name"
    MODEL_PROVIDER = "model_provider"
    SYSTEM_FINGERPRINT = "system_fingerprint"
    MODEL_POLICY = "model_policy"
    PARSER_VERSION = "parser_version"
    SCHEMA_VERSION = "schema_version"
    ROUTE_POLICY_VERSION = "route_policy_version"
    RELEASE = "release"


_LISTED = 2
_WIDTH = 44
"""Characters of a reference: both its ends, which tell most. JSON has it whole."""


def compare(
    *,
    left: Annotated[str, typer.Argument(metavar="A", help="A run id, whole or how it begins; with --by a version.")],
    right: Annotated[str, typer.Argument(metavar="B", help="The other.")],
    by: Annotated[
        By | None, typer.Option("--by", help="Compare versions of this, over all runs that have them.")
    ] = None,
    release: Annotated[bool, typer.Option("--release", help="The same as --by release.")] = False,
    workflow: Annotated[
        str | None, typer.Option("--workflow", "-w", help="The workflow whose versions they are.")
    ] = None,
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help="Runs started then or later.")] = "30d",
    everything: Annotated[bool, typer.Option("--all", help="Also the shares that did not move for certain.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="For a ticket.")] = False,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Say what differs between two runs, in versions, path, evidence, outcome and cost; or between two versions.

    Versions are compared by shares of runs, each with an interval of 95 % for the difference, and the first line says
    what is certain. A release is the label that `Tracer(release=...)` or CAUSELINE_RELEASE sets.
    """
    if markdown and json_output:
        raise UsageError("--markdown and --json are two forms of one answer.", hint="Choose one.")
    if release and by not in (None, By.RELEASE):
        raise UsageError("--release compares releases, and --by something else.", hint="Choose one.")
    wanted = By.RELEASE if release else by
    if wanted is not None and workflow is None:
        raise UsageError("Versions of which workflow?", hint="--workflow NAME; `causeline runs` shows them.")
    if wanted is None:
        _runs(left, right, state_dir, clickhouse_url, markdown=markdown, json_output=json_output)
        return
    from causeline.console.compare.version_lookup import versions_of
    from causeline.console.store import open_store
    from causeline.console.when import parse_moment

    since_us = parse_moment(since, now_us=system_clock())
    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        found = versions_of(store, str(workflow), wanted.value, left, right, since_us=since_us)
    if json_output:
        output.print_json({**asdict(found), "verdict": found.verdict})
    else:
        _print_versions(found, everything=everything, markdown=markdown)
    if not found.left_runs or not found.right_runs:
        raise typer.Exit(1)


# --- two runs


def _runs(
    left: str,
    right: str,
    state_dir: StateDir,
    clickhouse_url: ClickHouseUrl,
    *,
    markdown: bool,
    json_output: bool,
) -> None:
    from causeline.console import lookups
    from causeline.console.compare.runs import compare_runs
    from causeline.console.store import open_store

    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        one, other = lookups.run_by_id(store, left), lookups.run_by_id(store, right)
    found = compare_runs(one, other)
    if json_output:
        output.print_json({"left": one.run_id, "right": other.run_id, "differences": [asdict(each) for each in found]})
        return
    names = (f"{one.workflow} {one.run_id}", f"{other.workflow} {other.run_id}")
    if not found:
        output.say(f"{one.run_id} and {other.run_id} say the same.")
    elif markdown:
        _as_markdown(
            ("what", *names), [(f"{each.part}: {each.what}", *_cells(each.left, each.right)) for each in found]
        )
    else:
        _print_differences(found, names)


def _print_differences(found: "Sequence[Difference]", names: tuple[str, str]) -> None:
    output.say(f"A {names[0]}")
    output.say(f"B {names[1]}")
    rows = [(each.part.value, each.what, *_cells(each.left, each.right)) for each in found]
    output.print_table(["part", "what", "A", "B"], rows)


def _cells(left: object, right: object) -> tuple[str, str]:
    """Both sides for people: of lists only what the other side does not have, and of that the beginning."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        return _listed(left, right), _listed(right, left)
    return _cell(left), _cell(right)


def _listed(values: tuple[object, ...], others: tuple[object, ...]) -> str:
    own = [value for value in values if value not in others]
    shared = len(values) - len(own)
    said = _cell(tuple(own)) if own else ""
    return f"{said}{', ' if said else ''}{shared} shared" if shared else said or "-"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, tuple | list):
        more = f", +{len(value) - _LISTED}" if len(value) > _LISTED else ""
        return (", ".join(shortened(f"{each}", _WIDTH) for each in value[:_LISTED]) + more) or "-"
    return f"{value:g}" if isinstance(value, float) else shortened(f"{value}", _WIDTH)


# --- two versions


def _print_versions(found: "Versions", *, everything: bool, markdown: bool) -> None:
    output.say(found.verdict)
    if not found.shares:
        return
    output.say()
    headings = (
        "",
        f"{found.left} (n={found.left_runs:,d})",
        f"{found.right} (n={found.right_runs:,d})",
        "difference (95 %)",
    )
    shares = [each for each in found.shares if everything or each.is_certain or each.bad is not None]
    rows = [*map(_share_row, shares), *map(_measure_row, found.measures)]
    if markdown:
        _as_markdown(headings, rows)
    else:
        output.print_table(list(headings), rows, right=list(headings[1:]))


def _share_row(share: "Share") -> tuple[str, str, str, str]:
    left, right = share.left / share.left_of, share.right / share.right_of
    mark = " *" if share.is_certain else ""
    return (
        share.name,
        f"{left:.1%} ({share.left:,d})",
        f"{right:.1%} ({share.right:,d})",
        f"{share.difference:+.1%} [{share.low:+.1%}, {share.high:+.1%}]{mark}",
    )


def _measure_row(measure: "Measured") -> tuple[str, str, str, str]:
    left, right = ("-" if each is None else f"{each:.4g}" for each in (measure.left, measure.right))
    if measure.left is None or measure.right is None:
        return measure.name, left, right, "-"
    bounds = "" if measure.low is None else f" [{measure.low:+.3g}, {measure.high:+.3g}]"
    mark = " *" if measure.is_certain else ""
    return measure.name, left, right, f"{measure.right - measure.left:+.3g}{bounds}{mark}"


def _as_markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    output.say("| " + " | ".join(headings) + " |")
    output.say("|" + "---|" * len(headings))
    for row in rows:
        output.say("| " + " | ".join(inert_markdown(cell) for cell in row) + " |")


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(
        epilog=examples(
            "causeline compare RUN OTHER",
            "causeline compare --by prompt_version --workflow invoice 7 8",
            "causeline compare --release --workflow invoice 2026.10 2026.11 --markdown",
        )
    )(compare)

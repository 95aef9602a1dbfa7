"""`causes`: what went wrong over many runs, by cause."""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, StateDir, examples, is_written
from causeline.cli.why import PolicyFile, named_policy
from causeline.runtime.clock import system_clock
from causeline.schemas.errors import EnvironmentFault, UsageError

if TYPE_CHECKING:
    from causeline.console.store import Store
    from causeline.console.stored_causes import Weighed, WeighedCause
    from causeline.diagnosis.grouping import Answered

Since = Annotated[
    str, typer.Option("--since", metavar="WHEN", help="Runs started then or later: 15m, 2h, 7d, or ISO 8601 (UTC).")
]
Workflows = Annotated[list[str] | None, typer.Option("--workflow", "-w", help="Of this workflow; repeatable.")]


class Form(StrEnum):
    """A form of the report."""

    MARKDOWN = "md"
    HTML = "html"


def causes(
    ctx: typer.Context,
    *,
    since: Since = "7d",
    workflow: Workflows = None,
    policy: PolicyFile = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=100_000, help="With --policy: the newest runs, so many.")
    ] = 5_000,
    runs: Annotated[bool, typer.Option("--runs", help="One line of JSON a run in place of the causes.")] = False,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Say what went wrong over many runs: each cause with its runs, its share, its cost, its trend and an example.

    `causeline diagnose` says of each run what went wrong as it closes, as `why` does; here that is counted, and held
    against the window before. Causes that were not there before stand first. With --policy the newest runs are
    diagnosed now, by that policy.
    """
    if ctx.invoked_subcommand is not None:
        return
    from causeline.console.store import open_store
    from causeline.console.stored_causes import lines

    now_us = system_clock()
    asked = {"since_us": _moment(since, now_us), "until_us": now_us + 1, "workflows": tuple(workflow or ())}
    anew = is_written(ctx, "policy")
    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        if runs and not anew:
            output.print_json_lines(lines(store, **asked))  # type: ignore[arg-type]
            return
        if anew:
            answers = list(_anew(store, since, workflow, policy, limit))
            if runs:
                from causeline.console.views.why_view import one_line

                output.print_json_lines(one_line(each.found) for each in answers)
                return
            found, note = _of_answers(answers), f"Of the newest {len(answers):,d} runs, by the policy {policy}."
        else:
            found, note = _stored(store, asked)
    if json_output:
        output.print_json({"note": note, **_document(found)})
        return
    output.say(note)
    for cause in found.causes:
        _tell(cause)


def report(
    *,
    form: Annotated[Form, typer.Option("--format", help="Markdown for a ticket or a mail, or a page.")] = Form.MARKDOWN,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Written there, else printed.")
    ] = None,
    since: Since = "7d",
    workflow: Workflows = None,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
) -> None:
    """Write what went wrong as a report for people who were not there: the week's, unless --since says otherwise."""
    from causeline.console.store import open_store
    from causeline.console.stored_causes import window_words
    from causeline.console.views import causes_view

    now_us = system_clock()
    since_us = _moment(since, now_us)
    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        found, note = _stored(store, {"since_us": since_us, "until_us": now_us + 1, "workflows": tuple(workflow or ())})
    written = causes_view.html if form is Form.HTML else causes_view.markdown
    text = written(found.causes, f"What went wrong, {window_words(since_us, now_us)}", note)
    if file is None:
        output.say(text.rstrip())
        return
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise EnvironmentFault(f"{file} cannot be written: {error.strerror}.") from error
    output.say(f"Wrote {file}: {len(found.causes)} causes of {found.went_wrong:,d} runs.")


def _moment(since: str, now_us: int) -> int:
    from causeline.console.when import parse_moment

    since_us = parse_moment(since, now_us=now_us)
    if since_us > now_us:
        raise UsageError(f"{since} is yet to come.", hint="Say 7d for the last week.")
    return since_us


def _stored(store: "Store", asked: dict[str, object]) -> "tuple[Weighed, str]":
    from causeline.console.stored_causes import weighed

    found = weighed(store, **asked)  # type: ignore[arg-type]
    note = f"{found.went_wrong:,d} of {found.diagnosed:,d} runs went wrong, for {len(found.causes)} causes."
    if found.not_diagnosed:
        more = f"{found.not_diagnosed:,d} more are not diagnosed"
        note += f" {more}: `causeline status` shows whether the diagnoser is behind."
    return found, note


def _anew(
    store: "Store", since: str, workflow: list[str] | None, policy: Path | None, limit: int
) -> "Iterator[Answered]":
    from causeline.console.neighbours import answered
    from causeline.console.run_filter import RunFilter
    from causeline.drift.alerts import alerts_for_diagnosis

    wanted = RunFilter(workflows=tuple(workflow or ()), since_us=_moment(since, system_clock()))
    drift_of = partial(alerts_for_diagnosis, store)
    yield from answered(store, wanted, limit=limit, drift_of=drift_of, policy=named_policy(policy))


def _of_answers(answers: "list[Answered]") -> "Weighed":
    from causeline.console.stored_causes import Weighed, of_group
    from causeline.diagnosis.grouping import groups

    counted = Counter(each.run.workflow for each in answers)
    return Weighed(tuple(of_group(each, counted[each.workflow]) for each in groups(answers, counted)), counted, 0)


def _document(found: "Weighed") -> dict[str, object]:
    return {
        "runs": dict(found.runs),
        "went_wrong": found.went_wrong,
        "not_diagnosed": found.not_diagnosed,
        "causes": [cause.as_json() for cause in found.causes],
    }


def _tell(cause: "WeighedCause") -> None:
    from causeline.console.views import causes_view

    said, workflow, runs, share, cost, trend, against, certainty, example = causes_view.cells(cause)
    output.say()
    output.say(said)
    output.say(f"  Fix: {cause.fix}")
    output.say(f"  {workflow} · {runs} runs · {share} · {cost} · {trend} · {against} · {certainty}")
    output.say(f"  e.g. causeline why {example}")


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    group = typer.Typer(rich_markup_mode=None, invoke_without_command=True)
    group.callback(epilog=examples("causeline causes --since 24h", "causeline causes --runs | jq -c .first_cause"))(
        causes
    )
    group.command(
        "report", epilog=examples("causeline causes report", "causeline causes report --format html -o week.html")
    )(report)
    app.add_typer(group, name="causes")

"""`runs` and `show`: find runs, and what happened in one."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, StateDir, examples
from causeline.console.run_filter import Order, RunFilter, checked_limit
from causeline.console.run_filter import id_text as part_of_id
from causeline.runtime.clock import system_clock
from causeline.schemas.errors import CauselineError, CheckFailed, UsageError
from causeline.schemas.run import Run
from causeline.schemas.vocabulary import FallbackKind, FinalState, GapKind, Status, Verdict

if TYPE_CHECKING:
    from causeline.console.store import Store

# --- runs


Words: TypeAlias = list[str] | None

_SEVERAL = "Repeat it for alternatives."


def runs(
    *,
    workflow: Annotated[Words, typer.Option("--workflow", "-w", help=f"Of this workflow. {_SEVERAL}")] = None,
    project: Annotated[Words, typer.Option("--project", help=f"Of this project. {_SEVERAL}")] = None,
    state: Annotated[list[FinalState] | None, typer.Option("--state", help="How the run ended.")] = None,
    verdict: Annotated[list[Verdict] | None, typer.Option("--verdict", help="How complete its record is.")] = None,
    status: Annotated[
        list[Status] | None, typer.Option("--status", help="error where a step or the run failed.")
    ] = None,
    route: Annotated[Words, typer.Option("--route", help="That took this route.")] = None,
    model: Annotated[
        Words, typer.Option("--model", help="With a call of this model, by the name asked for or answered.")
    ] = None,
    session: Annotated[
        Words, typer.Option("--session", help="Of this session, as `causeline sessions` lists it.")
    ] = None,
    user: Annotated[
        Words, typer.Option("--user", metavar="HASH", help="Of this user, by the hash that runs have.")
    ] = None,
    prompt_version: Annotated[Words, typer.Option("--prompt-version", help="That used this prompt version.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="Started then or later: 15m, 2h, 7d, or ISO 8601 (UTC)."),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Started before then.")] = None,
    has_gap: Annotated[bool, typer.Option("--has-gap", help="With an evidence gap of any kind.")] = False,
    gap: Annotated[list[GapKind] | None, typer.Option("--gap", help="With an evidence gap of this kind.")] = None,
    has_fallback: Annotated[bool, typer.Option("--has-fallback", help="That took a fallback of any kind.")] = False,
    fallback: Annotated[list[FallbackKind] | None, typer.Option("--fallback", help="That took this fallback.")] = None,
    id_text: Annotated[
        str | None, typer.Option("--id", metavar="TEXT", help="Whose id contains this; dashes and case are forgiven.")
    ] = None,
    label: Annotated[Words, typer.Option("--label", metavar="KEY=VALUE", help="With this label.")] = None,
    order: Annotated[Order, typer.Option("--order", help="Which come first.")] = Order.NEWEST,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many at most.")] = 50,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Find runs. Different filters must all hold; one filter said several times holds alternatives."""
    from causeline.console import lookups, run_lists
    from causeline.console.store import open_store
    from causeline.console.when import parse_moment

    now_us = system_clock()
    wanted = RunFilter(
        id_text=id_text,
        projects=tuple(project or ()),
        workflows=tuple(workflow or ()),
        states=_values(state),
        verdicts=_values(verdict),
        statuses=_values(status),
        routes=tuple(route or ()),
        models=tuple(model or ()),
        sessions=tuple(session or ()),
        user_hashes=tuple(user or ()),
        prompt_versions=tuple(prompt_version or ()),
        since_us=None if since is None else parse_moment(since, now_us=now_us),
        until_us=None if until is None else parse_moment(until, now_us=now_us),
        has_gap=has_gap,
        gap_kinds=_values(gap),
        has_fallback=has_fallback,
        fallback_kinds=_values(fallback),
        labels=_labels(label or ()),
    )
    wanted.condition()  # what cannot be meant is told before anything is connected
    checked_limit(limit)
    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        found = run_lists.find_runs(store, wanted, order=order, limit=limit)
        total = lookups.count_runs(store, wanted) if len(found) == limit else len(found)
    if json_output:
        output.print_json_lines(_listed(run) for run in found)
        return
    _print_runs(found)
    if not found:
        output.note("No run matches.")
    elif total > len(found):
        output.note(f"{len(found):,d} of {total:,d} runs; --limit shows more.")


def _values(words: Sequence[StrEnum] | None) -> tuple[str, ...]:
    return tuple(word.value for word in words or ())


def _labels(pairs: Iterable[str]) -> dict[str, str]:
    labels = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise UsageError(f"{pair[:60]!r} is not KEY=VALUE.", hint="E.g. --label tenant=a")
        labels[key] = value
    return labels


_NESTED = frozenset({"steps", "evidence", "gaps", "fallbacks", "reviews", "evals", "evaluations", "labels"})
_LONG = frozenset({"context_refs", "evidence_refs", "validation_errors"})


def _listed(run: Run) -> dict[str, object]:
    """A run in a list: `show --json` has the nested rest."""
    return {name: value for name, value in asdict(run).items() if name not in _NESTED | _LONG}


def _print_runs(found: Sequence[Run]) -> None:
    from causeline.console.words import dollars, duration, listed

    digits = output.moment_digits((run.started_at for run in found), datetime.now(UTC).year)
    output.print_table(
        ["run", "workflow", "started (UTC)", "took", "state", "gaps", "error", "record", "fallback", "review", "cost"],
        [
            (
                run.run_id,
                run.workflow,
                f"{run.started_at:%Y-%m-%d %H:%M:%S}" if run.started_at else None,
                duration(run.duration_us),
                run.final_state,
                listed(run.gap_kinds),
                run.error_step,
                run.verdict,
                run.fallback_taken,
                run.review_outcome,
                dollars(run.cost_usd),
            )
            for run in found
        ],
        right=["took", "cost"],
        optional=["workflow", "gaps", "error", "record", "fallback", "review", "cost"],
        short={"run": output.RUN_DIGITS, "started (UTC)": digits},
    )


# --- show


class Form(StrEnum):
    """What a run is shown as."""

    LLM_RUN_TRACE = "llm-run-trace"


def show(
    *,
    run: Annotated[
        list[str] | None, typer.Argument(metavar="RUN…", help="Run ids: whole, their last 8 digits, or how they begin.")
    ] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read run ids from stdin too, one a line.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Whole references, every step.")] = False,
    events: Annotated[bool, typer.Option("--events", help="Also list the events it was joined from.")] = False,
    as_form: Annotated[
        Form | None,
        typer.Option("--as", help="Print this instead: the minimum trace record, as JSON, one line a run."),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="With --as: a required field that was never recorded is null.")
    ] = False,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Show what happened in a run: each step with what went in, what came out, what was decided, versions and cost.

    Ends with what stands out, in the order in which causes flow. With `--as llm-run-trace` each run is one JSON line
    of exactly the 20 fields, or its missing required fields are named on stderr and the command ends with 1; with
    `--allow-missing` they are null, as for traces of others' instrumentation, which has no word for some of them.
    """
    from causeline.console.store import open_store

    ids = [*(run or ()), *(_ids_from_stdin() if stdin else ())]
    if not ids:
        raise UsageError("No run is named.", hint="causeline show RUN; `causeline runs` lists some.")
    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        if as_form is Form.LLM_RUN_TRACE:
            _show_traces(store, ids, allow_missing=allow_missing)
        else:
            _show_maps(store, ids, full=full, events=events, json_output=json_output)


def _ids_from_stdin() -> Iterator[str]:
    for line in sys.stdin:
        if word := line.split(maxsplit=1)[:1]:
            yield word[0]


def _found(store: "Store", ids: Sequence[str]) -> Iterator[Run]:
    """The runs of `ids` in their order; those that are not there are told, and raise CheckFailed at the end."""
    from causeline.console import lookups

    whole = [text for text in map(part_of_id, ids) if len(text) == 32]
    by_id = lookups.runs_by_id(store, whole) if len(ids) > 1 else {}
    failed = 0
    for text in ids:
        try:
            yield by_id.get(part_of_id(text)) or lookups.run_by_id(store, text)
        except CauselineError as error:
            if len(ids) == 1:
                raise
            failed += 1
            output.note(f"error: {error.message}")
    if failed:
        raise CheckFailed(f"{failed:,d} of {len(ids):,d} runs could not be shown.", hint="They are named above.")


def _show_traces(store: "Store", ids: Sequence[str], *, allow_missing: bool) -> None:
    from causeline.schemas.llm_run_trace import NeverRecorded, llm_run_trace, with_nulls

    lacking = 0
    for run in _found(store, ids):
        if allow_missing:
            output.print_json(with_nulls(asdict(run)))
            continue
        trace = llm_run_trace(asdict(run))
        if isinstance(trace, NeverRecorded):
            lacking += 1
            output.note(f"run {trace.run_id} never recorded: {', '.join(trace.fields)}")
        else:
            output.print_json(trace.model_dump(mode="json"))
    if lacking:
        raise CheckFailed(
            f"{lacking:,d} of {len(ids):,d} runs lack required fields of the minimum trace record.",
            hint="They are named above; have the workflow record them, or take them as null: --allow-missing.",
        )


def _show_maps(store: "Store", ids: Sequence[str], *, full: bool, events: bool, json_output: bool) -> None:
    from causeline.console import lookups
    from causeline.console.views.trace_map import as_document, trace_map
    from causeline.console.views.trace_view import render

    for number, run in enumerate(_found(store, ids)):
        live = lookups.gaps_of(store, run.run_id) if run.gap_kinds else []
        listed = lookups.events_of(store, run.run_id) if events else None
        if json_output:
            output.print_json(as_document(run, live, listed))
            continue
        if number:
            output.say()
        output.print_parts(render(trace_map(run, live, full=full), full=full))
        if listed is not None:
            _print_events(listed)


def _print_events(events: Sequence[object]) -> None:
    from collections.abc import Mapping

    rows = [event for event in events if isinstance(event, Mapping)]
    output.print_table(
        ["seq", "occurred (UTC)", "event", "step", "status", "emitter", "event id"],
        [
            (
                row.get("seq"),
                f"{row['occurred_at']:%H:%M:%S.%f}",
                row.get("event_type"),
                ":".join(str(row[name]) for name in ("step_kind", "step_name") if row.get(name)),
                row.get("status"),
                row.get("emitter_id"),
                row.get("event_id"),
            )
            for row in rows
        ],
        right=["seq"],
    )


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command(
        epilog=examples(
            "causeline runs --since 1h",
            "causeline runs --workflow invoice --has-gap --order costliest",
            "causeline runs --verdict partial --verdict unfinished --json | jq -r .run_id",
        )
    )(runs)
    app.command(
        epilog=examples(
            "causeline show RUN",
            "causeline show RUN --full --events",
            "causeline runs --status error --json | jq -r .run_id | causeline show --stdin --as llm-run-trace",
        )
    )(show)

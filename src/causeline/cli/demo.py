"""`demo`: the whole pipeline on generated documents, counted at both ends, and one failed run explained."""

import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causeline.cli import connections, demo_otlp, output
from causeline.cli.gathering import gathered
from causeline.cli.options import Json, StateDir, examples
from causeline.cli.stack import start
from causeline.runtime.clock import system_clock
from causeline.schemas.errors import CheckFailed, Unreachable

if TYPE_CHECKING:
    from causeline.console.store import Store
    from causeline.demo.report import Account, Published
    from causeline.producers.tracer import Tracer

_FLUSH_TIMEOUT_S = 120.0


def demo(
    *,
    runs: Annotated[int, typer.Option("--runs", min=1, max=1_000_000, help="How many runs to publish.")] = 3_000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same documents and faults.")] = 7,
    patience_s: Annotated[
        float,
        typer.Option("--patience", min=1, help="Seconds without any progress after which waiting is given up."),
    ] = 150.0,
    drift: Annotated[
        bool,
        typer.Option(
            "--drift", help="Let the runs begin over the last hours, in which something moves, for `causeline drift`."
        ),
    ] = False,
    take_down: Annotated[bool, typer.Option("--down", help="Stop the stack afterwards.")] = False,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Run three demo workflows through the whole pipeline, and explain a run that failed.

    Starts the local stack if it is not running, publishes the runs, waits until all of them can be asked for, and
    counts: published = visible = true, or it ends with 1. A second demo counts its own runs only. A fiftieth as many
    runs come besides from OpenTelemetry's SDK with OpenInference, over OTLP, and are counted by themselves.

    With --drift the runs begin over the last whole hours, before and after a release, and in the last hour one provider
    has changed its backend: `causeline watch --once`, and then `causeline drift` says what moved.
    """
    began = time.monotonic()
    try:
        _demo(runs, seed, patience_s, state_dir, began, drift=drift, json_output=json_output)
    finally:
        if take_down:
            _take_down(state_dir, json_output=json_output)


def _demo(
    runs: int,
    seed: int,
    patience_s: float,
    state_dir: Path | None,
    began: float,
    *,
    drift: bool,
    json_output: bool,
) -> None:
    from causeline.console.store import open_store
    from causeline.demo import report

    folder = connections.state_folder(state_dir)
    _start_if_down(folder, state_dir)
    connections.settle(state_dir=state_dir)
    before = _restarts(folder)
    published = _publish(folder, runs, seed, drift=drift)
    sent = demo_otlp.publish(folder, runs, seed, published.session, report.PROJECT, patience_s=patience_s)
    with open_store(connections.clickhouse()) as store:
        _wait(store, published, patience_s)
        with output.progress() as tell:
            tell("counting", 0.0)
            shown = report.visible(store, published)
            wrong = report.differences(published, shown)
            account = report.account(store, published, shown, time.monotonic() - began)
        by_otlp = demo_otlp.account(store, sent, patience_s)
        if by_otlp.difference:
            wrong.append(by_otlp.difference)
        restarted = _again(before, _restarts(folder))
        wrong += restarted
        if json_output:
            output.print_json(asdict(account) | by_otlp.record() | {"restarts": len(restarted)})
        else:
            _print(store, published, account, by_otlp, drift=drift)
    for sentence in wrong:
        output.note(sentence)
    if wrong:
        raise CheckFailed(
            "Published, visible and true are not the same, or a service did not stay up.",
            hint="causeline status · the logs folder",
        )


def _start_if_down(folder: Path, state_dir: Path | None) -> None:
    """Bring the stack up; one that is ready stays as it is, with as many workers as it was given."""
    from causeline.stack.local import status

    if not status(folder).ready:
        start(state_dir)


def _restarts(folder: Path) -> dict[str, tuple[int, str]]:
    """By service of the stack how often it was started again, and how it last ended."""
    from causeline.stack.local import status

    return {each.name: (each.restarts, each.last_fault or "ended") for each in status(folder).services}


def _again(before: Mapping[str, tuple[int, str]], after: Mapping[str, tuple[int, str]]) -> list[str]:
    """A sentence for each service that was started again in between: a demo in which one falls is no demo."""
    return [
        f"{name} was started again {times - before.get(name, (0, ''))[0]} times; it {fault.rstrip('.')}."
        for name, (times, fault) in after.items()
        if times > before.get(name, (0, ""))[0]
    ]


def _publish(folder: Path, runs: int, seed: int, *, drift: bool) -> "Published":
    """Publish the demo's runs; what the broker acknowledged of them, and what the truth file says."""
    from causeline.demo import publish
    from causeline.demo.course import last_hours
    from causeline.demo.report import PROJECT, Published
    from causeline.producers.artifacts import ArtifactStore

    session = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
    truth_file = folder / "demo" / f"{session}.truth.jsonl"
    truth_file.parent.mkdir(mode=0o700, exist_ok=True)
    delivered: set[str] = set()
    artifacts = ArtifactStore.open(connections.artifacts())
    with _tracer(PROJECT, delivered) as tracer, output.progress() as tell:
        done = publish(
            tracer=tracer,
            artifacts=artifacts,
            seed=seed,
            runs=runs,
            truth_file=truth_file,
            progress=lambda fraction: tell(f"publishing {runs:,d} runs", fraction),
            session_label=session,
            course=last_hours(system_clock(), runs) if drift else None,
        )
        left = tracer.flush(_FLUSH_TIMEOUT_S)
        stats = tracer.stats()
    if left or stats.dropped or stats.lost or stats.invalid:
        raise Unreachable(
            f"Of {stats.accepted:,d} events {left.events + stats.lost:,d} were not acknowledged,"
            f" {stats.dropped:,d} dropped and {stats.invalid:,d} invalid: {stats.last_error or 'no reason was given'}.",
            hint="causeline status",
        )
    return Published(session, frozenset(delivered), frozenset(done.run_ids), frozenset(_truth(truth_file)))


@contextmanager
def _tracer(project: str, delivered: set[str]) -> Iterator["Tracer"]:
    """A tracer that notes which events the broker acknowledged."""
    from causeline.producers.emitter.emitter import Emitter
    from causeline.producers.tracer import Tracer

    lock = threading.Lock()

    def note(event_ids: Sequence[str]) -> None:
        with lock:
            delivered.update(event_ids)

    tracer = Tracer(project, emitter=Emitter(on_delivered=note))
    try:
        yield tracer
    finally:
        tracer.close()


def _truth(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield str(json.loads(line)["run_id"])


def _wait(store: "Store", published: "Published", patience_s: float) -> None:
    """Return when every event and run of the session is there; raises CheckFailed when nothing moves any more."""
    from causeline.demo.report import seen

    wanted = (len(published.event_ids), len(published.run_ids))
    there = gathered(
        lambda: seen(store, published), wanted, label="loading events, joining runs", patience_s=patience_s
    )
    if there[0] < wanted[0] or there[1] < wanted[1]:
        raise _given_up(there, wanted, patience_s)


def _given_up(there: tuple[int, int], wanted: tuple[int, int], patience_s: float) -> CheckFailed:
    missing = [
        f"{wanted[place] - there[place]:,d} of {wanted[place]:,d} {what} {where}"
        for place, (what, where) in enumerate(
            (("events", "(see the loader)"), ("runs", "(see the worker, the loader)"))
        )
        if there[place] < wanted[place]
    ]
    return CheckFailed(
        f"Nothing has come for {patience_s:g} s, and still missing are {' and '.join(missing)}.",
        hint="`causeline status` shows who lags; the logs are in the state folder.",
    )


def _print(
    store: "Store", published: "Published", account: "Account", by_otlp: demo_otlp.OtlpAccount, *, drift: bool
) -> None:
    from causeline.console import lookups
    from causeline.console.views.trace_map import trace_map
    from causeline.console.views.trace_view import render
    from causeline.demo import report

    for table in report.tables(store, published.session):
        output.say(table.title)
        output.print_table(table.columns, table.rows, right=table.right)
        output.say()
    example = report.telling_run(store, published.session)
    if example:
        output.say("One run that went wrong")
        run = lookups.run_by_id(store, example)
        output.print_parts(render(trace_map(run, lookups.gaps_of(store, run.run_id))))
        output.say()
    _print_account(account)
    if by_otlp.otlp_runs_published:
        output.say(
            f"Over OTLP, from OpenTelemetry's SDK: {by_otlp.otlp_runs_published:,d} runs of"
            f" {by_otlp.otlp_spans_published:,d} spans published, {by_otlp.otlp_runs_visible:,d} of"
            f" {by_otlp.otlp_spans_visible:,d} visible."
        )
    output.say()
    output.say("Try next:")
    for command in _next_commands(published.session, example, drift=drift):
        output.say(f"  {command}")


def _print_account(account: "Account") -> None:
    output.say(
        f"Events: {account.events_published:,d} published, {account.events_visible:,d} visible."
        f"  Runs: {account.runs_published:,d} published, {account.runs_visible:,d} visible"
        f" ({account.complete:,d} complete, {account.partial:,d} partial, {account.unfinished:,d} unfinished)."
        f"  Duplicates: {account.duplicates:,d}.  {account.seconds:g} s in all."
    )


def _next_commands(session: str, example: str | None, *, drift: bool) -> list[str]:
    from causeline.demo.course import AFTER, BEFORE

    label = f"--label demo={session}"
    shown = [f"causeline why {example}", f"causeline show {example} --full"] if example else []
    moved = ["causeline watch --once", "causeline drift", f"causeline compare --release {BEFORE} {AFTER} -w invoice"]
    return [
        *(moved if drift else ()),
        *shown,
        f"causeline runs {label} --has-gap --order costliest",
        f"causeline runs {label} --verdict partial",
        f"causeline runs --session {session}   # what came over OTLP",
        'causeline sql "SELECT step_kind, count(), avg(duration_us) FROM steps GROUP BY step_kind"',
        "causeline status",
        "causeline down",
    ]


def _take_down(state_dir: Path | None, *, json_output: bool) -> None:
    from causeline.stack.local import down

    with output.progress(quiet=json_output) as tell:
        down(connections.state_folder(state_dir), tell)


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(
        epilog=examples(
            "causeline demo",
            "causeline demo --runs 20000 --seed 11",
            "causeline demo --drift",
            "causeline demo --json --down",
        )
    )(demo)

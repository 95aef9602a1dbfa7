"""`eval`: cases made of runs that went wrong, and a gate that holds the next release against them."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, KafkaServers, StateDir, TopicPrefix, examples
from causeline.cli.why import PolicyFile, named_policy
from causeline.runtime.clock import system_clock
from causeline.runtime.text import counted
from causeline.schemas.errors import UsageError
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.run import Run
from causeline.schemas.topics import DEFAULT_PREFIX

if TYPE_CHECKING:
    from causeline.console.store import Store
    from causeline.diagnosis import Diagnosis
    from causeline.eval.case import EvalCase
    from causeline.eval.gate import Result

_FOLDER = Path("evals")
Folder = Annotated[Path, typer.Argument(metavar="CASES", help="A folder of cases, or one file.")]
_BATCH = 200
_OUTCOMES = {"passed": "passed", "failed": "failed", "stale": "stale", "error": "errored"}


# --- export


def export(
    *,
    run: Annotated[list[str] | None, typer.Option("--run", metavar="RUN", help="Of this run; repeatable.")] = None,
    overridden: Annotated[bool, typer.Option("--overridden", help="Of every run that a reviewer corrected.")] = False,
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="With --overridden: started then or later.")
    ] = "7d",
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Of this workflow only.")] = None,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where the cases go.")] = _FOLDER,
    record: Annotated[
        bool, typer.Option("--record/--no-record", help="Tell each run that it has a case, so that `why` says so.")
    ] = True,
    policy: PolicyFile = None,
    clickhouse_url: ClickHouseUrl = None,
    kafka: KafkaServers = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Make a case of each cause: a readable file of references, to be kept with the application's code.

    The same cause is one case, with the runs in which it came up; exporting twice changes nothing. What people have
    written into a file stays.
    """
    from causeline.console.store import open_store
    from causeline.eval.export import case_of
    from causeline.eval.folder import keep

    if not run and not overridden:
        raise UsageError("Cases of which runs?", hint="--run RUN, or --overridden --since 7d.")
    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        found = [
            (each, case)
            for each, diagnosis in _diagnosed(store, _chosen(store, run, overridden, since, workflow), policy)
            if (case := case_of(each, diagnosis))
        ]
    answers = keep(to, [case for _, case in found])
    untold = [(each, case) for each, case in found if case.id not in {known.case_id for known in each.evals}]
    if record and untold:
        connections.kafka(state_dir, kafka)
        connections.set_topic_prefix(prefix)
        _tell_runs(untold)
    if json_output:
        output.print_json(
            {"folder": str(to), "cases": answers, "runs": len(found), "told": len(untold) if record else 0}
        )
        return
    for case_id, answer in sorted(answers.items()):
        output.say(f"{to / case_id}.yaml: {answer}")
    of_runs = f"{counted(len(answers), 'case')} of {counted(len(found), 'run')}"
    output.note(f"{of_runs}." if found else "No run gives a case: of none is it known what went wrong first.")


def _chosen(
    store: "Store", ids: Sequence[str] | None, overridden: bool, since: str, workflow: str | None
) -> Iterator[Run]:
    from causeline.console import lookups
    from causeline.console.when import parse_moment

    for text in ids or ():
        yield lookups.run_by_id(store, text)
    if not overridden:
        return
    rows = store.ask(
        "SELECT run_id FROM runs WHERE review_outcome IN ('overridden', 'rejected')"
        " AND started_at >= fromUnixTimestamp64Micro({since:Int64})"
        " AND (workflow = {workflow:String} OR {workflow:String} = '') ORDER BY started_at, run_id",
        {"since": parse_moment(since, now_us=system_clock()), "workflow": workflow or ""},
    )
    wanted = [str(row["run_id"]) for row in rows]
    for start in range(0, len(wanted), _BATCH):
        by_id = lookups.runs_by_id(store, wanted[start : start + _BATCH])
        yield from (by_id[run_id] for run_id in wanted[start : start + _BATCH] if run_id in by_id)


def _diagnosed(store: "Store", runs: Iterable[Run], policy: Path | None) -> Iterator[tuple[Run, "Diagnosis"]]:
    """Each with what `why` says of it."""
    from causeline.console.neighbours import Neighbours
    from causeline.console.policies import judging_policy
    from causeline.diagnosis import diagnose
    from causeline.drift.alerts import alerts_for_diagnosis

    neighbours, named = Neighbours(store), named_policy(policy)
    policy_of = cache(lambda policy_hash: named or judging_policy(store, policy_hash) or DEFAULT_POLICY)
    alerts_of = cache(partial(alerts_for_diagnosis, store))
    for run in runs:
        judging = policy_of(run.policy_hash)
        yield run, diagnose(run, judging, alerts_of(run.workflow), neighbours.of(run, judging))


def _tell_runs(untold: Sequence[tuple[Run, "EvalCase"]]) -> None:
    from causeline.producers.tracer import Tracer

    with Tracer() as tracer:
        for run, case in untold:
            started = round(run.started_at.timestamp() * 1e6) if run.started_at else None
            tracer.project = run.project
            tracer.record_eval(run.run_id, run.workflow, case.id, run_started_at=started)
        _delivered(tracer.flush(30).events)


def _delivered(left: int) -> None:
    if left:
        from causeline.schemas.errors import Unreachable

        raise Unreachable(f"Kafka has not taken {left} events.", hint="The same command says them again.")


# --- list, show, stale


def list_cases(folder: Folder = _FOLDER, json_output: Json = False) -> None:
    """List the cases of a folder."""
    from causeline.eval.folder import case_files

    files = case_files(folder)
    if json_output:
        output.print_json_lines(
            {
                "file": str(each.file),
                "problem": each.problem,
                **(each.case.model_dump(mode="json") if each.case else {}),
            }
            for each in files
        )
    else:
        output.print_table(
            ["case", "workflow", "where", "field", "runs", "why"],
            [
                (
                    c.id,
                    c.workflow,
                    c.first_cause.boundary.value,
                    c.first_cause.field,
                    len(c.runs),
                    c.first_cause.headline,
                )
                for each in files
                if (c := each.case) is not None
            ],
            right=["runs"],
            optional=["why", "field"],
        )
    _tell_problems([each.problem for each in files if each.problem])


def show(
    case: Annotated[str, typer.Argument(metavar="CASE", help="A case's id, whole or how it begins.")],
    folder: Annotated[Path, typer.Option("--in", metavar="FOLDER", help="Where the cases are.")] = _FOLDER,
    json_output: Json = False,
) -> None:
    """Show a case as its file has it."""
    from causeline.eval.case import as_yaml
    from causeline.eval.folder import case_by_id

    found = case_by_id(folder, case).case
    if found is None:
        return
    if json_output:
        output.print_json(found.model_dump(mode="json"))
    else:
        for line in as_yaml(found).splitlines():
            output.say(line)


def stale(
    folder: Folder = _FOLDER,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Name the cases whose input can no longer be read, or whose schema has changed; ends with 1 where one has."""
    from causeline.eval.folder import case_files
    from causeline.eval.gate import staleness

    files = case_files(folder)
    connections.settle(state_dir=state_dir)
    resolve = _resolver()
    found = [
        (each.case.id, why) for each in files if each.case and (why := staleness(each.case, each.file.parent, resolve))
    ]
    if json_output:
        output.print_json_lines({"case_id": case_id, "stale": why} for case_id, why in found)
    else:
        for case_id, why in found:
            output.say(f"{case_id}: {why}")
    _tell_problems([each.problem for each in files if each.problem])
    if found:
        raise typer.Exit(1)


def _tell_problems(problems: Sequence[str]) -> None:
    for problem in problems:
        output.note(f"error: {problem}")
    if problems:
        raise typer.Exit(2)


# --- gate


def gate(
    *,
    folder: Folder,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="MODULE:FUNCTION", help="Called as function(case, tracer); gives the answer."),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option("--command", metavar="COMMAND", help="Started for each case; gets it as JSON on stdin."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, max=64, help="Cases at a time.")] = 2,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.1, max=3600, help="Seconds a case may take.")] = 60.0,
    retries: Annotated[int, typer.Option("--retries", min=0, max=10, help="More tries for a case that fails.")] = 0,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="FILE", help="A gate's --json of before: what failed there is known."),
    ] = None,
    fail_on_known: Annotated[
        bool, typer.Option("--fail-on-known", help="Fail on what failed in the baseline as well.")
    ] = False,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.")] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write a summary in Markdown.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Publish the runs and their results, so that they can be asked for.")
    ] = False,
    policy: PolicyFile = None,
    kafka: KafkaServers = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Let the application answer each case, and check the trace that the answer leaves.

    No broker is needed. Each case is answered in a process of its own, under a tracer that names the case; then its
    route, schema, evidence, fallback, final state and first cause are checked, and a failure is named by the boundary
    where it stands. Ends with 0 when all passed, 1 when one failed, 2 when one could not be answered or is stale.
    Without --policy the local stack's policy judges, if one is up here, else the default.
    """
    from causeline.eval import report
    from causeline.eval.assembling import assembled
    from causeline.eval.attempt import Target
    from causeline.eval.folder import case_files
    from causeline.eval.gate import Gate, against, exit_code, judged_otherwise, read_baseline

    answering = Target(target, command)
    files = case_files(folder)
    if not files:
        raise UsageError(f"There is no case in {folder}.", hint="causeline eval export makes some.")
    before = read_baseline(baseline) if baseline else {}
    judging = named_policy(policy) or named_policy(connections.local_policy(state_dir)) or DEFAULT_POLICY
    if others := judged_otherwise(files, judging):
        output.note(
            f"{others} of {len(files)} cases come from runs that another policy judged than "
            f"judges here ({judging.content_hash}); name theirs with --policy FILE, or export them anew."
        )
    with output.progress(quiet=json_output) as tell:
        results = Gate(
            target=answering,
            assemble=lambda batches: assembled(batches, judging),
            policy=judging,
            jobs=jobs,
            timeout_s=timeout_s,
            retries=retries,
            resolve=_resolver(),
            tell=tell,
        ).run(files)
    results = against(results, before)
    known_count = fail_on_known or baseline is None
    if junit:
        junit.write_text(report.as_junit(results), "utf-8")
    if markdown:
        markdown.write_text(report.as_markdown(results), "utf-8")
    if record:
        connections.kafka(state_dir, kafka)
        connections.set_topic_prefix(prefix)
        _record(results, prefix)
    if json_output:
        output.print_json(report.as_json(results, fail_on_known=known_count))
    else:
        output.print_table(
            ["case", "result", "where", "s", "why"], list(report.rows(results)), right=["s"], optional=["s"]
        )
        output.say(report.summary(results))
    raise typer.Exit(exit_code(results, fail_on_known=known_count))


def _resolver() -> Callable[[str], bool] | None:
    """What says whether a reference can be read; None where CAUSELINE_ARTIFACTS names no store.

    A reference that is none of that store's is left to the application. Raises Unreachable where the store is.
    """
    from causeline.producers.artifacts import ArtifactStore

    where = os.environ.get(connections.ARTIFACTS)
    if not where:
        return None
    store = ArtifactStore.open(where)

    def resolves(ref: str) -> bool:
        try:
            return store.exists(ref)
        except UsageError:
            return True

    return resolves


def _record(results: "Sequence[Result]", prefix: str) -> None:
    """Publish what each target traced, as it traced it, and then the result as an event of its run."""
    from causeline.kafka.preflight import check_topics
    from causeline.producers.tracer import Tracer
    from causeline.runtime.connections import KafkaConnection
    from causeline.schemas.partition import partition_of
    from causeline.schemas.topics import DECISIONS, EVENTS
    from causeline.streams.amender.publish import KafkaPublisher

    connection = KafkaConnection.from_environment()
    partitions = check_topics(connection, prefix, (EVENTS, DECISIONS))
    publisher = KafkaPublisher(connection, prefix=prefix, delivery_timeout_s=30)
    with Tracer() as tracer:
        for result in results:
            if result.run_id is None:
                continue
            for batch in result.batches:
                publisher.publish(EVENTS, partition_of(result.run_id, partitions), batch)
            tracer.project = result.project or tracer.project
            tracer.record_eval(result.run_id, result.workflow, result.case_id, _OUTCOMES[result.status.value])
        publisher.deliver()
        _delivered(tracer.flush(30).events)
    unseen = sum(result.run_id is None for result in results)
    if unseen:
        output.note(f"{unseen} results left no run of their own, and are not on record.")


# --- the chain


def chain(
    *,
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Of this workflow only.")] = None,
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help="Runs started then or later.")] = "30d",
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Show what became of each case: the runs that failed, what reviewers decided, and how each release answered.

    The same as `causeline sql @eval-chain`.
    """
    from causeline.console.questions import question
    from causeline.console.store import open_store

    asked = question("eval-chain")
    values = asked.values({"workflow": workflow or "", "since": since}, now_us=system_clock())
    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        found = store.ask(asked.sql, values)
    if json_output:
        output.print_json_lines(dict(row) for row in found)
        return
    output.print_table(list(found[0]) if found else ["case"], [list(row.values()) for row in found])
    if not found:
        output.note("No run has a case yet: causeline eval export --overridden makes some.")


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    group = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Eval cases: from a run that went wrong to a gate for the next release.",
    )
    group.command(
        "export",
        epilog=examples(
            "causeline eval export --run RUN", "causeline eval export --overridden --since 7d --to tests/cases"
        ),
    )(export)
    group.command("list", epilog=examples("causeline eval list tests/cases"))(list_cases)
    group.command("show", epilog=examples("causeline eval show CASE --in tests/cases"))(show)
    group.command("stale", epilog=examples("causeline eval stale tests/cases"))(stale)
    group.command(
        "gate",
        epilog=examples(
            "causeline eval gate tests/cases --target app.evals:answer",
            "causeline eval gate tests/cases --command 'python -m app' --jobs 4 --junit results.xml",
            "causeline eval gate tests/cases --target app.evals:answer --json > baseline.json",
            "causeline eval gate tests/cases --target app.evals:answer --baseline baseline.json",
        ),
    )(gate)
    group.command("chain", epilog=examples("causeline eval chain --workflow invoice"))(chain)
    app.add_typer(group, name="eval")

"""`drift` and `watch`: what moved, since when and with which anchor; and the job that finds it."""

import os
import threading
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, KafkaServers, Log, LogLevel, StateDir, TopicPrefix, examples
from causeline.cli.services import start_logging
from causeline.cli.why import PolicyFile, named_policy
from causeline.runtime.clock import system_clock
from causeline.runtime.signals import stopped_by_signals
from causeline.schemas.errors import UsageError
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.topics import DEFAULT_PREFIX

if TYPE_CHECKING:
    from causeline.console.store import Store
    from causeline.console.stored_causes import WeighedCause
    from causeline.drift.alerts import Alert

_CAUSES_SHOWN = 3
_BARS = "▁▂▃▄▅▆▇█"
Reason = Annotated[str, typer.Option("--reason", help="Why; it is shown with the alert.")]
AlertId = Annotated[str, typer.Argument(metavar="ALERT", help="An alert's id, whole or how it begins.")]


def drift(
    ctx: typer.Context,
    *,
    workflow: Annotated[str, typer.Option("--workflow", "-w", help="Of this workflow only.")] = "",
    ended: Annotated[bool, typer.Option("--all", help="Alerts that are over, too.")] = False,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Say what moved in the behaviour of workflows, since when, and with which version anchor.

    `causeline watch` finds it: each window of final runs is held against the windows before it, and against a pinned
    release. Where the runs are too few to tell, that is said, with how many it takes.
    """
    if ctx.invoked_subcommand is not None:
        return
    from causeline.console.store import open_store
    from causeline.drift.alerts import alerts, course
    from causeline.drift.overview import watched

    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        found = alerts(store, workflow=workflow, ended=ended)
        courses = [course(store, each) for each in found]
        overview = watched(store, workflow)
    if json_output:
        output.print_json(
            {
                "alerts": [{**_document(each), "course": shares} for each, shares in zip(found, courses, strict=True)],
                "watched": [asdict(each) for each in overview],
            }
        )
        return
    if found:
        output.print_table(
            ["alert", "workflow", "dimension", "since (UTC)", "moved", "with", "course", "window", "state"],
            [
                [
                    each.alert_id,
                    each.workflow,
                    each.dimension,
                    f"{each.since:%Y-%m-%d %H:%M}",
                    f"{each.moved.value} {each.moved.before_share:.1%} → {each.moved.after_share:.1%}",
                    f"{each.cause.anchor} {each.cause.value}" if each.cause else "no anchor",
                    sparkline(shares),
                    each.length,
                    each.state,
                ]
                for each, shares in zip(found, courses, strict=True)
            ],
            optional=["state", "window", "course"],
            short={"alert": 8},
        )
    elif overview:
        output.say("Nothing drifts.")
    for each in overview:
        output.say(each.sentence)
    if not overview:
        output.note("No window has been judged yet: `causeline watch --once` does it.")
    if found:
        output.say(f"Next: causeline drift show {found[0].alert_id}")


def show(
    *,
    alert: AlertId,
    policy: PolicyFile = None,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Show one alert: what moved in the window that opened it, with which anchor, runs of both sides, their causes."""
    from causeline.console.store import open_store
    from causeline.drift.alerts import alert_by_id, course
    from causeline.drift.alerts import examples as runs_of_both_sides

    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        found = alert_by_id(store, alert)
        shares = course(store, found)
        before, after = runs_of_both_sides(store, found, named_policy(policy) or DEFAULT_POLICY)
        behind = _causes_since(store, found)
    if json_output:
        output.print_json(
            {
                **_document(found),
                "course": shares,
                "runs_before": before,
                "runs_after": after,
                "causes": [each.as_json() for each in behind],
            }
        )
        return
    output.say(found.headline)
    output.say(
        f"Alert {found.alert_id}, {found.state}{f' ({found.reason})' if found.reason else ''}. Windows of"
        f" {found.length} against {found.baseline} runs: total variation {found.effect:.1%},"
        f" p {found.p_adjusted:.2g} corrected for all that was tested.  {sparkline(shares)}"
    )
    if found.pooled:
        output.say(f"{found.pooled} values are too rare to be judged by themselves: they are (rare), together.")
    output.say()
    output.print_table(
        ["value", "runs before", "share", "runs after", "share now", "moved"],
        [
            [
                each.value,
                each.before,
                f"{each.before_share:.1%}",
                each.after,
                f"{each.after_share:.1%}",
                f"{each.after_share - each.before_share:+.1%}",
            ]
            for each in found.shares
        ],
        right=["runs before", "share", "runs after", "share now", "moved"],
    )
    output.say()
    output.print_table(
        ["anchor", "came with its mix", "same value, otherwise", "its value", "of the runs before", "now"],
        [
            [
                each.anchor,
                f"{each.between:.0%}",
                f"{1 - each.between:.0%}",
                each.value,
                f"{each.before:.1%}",
                f"{each.after:.1%}",
            ]
            for each in found.anchors
        ],
        right=["came with its mix", "same value, otherwise", "of the runs before", "now"],
    )
    output.say()
    output.say(f"Runs before, {found.shrunk.value}: {', '.join(before) or 'none is stored any more'}")
    output.say(f"Runs after, {found.grown.value}: {', '.join(after) or 'none is stored any more'}")
    if behind:
        output.say()
        output.say("What went wrong since then:")
    for each in behind:
        output.say(f"  {each.runs:,d} of {each.of:,d} runs: {each.sentence}")
        output.say(f"    e.g. causeline why {each.examples[0]}")
    output.say(f"Do: {found.advice}")


def _causes_since(store: "Store", alert: "Alert") -> "Sequence[WeighedCause]":
    """What the runs of its windows suffer from, the commonest first."""
    from causeline.console.stored_causes import weighed
    from causeline.drift.windows import Length

    until = alert.last_window + Length(alert.length).delta
    since_us, until_us = (round(each.timestamp() * 1e6) for each in (alert.since, until))
    found = weighed(store, since_us=since_us, until_us=until_us, workflows=(alert.workflow,))
    return sorted(found.causes, key=lambda cause: -cause.runs)[:_CAUSES_SHOWN]


def numbers(
    *,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="The workflow.")],
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="Runs started then or later: 15m, 2h, 7d, or ISO 8601 (UTC).")
    ] = "24h",
    window: Annotated[str, typer.Option("--window", help="How long a window lasts: 5m, 1h or 1d.")] = "1h",
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Show a workflow's numbers by window: quantiles of confidence and provenance, time and cost by kind of step."""
    from causeline.console.store import open_store
    from causeline.console.when import parse_moment
    from causeline.console.words import dollars, duration
    from causeline.drift.numbers import numbers as by_window
    from causeline.drift.windows import Length

    if window not in set(Length):
        raise UsageError(f"There is no window of {window!r}.", hint=f"Windows: {', '.join(Length)}.")
    start = datetime.fromtimestamp(parse_moment(since, now_us=system_clock()) / 1e6, UTC)
    with open_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        found = by_window(store, workflow, start, Length(window))
    if json_output:
        output.print_json_lines(asdict(each) for each in found)
        return
    columns = ["window (UTC)", "runs", "confidence 5·50·95 %", "provenance 5·50·95 %", "step", "steps", "median"]
    output.print_table(
        [*columns, "95 %", "cost"],
        [
            [
                f"{each.start:%Y-%m-%d %H:%M}",
                each.runs,
                *(
                    " · ".join(f"{value:.2f}" for value in quantiles) if quantiles else None
                    for quantiles in (each.confidence, each.provenance)
                ),
                step.kind,
                step.steps,
                duration(None if step.median_us is None else round(step.median_us)),
                duration(None if step.p95_us is None else round(step.p95_us)),
                dollars(step.cost_usd),
            ]
            for each in found
            for step in each.steps
        ],
        right=["runs", "steps", "median", "95 %", "cost"],
    )
    if not found:
        output.note(f"No run of {workflow} started since then.")


def pin(
    *,
    release: Annotated[str, typer.Argument(metavar="RELEASE", help="The label `release` of its runs.")],
    workflow: Annotated[str, typer.Option("--workflow", "-w", help="The workflow that it is the reference of.")],
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Hold a workflow's windows against the runs of a release, beside those before them, from the next pass on."""
    from causeline.drift.judgements import pin_of
    from causeline.drift.marks import put_pin
    from causeline.drift.store import open_drift_store

    with open_drift_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        pinned = pin_of(store, workflow, release)
        put_pin(store, pinned)
    if json_output:
        output.print_json({"workflow": workflow, "release": release, "from": pinned.span.start, "to": pinned.span.end})
    else:
        output.say(
            f"{workflow} is held against release {release}: its runs from {pinned.span.start:%Y-%m-%d %H:%M}"
            f" to {pinned.span.end:%Y-%m-%d %H:%M} UTC."
        )


def acknowledge(
    *,
    alert: AlertId,
    reason: Reason,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Take the new level for what is normal from now on: the alert ends, and baselines begin where it came in."""
    _mark(alert, "acknowledged", reason, clickhouse_url, state_dir, json_output=json_output)


def mute(
    *,
    alert: AlertId,
    reason: Reason,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Tell nobody about an alert any more until it closes; it stays in the list."""
    _mark(alert, "muted", reason, clickhouse_url, state_dir, json_output=json_output)


def _mark(
    alert: str,
    mark: str,
    reason: str,
    clickhouse_url: ClickHouseUrl,
    state_dir: StateDir,
    *,
    json_output: bool,
) -> None:
    from causeline.drift.alerts import alert_by_id
    from causeline.drift.lifecycle import Mark
    from causeline.drift.marks import put_mark
    from causeline.drift.store import open_drift_store

    if not reason.strip():
        raise UsageError("--reason says nothing.", hint="Say why, e.g. --reason 'new scanner, reviewed'.")
    with open_drift_store(connections.clickhouse(state_dir, clickhouse_url)) as store:
        found = alert_by_id(store, alert)
        put_mark(store, found, Mark(mark), reason)
    if json_output:
        output.print_json({"alert_id": found.alert_id, "state": mark, "reason": reason})
    else:
        output.say(f"Alert {found.alert_id} is {mark}: {reason}")


def watch(
    *,
    once: Annotated[bool, typer.Option("--once", help="One pass, then end.")] = False,
    policy: PolicyFile = None,
    clickhouse_url: ClickHouseUrl = None,
    kafka: KafkaServers = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    log_level: Log = LogLevel.INFO,
    json_output: Json = False,
) -> None:
    """Count final runs by window, judge the windows that are over, and open and close drift alerts.

    What is to be done follows from what is stored, so it may be stopped and started at any time. One is enough; a
    second does the same work again, and no harm. Alerts go to the topic of alerts where a Kafka is named, and from
    there to ClickHouse. Further settings are CAUSELINE_DRIFT_… variables.
    """
    from causeline.drift.job import Watch, follow
    from causeline.drift.publish import KafkaPublisher
    from causeline.drift.settings import DriftSettings
    from causeline.drift.store import open_drift_store

    connection = connections.clickhouse(state_dir, clickhouse_url)
    connections.settle(state_dir=state_dir, kafka_servers=kafka)
    connections.set_topic_prefix(prefix)
    settings = DriftSettings.from_environment()
    publisher = None
    if os.environ.get(connections.KAFKA):
        publisher = KafkaPublisher(connections.kafka(state_dir, kafka), prefix=prefix)
    watching = Watch(settings, named_policy(policy) or DEFAULT_POLICY, publisher=publisher)
    stop = threading.Event()
    if not once:
        start_logging(log_level)
        with stopped_by_signals(stop.set):
            follow(connection, watching, settings.every_s, stop)
        return
    with open_drift_store(connection) as store:
        done = watching.once(store, stop)
    if publisher is None:
        output.note("No Kafka is named: alerts are found and shown, and nobody is told of them.")
    if json_output:
        output.print_json(asdict(done))
    elif done.until is None:
        output.say("There are no runs yet.")
    else:
        output.say(
            f"Windows are over up to {done.until:%Y-%m-%d %H:%M} UTC: counted {done.counted} of five minutes,"
            f" judged {done.judged}."
        )


def sparkline(shares: "tuple[float, ...]") -> str:
    """The course of a share as bars, from its lowest to its highest."""
    if not shares:
        return ""
    low, high = min(shares), max(shares)
    width = (high - low) or 1.0
    return "".join(_BARS[min(len(_BARS) - 1, int((share - low) / width * len(_BARS)))] for share in shares)


def _document(alert: "Alert") -> dict[str, object]:
    return {**asdict(alert), "headline": alert.headline, "advice": alert.advice}


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    group = typer.Typer(rich_markup_mode=None, invoke_without_command=True)
    group.callback(epilog=examples("causeline drift", "causeline drift --workflow invoice --all --json"))(drift)
    group.command("show", epilog=examples("causeline drift show ALERT", "causeline drift show ALERT --json"))(show)
    group.command("numbers", epilog=examples("causeline drift numbers invoice --since 7d --window 1d"))(numbers)
    group.command("pin", epilog=examples("causeline drift pin 2026.11 --workflow invoice"))(pin)
    group.command("ack", epilog=examples("causeline drift ack ALERT --reason 'new scanner, reviewed'"))(acknowledge)
    group.command("mute", epilog=examples("causeline drift mute ALERT --reason 'provider is on it'"))(mute)
    app.add_typer(group, name="drift")
    app.command(
        epilog=examples(
            "causeline watch", "causeline watch --once", "CAUSELINE_DRIFT_LENGTHS='[\"5m\"]' causeline watch"
        )
    )(watch)

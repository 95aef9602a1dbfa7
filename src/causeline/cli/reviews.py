"""`reviews`: the queue of what people were asked to look at, and their decisions."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, KafkaServers, StateDir, TopicPrefix, examples
from causeline.schemas.errors import CauselineError, CheckFailed, NotFound, Unreachable
from causeline.schemas.topics import DEFAULT_PREFIX
from causeline.schemas.vocabulary import ReviewOutcome

if TYPE_CHECKING:
    from causeline.console.reviews.decision import Decision
    from causeline.console.reviews.queue import Item
    from causeline.console.reviews.store import ClickHouseLeases
    from causeline.console.store import Store
    from causeline.schemas.run import Run

_VISIBLE_POLL_S = 0.1
_LEASE_S = 1800.0


class State(StrEnum):
    """Which items are meant."""

    OPEN = "open"
    RESOLVED = "resolved"
    ALL = "all"


Workflow: TypeAlias = Annotated[str | None, typer.Option("--workflow", help="Items of this workflow only.")]
Reviewer: TypeAlias = Annotated[
    str, typer.Option("--reviewer", metavar="REF", help="Reference to the reviewer, e.g. reviewer:17; never a name.")
]


def list_items(
    *,
    state: Annotated[State, typer.Option("--state", help="open, resolved or all.")] = State.OPEN,
    workflow: Workflow = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Items that this review rule asks for.")] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Items of this run; its whole id.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Open items past their due time.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 50,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """List review items, the most urgent first: by priority, then by due time, then by age.

    An item is open until a review answers it. An escalated one stays open, for another reviewer, as urgent as can be.
    """
    from causeline.console.reviews.queue import Wanted, items, stats  # noqa: PLC0415 - the console extra

    wanted = Wanted(None if state is State.ALL else state.value, workflow, reason, run, overdue)
    with _store(clickhouse_url, state_dir) as store:
        found = items(store, wanted, limit=limit)
        if json_output:
            for item in found:
                output.print_json(asdict(item))
            return
        if not found:
            output.note("No review item matches.")
            return
        _print_items(found)
        whole = stats(store, Wanted(None, workflow))
    output.note(
        f"{whole['open']} open of {whole['items']}: {whole['leased']} leased, {whole['overdue']} overdue,"
        f" {whole['escalated']} escalated; the oldest for {_age(whole['open_age_max_s'])}."
    )


def next_item(
    *,
    reviewer: Reviewer,
    workflow: Workflow = None,
    lease_s: Annotated[
        float, typer.Option("--lease-s", min=1, max=86_400, help="Seconds for which nobody else gets it.")
    ] = _LEASE_S,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Take the most urgent open item, and lease it: no other reviewer gets it until the lease is over.

    Who holds a lease gets the same item again. Ends with 1 when nothing is free.
    """
    from causeline.console.reviews.leases import lease_next  # noqa: PLC0415 - the console extra
    from causeline.console.reviews.queue import Wanted  # noqa: PLC0415

    with _store(clickhouse_url, state_dir) as store:
        item = lease_next(store, reviewer, Wanted(workflow=workflow), lease_s=lease_s)
    if item is None:
        raise NotFound("No review item is free.", hint="causeline reviews list shows which are leased, and until when.")
    if json_output:
        output.print_json(asdict(item))
        return
    _print_item(item)
    output.say(f"Next: causeline why {item.run_id}")
    output.say(f"      causeline reviews resolve {item.item_id} --outcome approved --reviewer {reviewer}")


def resolve(
    *,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="A review item's id, whole or how it begins.")],
    outcome: Annotated[ReviewOutcome, typer.Option("--outcome", help="What the reviewer decided.")],
    reviewer: Reviewer,
    override_ref: Annotated[
        str | None, typer.Option("--override-ref", metavar="REF", help="Reference to the corrected value.")
    ] = None,
    note_ref: Annotated[
        str | None, typer.Option("--note-ref", metavar="REF", help="Reference to the reviewer's note.")
    ] = None,
    field: Annotated[
        str | None, typer.Option("--field", metavar="PATH", help="The field it is about; else the item's.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the decision is visible.")] = True,
    patience_s: Annotated[
        float, typer.Option("--patience-s", min=1, help="Seconds after which waiting is given up.")
    ] = 60,
    kafka: KafkaServers = None,
    clickhouse_url: ClickHouseUrl = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Record what a reviewer decided about an item: a review event of its run, by the same door as every event.

    The item is leased for it, so of two reviewers one is refused. The run's record takes the review in as its next
    revision. An override needs the reference of what stands instead; no content travels.
    """
    from causeline.console.reviews.decision import decided  # noqa: PLC0415 - the console extra
    from causeline.console.reviews.leases import hold, release  # noqa: PLC0415
    from causeline.console.reviews.queue import item_by_id  # noqa: PLC0415

    connections.kafka(state_dir, kafka)
    connections.set_topic_prefix(prefix)
    with _store(clickhouse_url, state_dir) as store:
        found = item_by_id(store, item)
        decision = decided(
            found,
            _run_of(store, found.run_id),
            outcome=outcome,
            reviewer_ref=reviewer,
            field=field,
            override_ref=override_ref,
            note_ref=note_ref,
        )
        held = hold(store, found, reviewer, lease_s=_LEASE_S)
        try:
            _publish(held, decision)
        except CauselineError:
            release(store, held, reviewer)
            raise
        answered = _wait(store, held, patience_s) if wait else held
        if outcome is ReviewOutcome.ESCALATED:
            release(store, answered, reviewer)
    if json_output:
        output.print_json(asdict(answered))
    elif not wait:
        output.say(f"Recorded: {outcome} for item {held.item_id} of run {held.run_id}.")
    else:
        output.say(f"Item {answered.item_id} of run {answered.run_id} is {answered.state}: {answered.outcome}.")


def stats(
    *,
    workflow: Workflow = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Items that this review rule asks for.")] = None,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Count review items: open, leased, overdue, by outcome, as shares, and how old they get."""
    from causeline.console.reviews.queue import Wanted  # noqa: PLC0415 - the console extra
    from causeline.console.reviews.queue import stats as count  # noqa: PLC0415

    with _store(clickhouse_url, state_dir) as store:
        counted = dict(count(store, Wanted(None, workflow, reason)))
    if json_output:
        output.print_json(counted)
    else:
        output.print_table(["what", "value"], list(counted.items()), right=["value"])


@contextmanager
def _store(clickhouse_url: str | None, state_dir: Path | None) -> "Iterator[ClickHouseLeases]":
    from causeline.console.reviews.store import open_leases  # noqa: PLC0415 - the console extra

    with open_leases(connections.clickhouse(state_dir, clickhouse_url)) as store:
        yield store


def _run_of(store: "Store", run_id: str) -> "Run | None":
    from causeline.console.lookups import runs_by_id  # noqa: PLC0415 - the console extra

    return runs_by_id(store, [run_id]).get(run_id)


def _publish(item: "Item", decision: "Decision") -> None:
    from causeline.producers.tracer import Tracer  # noqa: PLC0415 - slow to load

    with Tracer(item.project, enabled=True) as tracer:
        taken = tracer.record_review(
            item.run_id,
            item.workflow,
            decision.outcome,
            run_started_at=round(item.run_started_at.timestamp() * 1e6),
            field=decision.field,
            reviewer_ref=decision.reviewer_ref,
            override_ref=decision.override_ref,
            note_ref=decision.note_ref,
        )
        if not taken:
            reasons = tracer.stats().last_invalid
            raise CheckFailed(f"The review was not recorded: {reasons[-1] if reasons else 'it was refused'}")
        if left := tracer.flush(30):
            raise Unreachable(f"Kafka has not taken the review: {left.events} event is left.", hint="Try again.")


def _wait(store: "Store", item: "Item", patience_s: float) -> "Item":
    from causeline.console.reviews.queue import item_by_id  # noqa: PLC0415 - the console extra

    deadline = time.monotonic() + patience_s
    while True:
        now = item_by_id(store, item.item_id)
        if now.review_event_id != item.review_event_id:
            return now
        if time.monotonic() >= deadline:
            raise CheckFailed(
                f"The review is published, and not visible after {patience_s:g} s.",
                hint="`causeline status` shows whether loaders lag; do not resolve the item again.",
            )
        time.sleep(_VISIBLE_POLL_S)


def _age(seconds: object) -> str:
    from causeline.console.words import duration  # noqa: PLC0415 - the console extra

    return duration(round(float(seconds) * 1e6)) if isinstance(seconds, int | float) else "no time"


def _print_items(found: "list[Item]") -> None:
    output.print_table(
        [
            "item",
            "urgency",
            "age",
            "due",
            "reason",
            "field",
            "workflow",
            "run",
            "state",
            "leased by",
            "until",
            "question",
        ],
        [
            (
                item.item_id,
                item.urgency,
                _age(item.age_s),
                f"{item.due_at:%Y-%m-%d %H:%M}{' overdue' if item.is_overdue else ''}" if item.due_at else None,
                item.reason,
                item.field_path,
                item.workflow,
                item.run_id,
                item.outcome if item.outcome == ReviewOutcome.ESCALATED else item.state,
                item.leased_by,
                f"{item.leased_until:%H:%M:%S}" if item.leased_until else None,
                item.question,
            )
            for item in found
        ],
        right=["urgency"],
        optional=["leased by", "until", "question", "workflow"],
    )


def _print_item(item: "Item") -> None:
    lines = [
        ("item", item.item_id),
        ("question", item.question or item.reason),
        ("reason", item.reason),
        ("field", item.field_path or "the whole run"),
        ("run", f"{item.run_id} ({item.workflow})"),
        ("priority", f"{item.priority}{', escalated' if item.outcome == ReviewOutcome.ESCALATED else ''}"),
        ("due", f"{item.due_at:%Y-%m-%d %H:%M} UTC{', overdue' if item.is_overdue else ''}" if item.due_at else "-"),
        ("yours until", f"{item.leased_until:%Y-%m-%d %H:%M:%S} UTC" if item.leased_until else "-"),
        *(("link", link) for link in item.links),
    ]
    for name, text in lines:
        output.say(f"{name + ':':13}{text}")


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="The review queue: what people were asked, and decided."
    )
    group.command(
        "list",
        epilog=examples("causeline reviews list", "causeline reviews list --overdue --workflow invoice --json"),
    )(list_items)
    group.command("next", epilog=examples("causeline reviews next --reviewer reviewer:17 --lease-s 900"))(next_item)
    group.command(
        "resolve",
        epilog=examples(
            "causeline reviews resolve ITEM --outcome approved --reviewer reviewer:17",
            "causeline reviews resolve ITEM --outcome overridden --override-ref REF --reviewer reviewer:17",
        ),
    )(resolve)
    group.command("stats", epilog=examples("causeline reviews stats", "causeline reviews stats --json"))(stats)
    app.add_typer(group, name="reviews")

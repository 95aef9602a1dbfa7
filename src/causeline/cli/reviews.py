"""`reviews`: the queue of what people were asked to look at, and their decisions."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from causeline.cli import connections, output
from causeline.cli.artifact import artifact_store
from causeline.cli.options import ClickHouseUrl, Json, KafkaServers, StateDir, TopicPrefix, examples
from causeline.schemas.errors import CauselineError, NotFound, UsageError
from causeline.schemas.topics import DEFAULT_PREFIX
from causeline.schemas.vocabulary import ReviewOutcome

if TYPE_CHECKING:
    from causeline.console.store import Store
    from causeline.reviews.queue import Item
    from causeline.reviews.store import ClickHouseLeases
    from causeline.schemas.run import Run

_LEASE_S = 1800.0
_EXCERPT = 600


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

    Resolved ones come by when they were decided, the newest first.

    An item is open until a review answers it. An escalated one stays open, for another reviewer, as urgent as can be.
    """
    from causeline.reviews.queue import Wanted, items, stats

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
        f"{whole['open']} open of {whole['items']}: {whole['leased']} leased, {whole['overdue']} overdue (!),"
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
    from causeline.reviews.leases import lease_next
    from causeline.reviews.queue import Wanted

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


def show(
    *,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="A review item's id, whole or how it begins.")],
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Show an item: what is asked and why, and what each of its links is to the run, with the text it points to."""
    from causeline.reviews.links import roles_of
    from causeline.reviews.queue import item_by_id

    with _store(clickhouse_url, state_dir) as store:
        found = item_by_id(store, item)
        run = _run_of(store, found.run_id)
    shown = [
        {"ref": ref, "roles": roles_of(run, ref) if run else [], "excerpt": _excerpt(state_dir, ref)}
        for ref in found.links
    ]
    if json_output:
        output.print_json({**asdict(found), "links": shown})
        return
    _print_item(found, links=False)
    for each in shown:
        output.say("")
        output.say(f"{each['ref']}")
        output.say(f"  is: {', '.join(each['roles']) or 'no part of the record'}")
        for line in str(each["excerpt"]).split("\n"):
            output.say(f"  | {line}")


def resolve(
    *,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="A review item's id, whole or how it begins.")],
    outcome: Annotated[ReviewOutcome, typer.Option("--outcome", help="What the reviewer decided.")],
    reviewer: Reviewer,
    override_ref: Annotated[
        str | None, typer.Option("--override-ref", metavar="REF", help="Reference to the corrected value.")
    ] = None,
    override_text: Annotated[
        str | None,
        typer.Option("--override-text", metavar="TEXT", help="The corrected value itself: stored, then referenced."),
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
    revision. An override needs what stands instead: a reference, or a text that goes to the artifact store; no content
    travels.
    """
    from causeline.reviews.decision import decided
    from causeline.reviews.queue import item_by_id
    from causeline.reviews.record import record

    if override_text is not None and override_ref is not None:
        raise UsageError("A correction is a text or a reference, not both.", hint="Leave out --override-ref.")
    if override_text is not None and not override_text.strip():
        raise UsageError("The corrected value is empty.", hint="Give it by --override-text TEXT.")
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
            override_ref=artifact_store(state_dir).put(override_text.encode()) if override_text else override_ref,
            note_ref=note_ref,
        )
        answered = record(store, found, decision, patience_s=patience_s if wait else None)
    if json_output:
        output.print_json(asdict(answered))
    elif not wait:
        output.say(f"Recorded: {outcome} for item {answered.item_id} of run {answered.run_id}.")
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
    from causeline.reviews.queue import Wanted
    from causeline.reviews.queue import stats as count

    with _store(clickhouse_url, state_dir) as store:
        counted = dict(count(store, Wanted(None, workflow, reason)))
    if json_output:
        output.print_json(counted)
    else:
        output.print_table(["what", "value"], list(counted.items()), right=["value"])


@contextmanager
def _store(clickhouse_url: str | None, state_dir: Path | None) -> "Iterator[ClickHouseLeases]":
    from causeline.reviews.store import open_leases

    with open_leases(connections.clickhouse(state_dir, clickhouse_url)) as store:
        yield store


def _run_of(store: "Store", run_id: str) -> "Run | None":
    from causeline.console.lookups import runs_by_id

    return runs_by_id(store, [run_id]).get(run_id)


def _excerpt(state_dir: Path | None, ref: str) -> str:
    """The text that a reference points to, in bounds; a sentence where there is none to show."""
    from causeline.web.views.artifact import is_text, place_in

    base, _, fragment = ref.partition("#")
    try:
        data = artifact_store(state_dir).get(base)
    except CauselineError as error:
        return error.message
    if not is_text(data):
        return f"{len(data):,d} bytes that are no text"
    text = data.decode("utf-8", "replace")
    begin, end, _ = place_in(text, fragment)
    piece = text[begin:end]
    return piece if len(piece) <= _EXCERPT else f"{piece[:_EXCERPT]}…"


def _age(seconds: object) -> str:
    from causeline.console.words import duration

    return duration(round(float(seconds) * 1e6)) if isinstance(seconds, int | float) else "no time"


def _print_items(found: "list[Item]") -> None:
    output.print_table(
        [
            "item",
            "urgency",
            "due",
            "reason",
            "question",
            "run",
            "state",
            "field",
            "workflow",
            "age",
            "leased by",
            "until",
        ],
        [
            (
                item.item_id,
                item.urgency,
                f"{item.due_at:%m-%d %H:%M}{' !' if item.is_overdue else ''}" if item.due_at else None,
                item.reason,
                item.question,
                item.run_id,
                item.outcome if item.outcome == ReviewOutcome.ESCALATED else item.state,
                item.field_path,
                item.workflow,
                _age(item.age_s),
                item.leased_by,
                f"{item.leased_until:%H:%M:%S}" if item.leased_until else None,
            )
            for item in found
        ],
        right=["urgency"],
        optional=["run", "state", "field", "workflow", "age", "leased by", "until"],
        short={"item": 8, "run": output.RUN_DIGITS},
    )


def _print_item(item: "Item", *, links: bool = True) -> None:
    lines = [
        ("item", item.item_id),
        ("question", item.question or item.reason),
        ("reason", item.reason),
        ("field", item.field_path or "the whole run"),
        ("run", f"{item.run_id} ({item.workflow})"),
        ("priority", f"{item.priority}{', escalated' if item.outcome == ReviewOutcome.ESCALATED else ''}"),
        ("due", f"{item.due_at:%Y-%m-%d %H:%M} UTC{', overdue' if item.is_overdue else ''}" if item.due_at else "-"),
        ("yours until", f"{item.leased_until:%Y-%m-%d %H:%M:%S} UTC" if item.leased_until else "-"),
        *(("link", link) for link in item.links if links),
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
    group.command("show", epilog=examples("causeline reviews show ITEM", "causeline reviews show ITEM --json"))(show)
    group.command(
        "resolve",
        epilog=examples(
            "causeline reviews resolve ITEM --outcome approved --reviewer reviewer:17",
            "causeline reviews resolve ITEM --outcome overridden --override-text '300 EUR' --reviewer reviewer:17",
        ),
    )(resolve)
    group.command("stats", epilog=examples("causeline reviews stats", "causeline reviews stats --json"))(stats)
    app.add_typer(group, name="reviews")

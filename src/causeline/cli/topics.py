"""`topics`: make the broker's topics what the catalogue says, and show where they differ."""

from typing import Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import Json, KafkaServers, StateDir, TopicPrefix, examples
from causeline.kafka.admin import admin_client
from causeline.ops.topics import Action, Difference, apply, differences, read
from causeline.schemas.errors import CheckFailed
from causeline.schemas.topics import DEFAULT_PREFIX

topics = typer.Typer(
    help="Kafka's topics: create them, compare them with the catalogue.", no_args_is_help=True, rich_markup_mode=None
)

Partitions = Annotated[
    int | None,
    typer.Option(
        "--partitions",
        envvar="CAUSELINE_PARTITIONS",
        min=1,
        show_default="4, or what the events topic has",
        help="Partitions of the events topic and those like it.",
    ),
]


@topics.command("apply", epilog=examples("causeline topics apply", "causeline topics apply --partitions 16"))
def apply_command(
    *,
    kafka: KafkaServers = None,
    partitions: Partitions = None,
    replication: Annotated[
        int,
        typer.Option(
            envvar="CAUSELINE_REPLICATION", min=-1, help="Copies of each new topic; -1 is the broker's default."
        ),
    ] = -1,
    accept_partitions: Annotated[
        bool, typer.Option("--accept-partitions", help="Take --partitions for new topics only, whatever events has.")
    ] = False,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Create missing topics and mend settings that differ. Repeating it changes nothing.

    The partition count of the events topic is never changed, because runs would change their partition: a difference
    is told, and the command ends with 1. Where the events topic was given more, those like it get as many.
    """
    done = apply(
        connections.kafka(state_dir, kafka),
        prefix=prefix,
        partitions=partitions,
        replication=replication,
        accept=accept_partitions,
    )
    if json_output:
        output.print_json_lines(_document(each) for each in done)
    else:
        for each in done:
            output.say(f"{each.name}: {_done(each)}")
    if any(Action.REPARTITION in each.actions for each in done):
        raise CheckFailed(
            "Some topics do not have the partitions asked for, and were left as they are.",
            hint="Choose --partitions as the events topic has them, or another --prefix.",
        )


@topics.command("list", epilog=examples("causeline topics list", "causeline topics list --json | jq .name"))
def list_command(
    kafka: KafkaServers = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """List the catalogue's topics, what each holds, and how the broker's differ."""
    admin = admin_client(connections.kafka(state_dir, kafka))
    found = differences(read(admin, prefix), prefix=prefix, partitions=None)
    if json_output:
        output.print_json_lines(_document(each) for each in found)
        return
    output.print_table(
        ["topic", "partitions", "schema", "cleanup", "state", "holds"],
        [
            (
                each.name,
                each.found.partitions if each.found else None,
                each.topic.subject,
                each.topic.cleanup.value,
                _state(each),
                each.topic.description,
            )
            for each in found
        ],
        right=["partitions"],
    )


def _document(each: Difference) -> dict[str, object]:
    return {
        "name": each.name,
        "subject": each.topic.subject,
        "description": each.topic.description,
        "partitions": each.found.partitions if each.found else None,
        "wanted_partitions": each.wanted_partitions,
        "needs": [action.value for action in each.actions if action is not Action.NONE],
        "settings": {name: {"broker": theirs, "catalogue": ours} for name, (theirs, ours) in each.config.items()},
    }


def _done(each: Difference) -> str:
    if Action.CREATE in each.actions:
        return f"created, {each.wanted_partitions} partitions"
    changes = []
    if Action.CONFIGURE in each.actions:
        changes.append("set " + ", ".join(f"{name}={ours}" for name, (_, ours) in each.config.items()))
    if Action.EXTEND in each.actions and each.found:
        changes.append(f"given {each.wanted_partitions} partitions, it had {each.found.partitions}")
    if Action.REPARTITION in each.actions and each.found:
        changes.append(f"has {each.found.partitions} partitions, not {each.wanted_partitions}")
    return "; ".join(changes) or "as it should be"


def _state(each: Difference) -> str:
    if each.found is None:
        return "missing"
    faults = [f"{name} is {theirs}, not {ours}" for name, (theirs, ours) in each.config.items()]
    if {Action.REPARTITION, Action.EXTEND} & set(each.actions):
        faults.append(f"has {each.found.partitions} partitions, not {each.wanted_partitions}")
    return "; ".join(faults) or "ok"


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.add_typer(topics, name="topics")

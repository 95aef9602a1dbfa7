"""`topics`: make the broker's topics what the catalogue says, and show where they differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from causeline.cli import connections, output
from causeline.cli.options import Json, KafkaServers, StateDir, TopicPrefix, examples
from causeline.schemas.connections import KafkaConnection
from causeline.schemas.errors import CauselineError, CheckFailed, EnvironmentFault, Unreachable, UsageError
from causeline.schemas.kafka_faults import Complaints
from causeline.schemas.topics import DEFAULT_PARTITIONS, DEFAULT_PREFIX, TOPICS, Topic

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_TIMEOUT_S = 15.0
LOOK_UP_TIMEOUT_S = 5.0
"""How long the first answer of a broker may take."""

# --- what to do, decided without a broker


class Action(StrEnum):
    """What the broker needs so that a topic is as the catalogue has it."""

    NONE = "none"  # it is
    CREATE = "create"  # it does not exist
    CONFIGURE = "configure"  # some settings differ
    REPARTITION = "repartition"  # fewer or more partitions than asked for: told, never done


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as the broker has it."""

    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One topic of the catalogue against the broker: what is wanted, what is there, what follows."""

    topic: Topic
    name: str
    wanted_partitions: int
    found: Found | None
    config: Mapping[str, tuple[str | None, str]]
    """Settings that differ: name → (the broker's, ours)."""

    @property
    def actions(self) -> tuple[Action, ...]:
        """What the broker needs; (NONE,) when nothing."""
        if self.found is None:
            return (Action.CREATE,)
        needed = []
        if self.config:
            needed.append(Action.CONFIGURE)
        if self.found.partitions != self.wanted_partitions:
            needed.append(Action.REPARTITION)
        return tuple(needed) or (Action.NONE,)


def differences(found: Mapping[str, Found], *, prefix: str, partitions: int | None) -> list[Difference]:
    """The catalogue against the topics that the broker has, by full name.

    `partitions` is what the events topic should have; None accepts the count it has, and asks of every topic like it
    to have the same.
    """
    events = found.get(TOPICS[0].full_name(prefix))
    wanted = partitions or (events.partitions if events else DEFAULT_PARTITIONS)
    return [_difference(topic, found.get(topic.full_name(prefix)), prefix, wanted) for topic in TOPICS]


def _difference(topic: Topic, found: Found | None, prefix: str, like_events: int) -> Difference:
    present = found.partitions if found else 1
    wanted = like_events if topic.like_events else present
    ours = topic.config()
    config = {} if found is None else {k: (found.config.get(k), v) for k, v in ours.items() if found.config.get(k) != v}
    return Difference(topic, topic.full_name(prefix), wanted, found, config)


# --- the broker


def apply(connection: KafkaConnection, *, prefix: str, partitions: int | None, replication: int) -> list[Difference]:
    """Create the topics that are missing and mend the settings that differ; what was done or is left, by topic.

    Partition counts of existing topics stay, for runs would change their partition. Raises Unreachable, UsageError.
    """
    admin = admin_client(connection)
    wanted = differences(read(admin, prefix), prefix=prefix, partitions=partitions)
    _create([each for each in wanted if Action.CREATE in each.actions], admin, replication)
    _configure([each for each in wanted if Action.CONFIGURE in each.actions], admin)
    return wanted


def read(admin: "AdminClient", prefix: str) -> dict[str, Found]:
    """Our topics as the broker has them, by full name; raises Unreachable."""
    from confluent_kafka import KafkaException  # noqa: PLC0415 - slow to load
    from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined] # noqa: PLC0415

    ours = {topic.full_name(prefix) for topic in TOPICS}
    try:
        known = admin.list_topics(timeout=LOOK_UP_TIMEOUT_S).topics
        there = {name: len(known[name].partitions) for name in ours & known.keys() if known[name].error is None}
        if not there:
            return {}
        asked = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in sorted(there)]
        answers = admin.describe_configs(asked, request_timeout=_TIMEOUT_S)
        return {
            resource.name: Found(
                there[resource.name], {entry.name: entry.value or "" for entry in answer.result(_TIMEOUT_S).values()}
            )
            for resource, answer in answers.items()
        }
    except KafkaException as error:
        raise unreachable(error, admin) from error


def unreachable(error: Exception, admin: "AdminClient | None" = None) -> CauselineError:
    """What librdkafka says, as a sentence; of an `admin_client` also what it complained of in between."""
    told = error.args[0] if error.args else None
    if told is not None and told.name().endswith("_AUTHORIZATION_FAILED"):
        return EnvironmentFault(
            f"Kafka does not allow this user to do that ({told.name()}).",
            hint="Use a user with the right to, or grant it: deploy/kafka/acls.sh has the rights.",
        )
    complaints: Complaints | None = getattr(admin, "complaints", None)
    if admin is not None and complaints is not None:
        admin.poll(0)
        return complaints.unreachable()
    return Unreachable(f"Kafka does not answer: {told.str() if told else error}.", hint="causeline status")


def admin_client(connection: KafkaConnection) -> "AdminClient":
    """An admin client that keeps librdkafka's own words to itself; what fails is raised."""
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - slow to load

    complaints = Complaints(connection)
    own: dict[str, Any] = {"log_level": "0", "socket.timeout.ms": "10000", "error_cb": complaints.hear}
    admin = AdminClient({**connection.client_config(), **own})
    admin.complaints = complaints  # type: ignore[attr-defined] # goes with the client to where it fails
    return admin


def _create(missing: Sequence[Difference], admin: "AdminClient", replication: int) -> None:
    from confluent_kafka import KafkaError, KafkaException  # noqa: PLC0415 - slow to load
    from confluent_kafka.cimpl import NewTopic  # noqa: PLC0415

    if not missing:
        return
    wanted = [
        NewTopic(
            each.name,
            num_partitions=each.wanted_partitions,
            replication_factor=replication,
            config=each.topic.config(),
        )
        for each in missing
    ]
    for name, answer in admin.create_topics(wanted, request_timeout=_TIMEOUT_S).items():
        try:
            answer.result(_TIMEOUT_S)
        except KafkaException as error:
            code = error.args[0].code()
            if code == KafkaError.TOPIC_ALREADY_EXISTS:  # someone else created it since we looked
                continue
            if code in {KafkaError.INVALID_REPLICATION_FACTOR, KafkaError.TOPIC_EXCEPTION, KafkaError.POLICY_VIOLATION}:
                raise UsageError(
                    f"The broker refuses topic {name}: {error.args[0].str()}.", hint="See --replication and --prefix."
                ) from error
            raise unreachable(error, admin) from error


def _configure(different: Sequence[Difference], admin: "AdminClient") -> None:
    from confluent_kafka import KafkaException  # noqa: PLC0415 - slow to load
    from confluent_kafka.admin import (  # type: ignore[attr-defined] # noqa: PLC0415 - slow to load
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
    )

    if not different:
        return
    resources = [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            each.name,
            incremental_configs=[
                ConfigEntry(name, ours, incremental_operation=AlterConfigOpType.SET)
                for name, (_, ours) in each.config.items()
            ],
        )
        for each in different
    ]
    try:
        for answer in admin.incremental_alter_configs(resources, request_timeout=_TIMEOUT_S).values():
            answer.result(_TIMEOUT_S)
    except KafkaException as error:
        raise unreachable(error, admin) from error


# --- the commands

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
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Create missing topics and mend settings that differ. Repeating it changes nothing.

    The partition count of a topic that exists is never changed, because runs would change their partition: a
    difference is told, and the command ends with 1.
    """
    done = apply(connections.kafka(state_dir, kafka), prefix=prefix, partitions=partitions, replication=replication)
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
    said = []
    if Action.CONFIGURE in each.actions:
        said.append("set " + ", ".join(f"{name}={ours}" for name, (_, ours) in each.config.items()))
    if Action.REPARTITION in each.actions and each.found:
        said.append(f"has {each.found.partitions} partitions, not {each.wanted_partitions}")
    return "; ".join(said) or "as it should be"


def _state(each: Difference) -> str:
    if each.found is None:
        return "missing"
    said = [f"{name} is {theirs}, not {ours}" for name, (theirs, ours) in each.config.items()]
    if Action.REPARTITION in each.actions:
        said.append(f"has {each.found.partitions} partitions, not {each.wanted_partitions}")
    return "; ".join(said) or "ok"


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.add_typer(topics, name="topics")

"""`dead`: the messages that could not be read, and sending them again after a fix."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, KafkaServers, StateDir, TopicPrefix, examples
from causeline.console.when import parse_moment
from causeline.schemas.errors import CheckFailed, Reason, UsageError
from causeline.schemas.topics import DEFAULT_PREFIX

if TYPE_CHECKING:
    from causeline.sinks.dead.messages import DeadMessage, DeadMessages, Wanted
    from causeline.sinks.dead.replay import Replayed

_HEAD_BYTES = 64


class State(StrEnum):
    """Which messages are meant."""

    OPEN = "open"
    REPLAYED = "replayed"
    RETURNED = "returned"
    ALL = "all"


Only: TypeAlias = Annotated[Reason | None, typer.Option("--reason", help="Buried for this reason.")]
Topic: TypeAlias = Annotated[
    str | None, typer.Option("--topic", metavar="NAME", help="Of this topic, by its full name or without its prefix.")
]
Since: TypeAlias = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help="Found then or later: 15m, 2h, 7d, or ISO 8601 (UTC).")
]


def list_messages(
    *,
    state: Annotated[
        State,
        typer.Option(
            "--state", help="open: not sent again; replayed: sent, and not seen since; returned: sent, and back; all."
        ),
    ] = State.ALL,
    reason: Only = None,
    topic: Topic = None,
    since: Since = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 50,
    clickhouse_url: ClickHouseUrl = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """List the messages that could not be read, each once, the newest first.

    The worker and the loader each write a letter of what they cannot read; a message has one line however many there
    are.
    """
    from causeline.sinks.dead.messages import dead_messages

    wanted = _wanted(() if state is State.ALL else (state.value,), reason, topic, since, prefix)
    with dead_messages(connections.clickhouse(state_dir, clickhouse_url)) as store:
        found = store.find(wanted, limit=limit)
    if json_output:
        output.print_json_lines(_as_document(each) for each in found)
    elif not found:
        output.note("No dead message matches.")
    else:
        _print_table(found)


def show(
    *,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="A message's id, whole or how it begins.")],
    raw: Annotated[bool, typer.Option("--raw", help="Write the original bytes to stdout, and nothing else.")] = False,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Show one message that could not be read: where it stood, why, and its bytes."""
    from causeline.sinks.dead.messages import dead_messages

    with dead_messages(connections.clickhouse(state_dir, clickhouse_url)) as store:
        found = store.get(message)
        value = store.value(found.message_id)
    if raw:
        sys.stdout.buffer.write(value)
        sys.stdout.buffer.flush()
    elif json_output:
        output.print_json({**_as_document(found), "value_hex": value.hex()})
    else:
        _print_message(found, value)


def replay_messages(
    *,
    messages: Annotated[
        list[str] | None, typer.Argument(metavar="[MESSAGE]…", help="Ids, whole or how they begin.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Instead of ids: all that match, except those sent and not seen since.")
    ] = False,
    reason: Only = None,
    topic: Topic = None,
    since: Since = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="With --all: at most so many.")] = 1000,
    max_replays: Annotated[
        int, typer.Option("--max-replays", min=1, max=100, help="Refuse what was sent so often already.")
    ] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be sent.")] = False,
    kafka: KafkaServers = None,
    clickhouse_url: ClickHouseUrl = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Send messages again after a fix: the original bytes, to their topic and partition, under their key.

    What can be read now is stored under the ids it always had, so sending it twice shows it once. What still cannot be
    read comes back as `returned`, and is refused after some attempts. Ends with 1 when any is refused.
    """
    from causeline.sinks.dead.messages import dead_messages
    from causeline.sinks.dead.replay import KafkaOutlet, replay, replayable

    if bool(messages) == every or (messages and (reason or topic or since)):
        raise UsageError("Say which messages: their ids, or --all with filters.", hint="causeline dead list")
    with ExitStack() as stack:
        store = stack.enter_context(dead_messages(connections.clickhouse(state_dir, clickhouse_url)))
        wanted = _wanted((State.OPEN.value, State.RETURNED.value), reason, topic, since, prefix)
        chosen = _chosen(store, messages or [], wanted, limit)
        if dry_run:
            output.print_json_lines(map(_as_document, chosen)) if json_output else _print_table(chosen)
            output.note(f"{len(chosen)} messages would be sent; those sent {max_replays} times already are refused.")
            return
        outlet = KafkaOutlet(connections.kafka(state_dir, kafka))
        done = list(replay(chosen, store, outlet, topics=replayable(prefix), max_replays=max_replays))
    _tell(done, json_output=json_output)


def _chosen(store: "DeadMessages", ids: Sequence[str], wanted: "Wanted", limit: int) -> "list[DeadMessage]":
    if not ids:
        return store.find(wanted, limit=limit, oldest_first=True)
    found = {message.message_id: message for message in map(store.get, ids)}
    return sorted(found.values(), key=lambda each: (each.topic, each.partition, each.offset))


def _tell(done: "Sequence[Replayed]", *, json_output: bool) -> None:
    from causeline.sinks.dead.replay import Fate

    if json_output:
        for each in done:
            document = {"message_id": each.message.message_id, "fate": each.fate, "offset": each.offset}
            output.print_json({**document, "topic": each.message.topic, "partition": each.message.partition})
    counted = Counter(each.fate for each in done)
    if not json_output:
        output.say(f"{counted[Fate.SENT]} of {len(done)} messages sent again.")
    if refused := [each.message.message_id for each in done if each.fate is not Fate.SENT]:
        worn, cut, elsewhere = counted[Fate.WORN_OUT], counted[Fate.CUT], counted[Fate.ELSEWHERE]
        raise CheckFailed(
            f"{len(refused)} messages are refused, {refused[0]} first: {worn} came back too often,"
            f" {cut} were too large for their letter to hold them, {elsewhere} name a topic that is none of ours.",
            hint="Mend what cannot be read, then raise --max-replays; what was cut is with its producer only.",
        )


def _wanted(
    states: Sequence[str], reason: Reason | None, topic: str | None, since: str | None, prefix: str
) -> "Wanted":
    from causeline.sinks.dead.messages import Wanted

    full = "" if topic is None else topic if topic.startswith(f"{prefix}.") else f"{prefix}.{topic}"
    since_us = 0 if since is None else parse_moment(since, now_us=time.time_ns() // 1000)
    return Wanted(states, "" if reason is None else reason.value, full, since_us)


def _as_document(message: "DeadMessage") -> dict[str, object]:
    return {**asdict(message), "key": None if message.key is None else message.key.hex()}


def _print_table(found: "Sequence[DeadMessage]") -> None:
    digits = output.moment_digits((each.last_seen_at for each in found), datetime.now(UTC).year)
    output.print_table(
        ["message", "found", "reason", "detail", "state", "topic", "partition", "offset", "bytes", "replays", "by"],
        [
            (
                each.message_id,
                f"{each.last_seen_at:%Y-%m-%d %H:%M:%S}",
                each.reason,
                each.detail,
                each.state,
                each.topic,
                each.partition,
                each.offset,
                each.bytes,
                each.replays,
                ",".join(each.stages),
            )
            for each in found
        ],
        right=["partition", "offset", "bytes", "replays"],
        optional=["state", "topic", "partition", "offset", "replays", "by", "bytes"],
        short={"message": 8, "found": digits},
    )


def _print_message(message: "DeadMessage", value: bytes) -> None:
    head = value[:_HEAD_BYTES].hex(" ") + (" …" if len(value) > _HEAD_BYTES else "")
    sent = f", last at {message.replayed_at:%Y-%m-%d %H:%M:%S} UTC" if message.replayed_at else ""
    lines = [
        ("message", message.message_id),
        ("state", message.state),
        ("reason", message.reason),
        ("detail", message.detail),
        ("stood at", f"{message.topic}[{message.partition}] offset {message.offset}"),
        ("key", "none" if message.key is None else message.key.decode("utf-8", "backslashreplace")),
        ("schema id", str(message.schema_id) if message.schema_id is not None else "none"),
        ("found by", f"{', '.join(message.stages)}; {message.letters} letters"),
        ("first seen", f"{message.first_seen_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("last seen", f"{message.last_seen_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("replays", f"{message.replays}{sent}"),
        ("bytes", f"{len(value)}{'' if message.is_whole else ' (cut)'}: {head}"),
    ]
    for name, text in lines:
        output.say(f"{name + ':':12}{text}")
    output.say()
    output.say(f"The bytes: causeline dead show {message.message_id} --raw | xxd")
    output.say(f"Once they can be read: causeline dead replay {message.message_id}")


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    group = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        help="Dead letters: the messages that could not be read, and sending them again after a fix.",
    )
    group.command(
        "list",
        epilog=examples(
            "causeline dead list --state open", "causeline dead list --reason unknown_schema --since 1h --json"
        ),
    )(list_messages)
    group.command("show", epilog=examples("causeline dead show MESSAGE", "causeline dead show MESSAGE --raw | xxd"))(
        show
    )
    group.command(
        "replay",
        epilog=examples(
            "causeline dead replay MESSAGE",
            "causeline dead replay --all --reason unknown_schema --dry-run",
            "causeline dead replay --all --reason unknown_schema",
        ),
    )(replay_messages)
    app.add_typer(group, name="dead")

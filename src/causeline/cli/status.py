"""`status`: how the stack is, how far workers and loaders lag, and how much is stored."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from causeline.cli import connections, output
from causeline.cli.group_offsets import committed_offsets
from causeline.cli.options import ClickHouseUrl, Json, KafkaServers, StateDir, TopicPrefix, examples
from causeline.cli.topics import LOOK_UP_TIMEOUT_S, admin_client, unreachable
from causeline.schemas.connections import KafkaConnection
from causeline.schemas.errors import CauselineError, CheckFailed, Unreachable
from causeline.schemas.kafka_offsets import when_settled
from causeline.schemas.topics import DEFAULT_PREFIX, TOPICS

if TYPE_CHECKING:
    from causeline.stack.local import StackStatus

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a consumer group is behind on one topic, over all its partitions."""

    group: str
    topic: str
    partitions: int
    end: int
    committed: int

    @property
    def lag(self) -> int:
        """Messages not yet acknowledged."""
        return self.end - self.committed


def lags(
    ends: Mapping[tuple[str, int], tuple[int, int]], committed: Mapping[str, Mapping[tuple[str, int], int]]
) -> list[Lag]:
    """Each group's lag on each topic that it has read.

    `ends` has (first offset, end offset) by topic and partition; `committed` the offsets of each group. A partition
    without an offset has not been read: all that it holds is lag.
    """
    found = []
    for group, offsets in sorted(committed.items()):
        for topic in sorted({topic for topic, _ in offsets}):
            places = [place for place in ends if place[0] == topic]
            found.append(
                Lag(
                    group=group,
                    topic=topic,
                    partitions=len(places),
                    end=sum(ends[place][1] for place in places),
                    committed=sum(max(offsets.get(place, -1), ends[place][0]) for place in places),
                )
            )
    return found


def read_lags(connection: KafkaConnection, prefix: str) -> list[Lag]:
    """The lag of every group that has committed offsets on our topics; raises Unreachable."""
    return lags(*offsets(connection, prefix))


def offsets(
    connection: KafkaConnection, prefix: str
) -> tuple[dict[tuple[str, int], tuple[int, int]], dict[str, Mapping[tuple[str, int], int]]]:
    """First and end offsets by topic and partition, and what each group has committed; raises Unreachable."""
    from confluent_kafka import KafkaException  # noqa: PLC0415 - slow to load

    ours = {topic.full_name(prefix) for topic in TOPICS}
    admin = admin_client(connection)
    try:
        known = admin.list_topics(timeout=LOOK_UP_TIMEOUT_S).topics
        places = [(name, number) for name in sorted(ours & known.keys()) for number in known[name].partitions]
        ends = _ends(admin, places)
        groups = [each.group_id for each in admin.list_consumer_groups(request_timeout=_TIMEOUT_S).result().valid]
        committed: dict[str, Mapping[tuple[str, int], int]] = {}
        for group in sorted(groups):
            found = committed_offsets(connection, group, places, timeout_s=_TIMEOUT_S)
            if found:
                committed[group] = found
    except KafkaException as error:
        raise unreachable(error, admin) from error
    return ends, committed


def _ends(admin: Any, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, int]]:
    from confluent_kafka import TopicPartition  # noqa: PLC0415 - slow to load
    from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined] # noqa: PLC0415

    asked = list(places)

    def told(spec: Any, left_s: float) -> dict[tuple[str, int], int]:
        answers = admin.list_offsets({TopicPartition(*place): spec for place in asked}, request_timeout=left_s)
        return {(key.topic, key.partition): answer.result(left_s).offset for key, answer in answers.items()}

    first = when_settled(partial(told, OffsetSpec.earliest()), timeout_s=_TIMEOUT_S)  # type: ignore[no-untyped-call]
    last = when_settled(partial(told, OffsetSpec.latest()), timeout_s=_TIMEOUT_S)  # type: ignore[no-untyped-call]
    return {place: (first[place], last[place]) for place in asked}


def status(
    *,
    kafka: KafkaServers = None,
    clickhouse_url: ClickHouseUrl = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Show the stack's services, how far workers and loaders lag, and how many rows there are.

    Ends with 1 when a service of the local stack is not ready or something cannot be reached.
    """
    folder = connections.state_folder(state_dir)
    stack = _stack(folder)
    connections.settle(state_dir=state_dir, clickhouse_url=clickhouse_url, kafka_servers=kafka)
    troubles: list[str] = []
    behind = _tried(troubles, lambda: read_lags(connections.kafka(), prefix))
    rows = _tried(troubles, _counts)
    if stack is not None and stack.running and not stack.ready:
        troubles.append("The local stack is not ready.")
    if json_output:
        output.print_json(
            {
                "stack": stack.model_dump(mode="json") if stack else None,
                "lag": None if behind is None else [{**asdict(each), "lag": each.lag} for each in behind],
                "rows": rows,
                "troubles": troubles,
            }
        )
    else:
        _print(stack, behind, rows)
    if troubles:
        raise CheckFailed(troubles[0], hint="causeline up" if stack is None or not stack.running else None)


def _stack(folder: Path) -> "StackStatus | None":
    try:
        from causeline.stack.local import status as stack_status  # noqa: PLC0415 - the stack extra
    except ModuleNotFoundError:
        return None
    return stack_status(folder)


def _counts() -> dict[str, int]:
    from causeline.console.lookups import counts  # noqa: PLC0415 - the console extra
    from causeline.console.store import open_store  # noqa: PLC0415

    with open_store(connections.clickhouse()) as store:
        return asdict(counts(store))


def _tried(troubles: list[str], ask: Any) -> Any:
    """What `ask` says; None, and its trouble noted, when it cannot say."""
    try:
        return ask()
    except (Unreachable, CauselineError) as error:
        troubles.append(error.message)
        return None


def _print(stack: "StackStatus | None", behind: list[Lag] | None, rows: dict[str, int] | None) -> None:
    if stack is not None and stack.running:
        output.say(f"Stack in {stack.state_dir}: {'ready' if stack.ready else 'not ready'}")
        output.print_table(
            ["service", "state", "pid", "restarts", "ports", "reason"],
            [
                (
                    each.name,
                    each.state.value,
                    each.process.pid if each.process else None,
                    each.restarts,
                    " ".join(f"{name}={port}" for name, port in each.ports.items()),
                    each.reason,
                )
                for each in stack.services
            ],
            right=["pid", "restarts"],
        )
    elif stack is not None:
        output.say(f"No local stack is running in {stack.state_dir}.")
    if behind is not None:
        output.say()
        output.print_table(
            ["group", "topic", "partitions", "end", "committed", "lag"],
            [(each.group, each.topic, each.partitions, each.end, each.committed, each.lag) for each in behind],
            right=["partitions", "end", "committed", "lag"],
        )
    if rows is not None:
        output.say()
        output.print_table(["view", "rows"], list(rows.items()), right=["rows"])


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(epilog=examples("causeline status", "causeline status --json | jq '.lag[] | select(.lag > 0)'"))(status)

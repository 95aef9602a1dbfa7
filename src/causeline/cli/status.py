"""`status`: how the stack is, how far workers and loaders lag, and how much is stored."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, KafkaServers, StateDir, TopicPrefix, examples
from causeline.kafka.admin import admin_client
from causeline.ops.copies import Copies, read_copies
from causeline.ops.lag import Lag, read_lags
from causeline.ops.topics import read
from causeline.schemas.errors import CauselineError, CheckFailed, Unreachable
from causeline.schemas.topics import DEFAULT_PREFIX

if TYPE_CHECKING:
    from causeline.stack.local import StackStatus


def status(
    *,
    kafka: KafkaServers = None,
    clickhouse_url: ClickHouseUrl = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Show the stack's services, the brokers' copies, how far workers and loaders lag, and how many rows there are.

    Ends with 1 when a service of the local stack is not ready, something cannot be reached or a topic takes no events.
    """
    from causeline.schemas.wire.native import CORE_STATE

    folder = connections.state_folder(state_dir)
    stack = _stack(folder)
    connections.settle(state_dir=state_dir, clickhouse_url=clickhouse_url, kafka_servers=kafka)
    troubles: list[str] = []
    behind = _tried(troubles, lambda: read_lags(connections.kafka(), prefix))
    copies = None if behind is None else _tried(troubles, lambda: _copies(prefix))
    rows = _tried(troubles, _counts)
    if stack is not None and stack.running and not stack.ready:
        troubles.append("The local stack is not ready.")
    if copies is not None and copies.refusing:
        troubles.append(copies.says)
    received = _received(stack)
    if json_output:
        output.print_json(
            {
                "core": CORE_STATE.says,
                "receiver": received,
                "stack": stack.model_dump(mode="json") if stack else None,
                "copies": None if copies is None else {**asdict(copies), "says": copies.says},
                "lag": None if behind is None else [{**asdict(each), "lag": each.lag} for each in behind],
                "rows": rows,
                "troubles": troubles,
            }
        )
    else:
        _print(stack, copies, behind, rows)
        _print_received(received)
        output.say()
        output.say(f"Compiled core: {CORE_STATE.says}")
    if troubles:
        raise CheckFailed(troubles[0], hint="causeline up" if stack is None or not stack.running else None)


def _stack(folder: Path) -> "StackStatus | None":
    try:
        from causeline.stack.local import status as stack_status
    except ModuleNotFoundError:
        return None
    return stack_status(folder)


def _received(stack: "StackStatus | None") -> dict[str, Any] | None:
    """What the local stack's receiver says of what came; None where it says nothing."""
    if stack is None or not stack.running or stack.endpoints is None:
        return None
    import requests

    try:
        answer: dict[str, Any] = requests.get(f"{stack.endpoints.otlp_url}/healthz", timeout=2).json()
    except (requests.RequestException, ValueError):
        return None  # the table of services says that it does not answer
    return {name: value for name, value in answer.items() if name != "status"}


def _print_received(received: dict[str, Any] | None) -> None:
    if received is None or not (received.get("spans") or received.get("logs") or received.get("rejected")):
        return
    output.say()
    output.say(
        f"Receiver: {received['spans']:,d} spans, {received['logs']:,d} logs, {received['rejected']:,d} not used"
    )
    for name, words in (("set_aside", "kept with their spans only"), ("dropped", "kept nowhere")):
        if keys := received.get(name):
            output.say(f"  {words}: " + ", ".join(f"{key} {times:,d}" for key, times in keys.items()))


def _copies(prefix: str) -> Copies:
    admin = admin_client(connections.kafka())
    return read_copies(admin, read(admin, prefix))


def _counts() -> dict[str, int]:
    from causeline.console.lookups import counts
    from causeline.console.store import open_store

    with open_store(connections.clickhouse()) as store:
        return asdict(counts(store))


def _tried(troubles: list[str], ask: Any) -> Any:
    """What `ask` says; None, and its trouble noted, when it cannot say."""
    try:
        return ask()
    except (Unreachable, CauselineError) as error:
        troubles.append(error.message)
        return None


def _print(
    stack: "StackStatus | None", copies: Copies | None, behind: list[Lag] | None, rows: dict[str, int] | None
) -> None:
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
    if copies is not None:
        output.say()
        output.say(f"Kafka: {copies.says}")
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

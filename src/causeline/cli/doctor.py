"""`doctor`: whether everything is well, and the way out where it is not."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, KafkaServers, StateDir, TopicPrefix, examples
from causeline.cli.why import PolicyFile
from causeline.runtime.text import counted
from causeline.schemas.topics import DEFAULT_PREFIX

if TYPE_CHECKING:
    from causeline.ops.doctor.model import Line
    from causeline.ops.stored import Stretch

_MARK = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}
_STYLE = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def doctor(
    *,
    within_s: Annotated[float, typer.Option("--within", min=1, max=300, help="Seconds for all checks together.")] = 9.0,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="Hold runs that started since then against what should be stored.")
    ] = "1d",
    settle_s: Annotated[
        float, typer.Option("--settle", min=0, help="Seconds that a run may take until all of it is stored.")
    ] = 900,
    policy: PolicyFile = None,
    kafka: KafkaServers = None,
    clickhouse_url: ClickHouseUrl = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Check everything that has to be well, and say the way out where something is not.

    Connections and versions, topics against the catalogue, how far consumers lag and since when, clocks, migrations,
    table parts, dead letters, losses, whether what was loaded is still stored, disk, policy, schemas, the compiled core
    and the spool. Ends with 0 where nothing failed, else 1; a stack that is broken is told within ten seconds.
    """
    from causeline.ops.doctor.looks import examinations
    from causeline.ops.doctor.model import Level, examine

    connections.settle(state_dir=state_dir, clickhouse_url=clickhouse_url, kafka_servers=kafka)
    span = _span(since, settle_s)
    looks = examinations(prefix, policy, connections.state_folder(state_dir), span)
    lines = examine(looks, within_s=within_s)
    if json_output:
        output.print_json_lines(asdict(line) for line in lines)
    else:
        _print(lines)
    failed = [line for line in lines if line.level is Level.FAILED]
    if failed:
        raise typer.Exit(1)


def _span(since: str, settle_s: float) -> "Stretch":
    from causeline.console.when import parse_moment
    from causeline.ops.stored import Stretch
    from causeline.runtime.clock import system_clock

    now_us = system_clock()
    return Stretch(parse_moment(since, now_us=now_us), now_us - round(settle_s * 1e6))


def _print(lines: "Sequence[Line]") -> None:
    from rich.text import Text

    parts = []
    for line in lines:
        text = Text(_MARK[line.level.value], style=_STYLE[line.level.value])
        text.append(f"  {line.name}: {line.says}", style="default")
        parts.append(text)
        if line.way_out and line.level.value != "ok":
            parts.append(Text(f"         → {line.way_out}"))
    output.print_parts(parts)
    bad = [line for line in lines if line.level.value != "ok"]
    output.say()
    failed = sum(line.level.value == "failed" for line in bad)
    output.say("All is well." if not bad else f"{failed} failed, {counted(len(bad) - failed, 'warning')}.")


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(epilog=examples("causeline doctor", "causeline doctor --json | jq 'select(.level != \"ok\")'"))(doctor)

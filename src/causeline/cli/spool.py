"""`spool`: the events that wait on disk for a broker that was away."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from causeline.cli import connections, output
from causeline.cli.options import Json, KafkaServers, StateDir, TopicPrefix, examples
from causeline.schemas.errors import CheckFailed, EnvironmentFault, Unreachable, UsageError
from causeline.schemas.topics import DEFAULT_PREFIX

if TYPE_CHECKING:
    from causeline.producers.emitter.segments import SegmentState

Folder: TypeAlias = Annotated[
    Path | None,
    typer.Option("--folder", envvar="CAUSELINE_EMITTER_SPOOL", help="The spool's folder.", file_okay=False),
]


def spool_status(*, folder: Folder = None, json_output: Json = False) -> None:
    """Say what is in the spool, file by file, and whether the process that writes it lives.

    A file of a living process counts delivered events too, until all of it is delivered. Files of processes that are
    gone wait for the next process with the same spool, or for `causeline spool drain`; where there are any it ends
    with 1.
    """
    states = _segments(_named(folder))
    left = [state for state in states if not state.is_held]
    if json_output:
        for state in states:
            output.print_json(asdict(state))
    elif not states:
        output.note("The spool is empty.")
    else:
        output.print_table(
            ["file", "events", "bytes", "last written", "written by"],
            [
                [
                    state.name,
                    f"{state.events:,d}",
                    f"{state.size_bytes:,d}" + (f" ({state.damaged_bytes:,d} damaged)" if state.damaged_bytes else ""),
                    f"{max(0.0, time.time() - state.written_at_s):,.0f} s ago",
                    "a living process" if state.is_held else "a process that is gone",
                ]
                for state in states
            ],
        )
    if left:
        raise CheckFailed(
            f"{sum(state.events for state in left):,d} events of processes that are gone wait on disk.",
            hint="`causeline spool drain` delivers them.",
        )


def spool_drain(
    *,
    folder: Folder = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout-s", min=0.1, max=86_400, help="Give up after so many seconds.")
    ] = 60.0,
    kafka: KafkaServers = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Deliver what processes that are gone have left in the spool.

    Files of living processes are theirs to deliver. An event that was delivered already, unknown to its process, is
    delivered again under the same id, which every reader counts once.
    """
    named = _named(folder)
    found = sum(state.events for state in _segments(named) if not state.is_held)
    left, why = (0, None) if not found else _drain(named, timeout_s, kafka, prefix, state_dir)
    if json_output:
        output.print_json({"delivered": found - left, "left": left})
    else:
        output.say(f"{found - left:,d} events delivered, {left:,d} left.")
    if left:
        raise Unreachable(
            f"{left:,d} events could not be delivered in {timeout_s:g} s.",
            hint=why or "Is the broker up? `causeline topics apply` shows whether it can be used.",
        )


def _drain(
    folder: Path, timeout_s: float, kafka: str | None, prefix: str, state_dir: Path | None
) -> tuple[int, str | None]:
    from causeline.producers.emitter.emitter import Emitter
    from causeline.producers.emitter.settings import EmitterSettings

    connection = connections.kafka(state_dir, kafka)
    settings = EmitterSettings.from_environment().model_copy(update={"spool": folder, "topic_prefix": prefix})
    emitter = Emitter(settings, kafka=connection)
    try:
        left = emitter.drain(timeout_s)
        return left, emitter.stats().last_error if left else None
    finally:
        emitter.close(0)


def _named(folder: Path | None) -> Path:
    if folder is None:
        raise UsageError("There is no spool.", hint="Name its folder with --folder, or in CAUSELINE_EMITTER_SPOOL.")
    return folder


def _segments(folder: Path) -> "Sequence[SegmentState]":
    from causeline.producers.emitter.decisions import SPOOL_FOLDER
    from causeline.producers.emitter.segments import segments_in

    try:
        return [*segments_in(folder), *segments_in(folder / SPOOL_FOLDER)]
    except OSError as error:
        raise EnvironmentFault(
            f"The spool {folder} cannot be read: {error.strerror}.", hint="Check the folder's permissions."
        ) from error


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    group = typer.Typer(
        help="The events that wait on disk for a broker that was away.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command(
        "status", epilog=examples("causeline spool status", "causeline spool status --folder /var/spool/app")
    )(spool_status)
    group.command("drain", epilog=examples("causeline spool drain", "causeline spool drain --timeout-s 600 --json"))(
        spool_drain
    )
    app.add_typer(group, name="spool")

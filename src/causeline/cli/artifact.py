"""`artifact`: what stands under a reference, a reference for what one has, and an end to what no reference leads to."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, StateDir, examples
from causeline.producers.artifacts import ArtifactStore
from causeline.schemas.errors import UsageError

_TIMEOUT_S = 3600.0
_SHOWN = 20_000
"""Characters of a text that are shown where nothing points into it."""


def show(
    *,
    ref: Annotated[
        str, typer.Argument(metavar="REF", help="A reference; #page=3 or #chars=10-20 points into its text.")
    ],
    raw: Annotated[bool, typer.Option("--raw", help="Write the bytes as they are, whole.")] = False,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Show what stands under a reference: its text, or the place that the reference points to.

    What is no text is only told of; --raw writes it to a file or a pipe.
    """
    from causeline.web.views.artifact import is_text, place_in

    base, _, fragment = ref.partition("#")
    data = artifact_store(state_dir).get(base)
    if raw:
        sys.stdout.buffer.write(data)
        return
    if not is_text(data):
        raise UsageError(f"The artifact is {len(data):,d} bytes that are no text.", hint="--raw > FILE saves it.")
    text = data.decode("utf-8", "replace")
    begin, end, note = place_in(text, fragment)
    is_placed = begin is not None and end is not None
    piece = text[begin:end] if is_placed else text[:_SHOWN]
    if json_output:
        shown = {"ref": ref, "bytes": len(data), "begin": begin or 0, "text": piece, "note": note}
        output.print_json(shown)
        return
    for line in piece.split("\n"):
        output.say(line)
    if note:
        output.note(note)
    if not is_placed and len(text) > _SHOWN:
        output.note(f"These are the first {_SHOWN:,d} of {len(text):,d} characters; --raw gives all of it.")


def put(
    *,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A file, or - for what is piped in.")],
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Store a file, and print the reference that events carry in its place."""
    if file == "-":
        data = sys.stdin.buffer.read()
    else:
        try:
            data = Path(file).read_bytes()
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    ref = artifact_store(state_dir).put(data)
    if json_output:
        output.print_json({"ref": ref, "bytes": len(data)})
    else:
        output.say(ref)


def collect_garbage(
    *,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="TIME", help="Only what nobody has stored for so long.")
    ] = "30d",
    keep: Annotated[
        list[Path] | None,
        typer.Option("--keep", metavar="PATH", help="Files or folders whose references count, too, as eval cases."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Remove artifacts that no row of any table refers to any more.

    Rows go by their retention (CAUSELINE_RETENTION_…), and what only they referred to goes by this; run it daily. Eval
    cases live in your repository: name their folders by --keep.
    """
    from causeline.console.when import parse_moment
    from causeline.ops.collecting import collect
    from causeline.runtime.clickhouse import clickhouse_client
    from causeline.runtime.clickhouse_errors import translated
    from causeline.runtime.clock import system_clock

    cutoff_s = parse_moment(older_than, now_us=system_clock()) / 1e6
    connection = connections.clickhouse(state_dir, clickhouse_url)
    store = ArtifactStore.open(connections.artifacts())
    with clickhouse_client(connection, timeout_s=_TIMEOUT_S) as client, translated(connection):
        done = collect(client, store, cutoff_s=cutoff_s, keep=keep or (), dry_run=dry_run)
    if json_output:
        output.print_json({**asdict(done), "dry_run": dry_run})
    else:
        would = "would be removed" if dry_run else f"removed ({done.bytes:,d} bytes)"
        output.say(f"{done.old:,d} artifacts are old enough: {done.referred_to:,d} in use, {done.removed:,d} {would}.")


def artifact_store(state_dir: Path | None) -> ArtifactStore:
    """Where this environment, else a local stack, keeps its artifacts."""
    if os.environ.get("CAUSELINE_ARTIFACTS"):
        return ArtifactStore.from_environment()
    return ArtifactStore.open(connections.state_folder(state_dir) / "artifacts")


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Artifacts: the content that references stand for."
    )
    group.command("show", epilog=examples("causeline artifact show REF", "causeline artifact show 'REF#page=3'"))(show)
    group.command("put", epilog=examples("causeline artifact put FILE", "echo '300 EUR' | causeline artifact put -"))(
        put
    )
    group.command(
        "gc", epilog=examples("causeline artifact gc --dry-run", "causeline artifact gc --older-than 90d --keep cases")
    )(collect_garbage)
    app.add_typer(group, name="artifact")

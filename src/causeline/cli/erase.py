"""`erase`: a run that is on record is taken away for good."""

from dataclasses import asdict
from typing import Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, StateDir, examples
from causeline.schemas.errors import UsageError

_TIMEOUT_S = 3600.0


def erase(
    run_id: Annotated[str | None, typer.Argument(metavar="RUN", help="The run's id, in full.")] = None,
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Erase what came back of runs that were erased before.")
    ] = False,
    clickhouse_url: ClickHouseUrl = None,
    state_dir: StateDir = None,
    json_output: Json = False,
) -> None:
    """Erase a run everywhere: its rows in every table, its dead letters, and content that no other run refers to.

    Needs the user that migrates. Kafka forgets by its retention only, 7 to 90 days: until then a loader that is set
    back brings the run back; `load --again` erases it again by itself, else `erase --again` does.
    """
    from causeline.ops.erasing import erase as erase_run
    from causeline.ops.erasing import erase_again
    from causeline.producers.artifacts import ArtifactStore
    from causeline.runtime.clickhouse import clickhouse_client
    from causeline.runtime.clickhouse_errors import translated
    from causeline.schemas.ids import parse_run_id

    if (run_id is None) != again:
        raise UsageError("Say which run, or --again.", hint="causeline erase RUN")
    connection = connections.clickhouse(state_dir, clickhouse_url)
    with clickhouse_client(connection, timeout_s=_TIMEOUT_S) as client, translated(connection):
        if run_id is None:
            rows = erase_again(client)
            if json_output:
                output.print_json({"rows": rows})
            else:
                output.say(f"Erased {sum(rows.values()):,d} rows of runs that were erased before.")
            return
        done = erase_run(client, ArtifactStore.open(connections.artifacts()), parse_run_id(run_id))
    if json_output:
        output.print_json(asdict(done))
        return
    output.say(f"Erased {sum(done.rows.values()):,d} rows in {len(done.rows)} tables: {', '.join(sorted(done.rows))}.")
    output.say(f"Removed {done.artifacts:,d} artifacts ({done.bytes:,d} bytes); other runs have {done.shared:,d} more.")
    if done.elsewhere:
        output.say(f"{done.elsewhere:,d} references lead to other stores: content there is theirs to erase.")
    output.say("Kafka holds its messages until their retention is over: causeline topics list shows it.")


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(epilog=examples("causeline erase RUN", "causeline erase --again"))(erase)

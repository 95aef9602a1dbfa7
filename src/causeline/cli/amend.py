"""`amend`: runs assembled again when events come late, as a service or for the runs one names."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from causeline.cli import connections, output
from causeline.cli.options import ClickHouseUrl, Json, KafkaServers, Log, LogLevel, StateDir, TopicPrefix, examples
from causeline.cli.services import start_logging
from causeline.runtime.clock import system_clock
from causeline.schemas.errors import CheckFailed, UsageError
from causeline.schemas.ids import parse_run_id
from causeline.schemas.topics import DEFAULT_PREFIX

if TYPE_CHECKING:
    from causeline.streams.amender.on_demand import Amended, OnDemand
    from causeline.streams.amender.settings import AmenderSettings
    from causeline.streams.amender.stored import Rows

_SAID = {
    "amended": "amended",
    "nothing_new": "nothing new",
    "maybe_open": "not joined yet: a worker may have it open",
    "unknown": "no event of it is stored",
}


def amend(
    run: Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", help="Run ids, whole.")] = None,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", help="Amend runs as their late events come, until stopped.")
    ] = False,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read run ids from stdin, one a line.")] = False,
    unjoined: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Runs that began since then, whose events are all stored, and that nobody has joined."
        ),
    ] = None,
    kafka: KafkaServers = None,
    clickhouse_url: ClickHouseUrl = None,
    prefix: TopicPrefix = DEFAULT_PREFIX,
    state_dir: StateDir = None,
    log_level: Log = LogLevel.INFO,
    json_output: Json = False,
) -> None:
    """Assemble runs again from all their stored events, and publish what has become of them.

    With --follow it is a service: it reads late events (reviews and evals come hours after their run) and publishes
    each run's next revision, until told to stop (SIGTERM or Ctrl-C). With run ids it amends those now, with --unjoined
    those that `causeline doctor` finds whole and joined by nobody. A run whose
    record counts every stored event is left alone, so doing it twice does nothing. Further settings are
    CAUSELINE_AMENDER_… variables.
    """
    from causeline.streams.amender.settings import AmenderSettings

    ids = [parse_run_id(text) for text in [*(run or ()), *(_words_from_stdin() if stdin else ())]]
    if [bool(run) or stdin, follow, unjoined is not None].count(True) != 1:
        raise UsageError(
            "Name runs, or say --follow or --unjoined TIME.", hint="causeline amend RUN; `causeline runs` lists some."
        )
    if stdin and not ids:
        output.note("No run is named on stdin: nothing is to be amended.")
        return
    connections.kafka(state_dir, kafka)
    connections.clickhouse(state_dir, clickhouse_url)
    connections.set_topic_prefix(prefix)
    settings = AmenderSettings.from_environment()
    with stored_rows(settings) as source:
        if follow:
            from causeline.streams.amender.process import run_amender

            start_logging(log_level)
            logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
            raise typer.Exit(run_amender(settings, source))
        ids = ids if unjoined is None else _unjoined(settings, unjoined)
        answers = on_demand(settings, source).amend(ids, system_clock())
    if unjoined is not None and not answers:
        output.note("Every run that has ended and whose events are all stored is joined.")
    _tell(answers, json_output=json_output)


def _unjoined(settings: "AmenderSettings", since: str) -> list[str]:
    """Runs that no worker has joined and none can have open any more."""
    from causeline.console.store import open_store
    from causeline.console.when import parse_moment
    from causeline.ops.stored import Stretch
    from causeline.ops.unjoined import whole_and_unjoined

    now_us = system_clock()
    until_us = now_us - round(settings.unjoined_wait_s * 1e6)
    with open_store(settings.clickhouse) as store:
        return list(whole_and_unjoined(store.ask, Stretch(parse_moment(since, now_us=now_us), until_us)))


@contextmanager
def stored_rows(settings: "AmenderSettings") -> "Iterator[Rows]":
    """The stored events, for the length of the block."""
    from causeline.runtime.clickhouse import clickhouse_client
    from causeline.runtime.clickhouse_rows import ClickHouseRows

    with clickhouse_client(settings.clickhouse) as client:
        yield ClickHouseRows(client, settings.clickhouse)


def _words_from_stdin() -> Iterator[str]:
    for line in sys.stdin:
        yield from line.split(maxsplit=1)[:1]


def on_demand(settings: "AmenderSettings", source: "Rows") -> "OnDemand":
    """What amends runs by name; raises Unreachable when Kafka does not answer."""
    from causeline.kafka.preflight import check_topics
    from causeline.runtime.policy_watch import PolicyWatch
    from causeline.schemas.registry import schemas_of
    from causeline.streams.amender.on_demand import OnDemand
    from causeline.streams.amender.process import SPOKEN
    from causeline.streams.amender.publish import KafkaPublisher
    from causeline.streams.amender.stored import Stored
    from causeline.streams.runs.chosen import core

    schemas = schemas_of(settings.registry_url, SPOKEN, settings.topic_prefix)
    return OnDemand(
        stored=Stored(source),
        publisher=KafkaPublisher(
            settings.kafka, prefix=settings.topic_prefix, delivery_timeout_s=min(30, settings.delivery_timeout_s)
        ),
        schemas=schemas,
        core=core(schemas),
        settings=settings,
        policy=PolicyWatch(settings.policy).current(),
        partitions=check_topics(settings.kafka, settings.topic_prefix),
    )


def _tell(answers: "Sequence[Amended]", *, json_output: bool) -> None:
    for each in answers:
        if json_output:
            output.print_json(
                {"run_id": each.run_id, "answer": each.answer.value, "before": each.before, "after": each.after}
            )
        elif each.before == each.after:
            until = f", for at most {each.ask_again_s:.0f} s more" if each.answer == "maybe_open" else ""
            output.say(f"{each.run_id}: {_SAID[each.answer]}{until}")
        else:
            output.say(f"{each.run_id}: {_SAID[each.answer]}, revision {each.before or 'none'} to {each.after}")
    if missing := [each for each in answers if each.answer.value in {"unknown", "maybe_open"}]:
        raise CheckFailed(
            f"{len(missing):,d} of {len(answers):,d} runs could not be amended.",
            hint="They are named above; what a worker may have open can be amended when it cannot any more.",
        )


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command(
        epilog=examples(
            "causeline amend --follow",
            "causeline amend RUN",
            "causeline amend --unjoined 1d",
            "causeline runs --verdict partial --json | jq -r .run_id | causeline amend --stdin",
        )
    )(amend)

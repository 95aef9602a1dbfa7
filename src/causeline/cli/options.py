"""Options that several commands share, each said once."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
StateDir: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        envvar="CAUSELINE_STATE_DIR",
        metavar="FOLDER",
        show_default="./.causeline",
        help="Folder of the local stack's state.",
    ),
]


def is_written(context: typer.Context, name: str | None) -> bool:
    """Whether an option stands on the command line; it may be set by its variable, or by default, as well."""
    source = context.get_parameter_source(name or "")
    return source is not None and source.name == "COMMANDLINE"  # the enumeration of whichever click typer brings


def _chosen(context: typer.Context, parameter: typer.CallbackParam, url: str | None) -> str | None:
    """What is written on the command line is the choice of the user, no more what `causeline env` gave; the variable
    is read by `settle`: given here it would bring the reader back, where a command settles Kafka first."""
    if not is_written(context, parameter.name):
        return None
    from causeline.cli.connections import READER_OF

    os.environ.pop(READER_OF, None)
    return url


ClickHouseUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--clickhouse-url",
        callback=_chosen,
        envvar="CAUSELINE_CLICKHOUSE_URL",
        metavar="URL",
        show_default="the running local stack's",
        help="ClickHouse, as http://user@host:port/database; its password by CAUSELINE_CLICKHOUSE_PASSWORD(_FILE).",
    ),
]
KafkaServers: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--kafka",
        envvar="CAUSELINE_KAFKA_BOOTSTRAP_SERVERS",
        metavar="SERVERS",
        show_default="the running local stack's",
        help="Kafka bootstrap servers, as host:port[,host:port…].",
    ),
]
TopicPrefix: TypeAlias = Annotated[
    str,
    typer.Option(
        "--prefix", envvar="CAUSELINE_TOPIC_PREFIX", metavar="WORD", help="What stands before the dot of every topic."
    ),
]


class LogLevel(StrEnum):
    """How much a long-running command says on stderr."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Log: TypeAlias = Annotated[
    LogLevel, typer.Option("--log-level", envvar="CAUSELINE_LOG_LEVEL", help="What is logged to stderr.")
]


def examples(*lines: str) -> str:
    """An epilog of example commands, kept as they stand."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)

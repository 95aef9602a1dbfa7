"""Variables that no class of settings reads, and what all others begin with: a mistyped one is then neither."""

from typing import Final, NamedTuple


class Variable(NamedTuple):
    """One variable by itself, for docs/operations.md."""

    name: str
    default: str
    meaning: str


FAMILIES: Final = (
    "CAUSELINE_AMENDER_",
    "CAUSELINE_CLICKHOUSE_",
    "CAUSELINE_DIAGNOSER_",
    "CAUSELINE_DRIFT_",
    "CAUSELINE_EMITTER_",
    "CAUSELINE_ENGINE_",
    "CAUSELINE_EXPORT_",
    "CAUSELINE_HEALTH_",
    "CAUSELINE_KAFKA_",
    "CAUSELINE_LOADER_",
    "CAUSELINE_RECEIVE_",
    "CAUSELINE_RETENTION_",
    "CAUSELINE_SERVE_",
    "CAUSELINE_WORKER_",
    # what the tests and benchmarks of this repository are told
    "CAUSELINE_BENCHMARKS_",
    "CAUSELINE_FAULTS_",
    "CAUSELINE_FUZZ_",
    "CAUSELINE_TEST_",
)
"""What a part's own variables begin with."""

SINGLE: Final = (
    Variable("CAUSELINE_ARTIFACTS", "", "Where content is kept: a folder, or a URL that fsspec opens."),
    Variable("CAUSELINE_CACHE_DIR", "`~/.cache/causeline`", "Where the local stack keeps what it downloads once."),
    Variable("CAUSELINE_CLICKHOUSE_CLUSTER", "", "`migrate` makes replicated tables on every server of this cluster."),
    Variable("CAUSELINE_CORE", "", "`python`: the compiled core is left aside where it is installed."),
    Variable("CAUSELINE_DEBUG", "", "Shows the traceback of a fault of causeline's own."),
    Variable("CAUSELINE_DISABLED", "", "`1`, `true` or `yes`: a `Tracer` records nothing."),
    Variable(
        "CAUSELINE_EVAL_ANSWER", "", "Set by `eval gate` for the process that answers a case: where the answer goes."
    ),
    Variable("CAUSELINE_EVAL_CASE_ID", "", "Set by `eval gate`: the case that a `Tracer`'s runs answer."),
    Variable("CAUSELINE_LOG_LEVEL", "`info`", "What a service logs to stderr."),
    Variable("CAUSELINE_POLICY", "", "The policy (TOML) of tracers, workers and the amender."),
    Variable("CAUSELINE_PROJECT", "`default`", "Owner of the runs of a `Tracer` or a receiver that is told no other."),
    Variable(
        "CAUSELINE_READER_OF",
        "",
        "Given by `causeline env`: the login to ClickHouse beside it is of the reader of the stack in this folder.",
    ),
    Variable("CAUSELINE_REGISTRY_URL", "", "A Confluent-compatible registry whose schema ids are accepted, too."),
    Variable("CAUSELINE_RELEASE", "", "The application's release, a label of its runs."),
    Variable("CAUSELINE_REPLICATION", "`-1`", "Copies of each new topic; -1 is the broker's default."),
    Variable(
        "CAUSELINE_SECRETS", "`./deploy/secrets`", "docker compose: the folder of the files with passwords and tokens."
    ),
    Variable("CAUSELINE_STACK_ID", "", "Set by the supervisor: marks the processes of one local stack."),
    Variable("CAUSELINE_TRACE_FILE", "", "A `Tracer` writes its events to this file, and to no broker."),
    Variable("CAUSELINE_VERSION", "`dev`", "docker compose: the image's tag."),
)
"""Variables by themselves, read by several parts or by none of the classes of settings."""

"""The commands by name, with what `--help` says of each: a command's module is loaded when it is called (ADR 29)."""

from typing import Final, NamedTuple


class Entry(NamedTuple):
    """A command, or a group of commands: the module of `causeline.cli` that registers it, and its line in the list."""

    name: str
    module: str
    help: str


COMMANDS: Final = (
    Entry("demo", "demo", "Run three demo workflows through the whole pipeline, and explain a run that failed."),
    Entry(
        "env",
        "stack",
        'Print the variables that point any program at the running local stack, for `eval "$(causeline env)"`.',
    ),
    Entry("up", "stack", "Start the local stack, or what of it is not running, and wait until it is ready."),
    Entry("down", "stack", "Stop the local stack; what it stored stays for the next `up`."),
    Entry(
        "status",
        "status",
        "Show the stack's services, the brokers' copies, how far workers and loaders lag, and how many rows there are.",
    ),
    Entry("open", "open", "Open the local stack's console in a browser, signed in as its owner."),
    Entry("doctor", "doctor", "Check everything that has to be well, and say the way out where something is not."),
    Entry("runs", "runs", "Find runs."),
    Entry(
        "sessions",
        "sessions",
        "Conversations: how many runs each has, how they came out and what they cost; `runs --session` lists its runs.",
    ),
    Entry(
        "show",
        "runs",
        "Show what happened in a run: each step with what went in, what came out, what was decided, versions and cost.",
    ),
    Entry(
        "why",
        "why",
        "Say what went wrong in a run, and what to touch: by fixed rules, from its record alone; no model is asked.",
    ),
    Entry(
        "causes",
        "causes",
        "Say what went wrong over many runs: each cause with its runs, its share, its cost, its trend and an example.",
    ),
    Entry(
        "compare",
        "compare",
        "Say what differs between two runs, in versions, path, evidence, outcome and cost; or between two versions.",
    ),
    Entry(
        "lint-traces",
        "lint",
        "Look for six habits of tracing that leave a bad answer unexplained, with examples and the code to add.",
    ),
    Entry("sql", "sql", "Ask ClickHouse in SQL: one statement, read-only, bounded in rows, time and memory."),
    Entry(
        "health",
        "services",
        "Tell whether the services that this environment names answer; ends with 1 where one does not.",
    ),
    Entry("worker", "services", "Join events into runs until told to stop (SIGTERM or Ctrl-C)."),
    Entry("load", "services", "Load what is on the topics into ClickHouse until told to stop (SIGTERM or Ctrl-C)."),
    Entry("serve", "services", "Serve health and the schemas over HTTP until told to stop (SIGTERM or Ctrl-C)."),
    Entry(
        "mcp",
        "mcp",
        "Answer agents over the Model Context Protocol on stdin and stdout, until stdin ends: bounded, and read-only.",
    ),
    Entry("migrate", "services", "Bring ClickHouse's tables and views to this version; what is there already stays."),
    Entry(
        "receive",
        "receive",
        "Receive OpenTelemetry and OpenInference spans over OTLP until told to stop (SIGTERM or Ctrl-C).",
    ),
    Entry(
        "export",
        "export",
        "Send runs as OpenTelemetry traces to any OTLP backend until told to stop (SIGTERM or Ctrl-C).",
    ),
    Entry(
        "diagnose",
        "diagnose",
        "Say of each run what went wrong, as runs close, until told to stop (SIGTERM or Ctrl-C).",
    ),
    Entry("amend", "amend", "Assemble runs again from all their stored events, and publish what has become of them."),
    Entry("rejudge", "rejudge", "Judge the evidence of stored runs again by a policy: how many runs change, and how."),
    Entry(
        "watch",
        "drift",
        "Count final runs by window, judge the windows that are over, and open and close drift alerts.",
    ),
    Entry("version", "version", "Print the version of causeline and of the Python it runs on."),
    Entry("eval", "eval", "Eval cases: from a run that went wrong to a gate for the next release."),
    Entry("policy", "policies", "Policies: what evidence must be, and what follows."),
    Entry("topics", "topics", "Kafka's topics: create them, compare them with the catalogue."),
    Entry("reviews", "reviews", "The review queue: what people were asked, and decided."),
    Entry("artifact", "artifact", "Artifacts: the content that references stand for."),
    Entry("drift", "drift", "Say what moved in the behaviour of workflows, since when, and with which version anchor."),
    Entry("dead", "dead", "Dead letters: the messages that could not be read, and sending them again after a fix."),
    Entry("backup", "backup", "Back up every table of ours, while everything runs; a backup is never written over."),
    Entry(
        "restore",
        "backup",
        "Make the database of a backup: it must have no rows, and no loader may fill it meanwhile.",
    ),
    Entry(
        "erase",
        "erase",
        "Erase a run everywhere: its rows in every table, its dead letters, and content that no other run refers to.",
    ),
    Entry("spool", "spool", "The events that wait on disk for a broker that was away."),
)

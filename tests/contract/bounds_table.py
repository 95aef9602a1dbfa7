"""The table of all bounds in docs/operations.md, from the settings and constants that hold them.

`python -m tests.contract.bounds_table` writes it anew.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from causeline.causes.settings import DiagnoserSettings
from causeline.console.read_only_sql import Bounds as SqlBounds
from causeline.console.run_filter import MAX_LIMIT
from causeline.otlp.receiver.settings import ReceiverSettings
from causeline.producers.emitter.settings import EmitterSettings
from causeline.runtime.settings import Settings
from causeline.schemas import events, topics, wire
from causeline.schemas.policy_file import MAX_POLICY_BYTES
from causeline.sinks.loader.settings import LoaderSettings
from causeline.stack.clickhouse.settings import ServerSettings
from causeline.streams.amender.settings import AmenderSettings
from causeline.streams.worker.settings import WorkerSettings

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
BEGIN, END = "<!-- bounds: made by tests/contract/bounds_table.py -->\n", "<!-- end of bounds -->\n"
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


class Setting(NamedTuple):
    """A bound that a setting holds: where, and what is done past it."""

    what: str
    model: type[Settings]
    field: str
    past: str


class Fixed(NamedTuple):
    """A bound that is part of the contract, or of a command."""

    what: str
    said_by: str
    value: Any
    past: str


CONTRACT = "the contract"
_REFUSED = "the event is refused and counted, and its run is `partial`"
_DROPPED = "the newest event is dropped and counted, and its run is `partial`"
_WAITS = "reading waits"
_CUT = "a run larger than it is cut, and `missing` says so"
_SPOOL = "the oldest events go, and an event in each run says how many"
_RECORDED = "the oldest run is put on record"
_FIRST = "it is assembled of its ends and first ones, and says so"
_CLOSED = "the oldest runs are closed as `partial`"

BOUNDS: tuple[Setting | Fixed, ...] = (
    Fixed("bytes of an event", CONTRACT, wire.MAX_EVENT_BYTES, _REFUSED),
    Fixed("labels of an event", CONTRACT, events.MAX_LABELS, _REFUSED),
    Fixed("characters of a label", CONTRACT, events.MAX_LABEL_CHARS, _REFUSED),
    Fixed("items of a list", CONTRACT, events.MAX_LIST, _REFUSED),
    Fixed("sides of a conflict", CONTRACT, events.MAX_SIDES, _REFUSED),
    Fixed("bytes of a message", CONTRACT, topics.MAX_MESSAGE_BYTES, _CUT),
    Fixed("events of a batch that is read", CONTRACT, wire.MAX_BATCH_ITEMS, "the message is a dead letter"),
    Setting("events in memory", EmitterSettings, "buffer_events", _DROPPED),
    Setting("bytes in memory", EmitterSettings, "buffer_bytes", _DROPPED),
    Setting("events of a batch", EmitterSettings, "batch_events", "it is sent"),
    Setting("bytes of a batch", EmitterSettings, "batch_bytes", "it is sent"),
    Setting("bytes of the spool", EmitterSettings, "spool_bytes", _SPOOL),
    Setting("events held outside the sample", EmitterSettings, "held_events", _RECORDED),
    Setting("bytes held outside the sample", EmitterSettings, "held_bytes", _RECORDED),
    Setting("bytes of a request", ReceiverSettings, "max_body_bytes", "413"),
    Setting("bytes of requests under way", ReceiverSettings, "max_pending_bytes", "503 and Retry-After"),
    Setting("seconds for a request to come", ReceiverSettings, "body_timeout_s", "408"),
    Setting("events of a run", WorkerSettings, "max_run_events", "it is closed as `partial`, the rest is late"),
    Setting("events of open runs", WorkerSettings, "max_open_events", _CLOSED),
    Setting("seconds that a run is open", WorkerSettings, "max_open_s", "it is closed as it is"),
    Setting("seconds that a run is idle", WorkerSettings, "idle_timeout_s", "it is closed as it is"),
    Setting("messages decoded at once", WorkerSettings, "batch_messages", "the rest waits"),
    Setting("bytes decoded at once", WorkerSettings, "batch_bytes", "the rest waits"),
    Setting("bytes published, not delivered", WorkerSettings, "max_in_flight_bytes", _WAITS),
    Setting("share of unreadable messages", WorkerSettings, "max_dead_ratio", "the worker ends and says why"),
    Setting("rows of an insert", LoaderSettings, "max_block_rows", "it is sent"),
    Setting("bytes of an insert", LoaderSettings, "max_block_bytes", "it is sent"),
    Setting("bytes in memory", LoaderSettings, "max_buffer_bytes", _WAITS),
    Setting("share of unreadable messages", LoaderSettings, "max_dead_ratio", "the loader ends and says why"),
    Setting("events of a run", AmenderSettings, "max_run_events", _FIRST),
    Setting("runs of a batch", AmenderSettings, "max_batch_runs", "the rest waits"),
    Setting("events of a batch", AmenderSettings, "max_batch_events", "the rest waits"),
    Setting("runs that wait", AmenderSettings, "max_waiting_runs", _WAITS),
    Setting("messages of a batch", DiagnoserSettings, "max_batch_messages", "the rest waits"),
    Setting("runs remembered", DiagnoserSettings, "max_rows", "workflows that rest are read again"),
    Setting("runs that wait", DiagnoserSettings, "max_waiting_runs", "the oldest keep their first word"),
    Setting("seconds behind", DiagnoserSettings, "max_lag_s", "runs are passed over, counted and told"),
    Setting("statements at a time", ServerSettings, "max_queries", "the next waits"),
    Setting("statements that wait", ServerSettings, "max_waiting", "503"),
    Setting("bytes of a request", ServerSettings, "body_limit_bytes", "413"),
    Setting("memory of a reader's query", ServerSettings, "reader_memory_bytes", "it is stopped"),
    Setting("seconds of a reader's query", ServerSettings, "reader_time_s", "it is stopped"),
    Setting("rows of a reader's answer", ServerSettings, "reader_result_rows", "it is stopped"),
    Fixed("rows of an answer", "`causeline sql --limit`", SqlBounds().rows, "the answer is cut and says so"),
    Fixed("seconds of a query", "`causeline sql --timeout`", SqlBounds().seconds, "it is stopped"),
    Fixed("memory of a query", "`causeline sql`", SqlBounds().memory_bytes, "it is stopped"),
    Fixed("runs of a list", "`causeline runs --limit`", MAX_LIMIT, "more cannot be asked for at once"),
    Fixed("bytes of a policy file", CONTRACT, MAX_POLICY_BYTES, "it is refused"),
)  # fmt: skip


def table() -> str:
    """All bounds as one Markdown table."""
    return "\n".join(["| bound | said by | default | past it |", "|---|---|---|---|", *_rows()]) + "\n"


def _rows() -> Iterator[str]:
    for bound in BOUNDS:
        if isinstance(bound, Fixed):
            yield f"| {bound.what} | {bound.said_by} | {_shown(bound.value, bound.what)} | {bound.past} |"
        else:
            default = bound.model.model_fields[bound.field].default
            variable = f"`{bound.model.prefix}{bound.field.upper()}`"
            yield f"| {bound.what} | {variable} | {_shown(default, bound.field)} | {bound.past} |"


def _shown(value: float, name: str) -> str:
    if "bytes" in name or "memory" in name:
        for size, unit in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
            if value >= size and value % size == 0:
                return f"{value // size} {unit}"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def main() -> None:
    """Write the table into its place in the page."""
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n{table()}{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()

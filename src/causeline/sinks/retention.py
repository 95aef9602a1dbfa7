"""How long rows are kept: a setting a table, put into the tables as TTLs by `causeline migrate`.

Takes settings and a client, gives what was changed. A month is a partition, and a partition is dropped as a whole once
all of it is over its time, so rows live up to a month longer than is said. Rows whose clock said a year before 2020 or
after 2099 share a partition that is never dropped by itself.

Decided in ADR 46.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from clickhouse_connect.driver.client import Client
from pydantic import Field

from causeline.runtime.settings import Settings

Days = Annotated[int, Field(ge=0, le=36_500)]


class RetentionSettings(Settings):
    """Days that rows are kept; 0 keeps them for ever. Applied by `causeline migrate`."""

    prefix: ClassVar = "CAUSELINE_RETENTION_"

    events_days: Days = 90
    """Events, which is most of what is stored; late ones amend a run only as long as its other events are kept."""
    runs_days: Days = 400
    """Runs, their gaps and review items: a year, and the month to compare it with."""
    dead_letters_days: Days = 90
    """Dead letters, and what became of them."""
    causes_days: Days = 400
    """What went wrong in runs, and the runs as their neighbours see them."""
    drift_days: Days = 400
    """Roll-ups, judgements, alerts and what people said about them."""
    policies_days: Days = 1_100
    """Policies that judged; longer than the runs that name them."""
    leases_days: Days = 180
    """Who worked on which review item."""
    erasures_days: Days = 400
    """Ids of erased runs; longer than any topic or backup that may bring one back."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A table's time: the setting, and the column that says how old a row is."""

    table: str
    setting: str
    column: str

    def ttl(self, days: int) -> str:
        """The TTL as the engine writes it down."""
        moment = f"toDateTime({self.column})"
        if self.column in _TOLD_BY_OTHERS:  # a clock that lies by years must not take a row away unseen
            moment = f"if((toYear({self.column}) >= 2020) AND (toYear({self.column}) <= 2099), {moment}, {_NEVER})"
        return f"{moment} + toIntervalDay({days})"


_TOLD_BY_OTHERS: Final = frozenset({"run_started_at", "started_at", "window_start"})
_NEVER: Final = "toDateTime('2100-01-01 00:00:00', 'UTC')"

RULES: Final = (
    Rule("narrow_event_rows", "events_days", "run_started_at"),
    Rule("narrow_run_rows", "runs_days", "started_at"),
    Rule("run_document_rows", "runs_days", "started_at"),
    Rule("run_order_rows", "runs_days", "started_at"),
    Rule("gap_rows", "runs_days", "run_started_at"),
    Rule("review_item_rows", "runs_days", "run_started_at"),
    Rule("cause_rows", "causes_days", "run_started_at"),
    Rule("neighbour_rows", "causes_days", "run_started_at"),
    Rule("dead_letter_rows", "dead_letters_days", "observed_at"),
    Rule("dead_replay_rows", "dead_letters_days", "replayed_at"),
    Rule("rollup_rows", "drift_days", "window_start"),
    Rule("rollup_sum_rows", "drift_days", "window_start"),
    Rule("drift_judgement_rows", "drift_days", "window_start"),
    Rule("drift_mark_rows", "drift_days", "marked_at"),
    Rule("alert_rows", "drift_days", "since"),
    Rule("policy_use_rows", "policies_days", "used_at"),
    Rule("review_lease_rows", "leases_days", "leased_at"),
    Rule("erasure_rows", "erasures_days", "erased_at"),
)
BOUNDED: Final[Mapping[str, str]] = {
    "schema_migrations": "one row a migration",
    "drift_pin_rows": "one row a workflow",
}
"""Tables that need no TTL, and what bounds them."""

_SHARED_MONTHS: Final = frozenset(rule.table for rule in RULES if rule.column in {*_TOLD_BY_OTHERS, "observed_at"})


def apply_retention(client: Client, settings: RetentionSettings, *, cluster: str | None = None) -> list[str]:
    """Give each table its TTL where it has another, and name the tables that were changed.

    Data that is over its time goes with the engine's next merges, not at once.
    """
    found = client.query("SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()").result_rows
    known = {str(name): str(text) for name, text in found}
    on_cluster = f" ON CLUSTER '{cluster}'" if cluster else ""
    changed = []
    for rule in RULES:
        days = getattr(settings, rule.setting)
        if rule.table not in known or not _differs(known[rule.table], rule, days):
            continue
        alter = f"ALTER TABLE {rule.table}{on_cluster}"
        if not days:
            client.command(f"{alter} REMOVE TTL")
        else:
            if rule.table in _SHARED_MONTHS:
                client.command(f"{alter} MODIFY SETTING ttl_only_drop_parts = 1")
            client.command(f"{alter} MODIFY TTL {rule.ttl(days)}")
        changed.append(rule.table)
    return changed


def _differs(engine: str, rule: Rule, days: int) -> bool:
    if not days:
        return " TTL " in engine
    return f"TTL {rule.ttl(days)}" not in engine

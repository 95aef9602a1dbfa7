"""The diagnoser without Kafka: messages of runs in, records of their causes out.

1. Each run of a batch becomes a row beside those of its workflow; of several revisions the last counts.
2. Each is held against its neighbours, and what comes of it is published.
3. Only when the broker has all of it may the messages be committed. A crash tells some runs again: the same run and
   revision, whose later word replaces the earlier.
4. Runs that went wrong, or had too few neighbours, are read from the store and told once more when they have more.
5. Runs that were read long after they were published are thinned out, so that it catches up: that is counted and told.
"""

import logging
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from causeline.causes.neighbourhood import Neighbourhood
from causeline.causes.record import cause_record, cause_value
from causeline.causes.settings import DiagnoserSettings
from causeline.causes.waiting import Unsettled, Waiting
from causeline.console.lookups import runs_by_id
from causeline.console.neighbours import rows_around
from causeline.console.policies import judging_policy
from causeline.console.store import Store
from causeline.diagnosis import Cohort, DriftAlert, diagnose, row_of
from causeline.diagnosis.traits import Row
from causeline.runtime.clock import Clock
from causeline.schemas.errors import UnreadableMessage
from causeline.schemas.partition import partition_of
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.registry import Schemas
from causeline.schemas.run import Run
from causeline.schemas.topics import RUNS
from causeline.schemas.wire import decode_items, read_block

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_READ_AGAIN_US = 600_000_000
"""How long what the store said of farther back, of waiting runs, and of a policy that it lacks counts."""
_ALERTS_US = 60_000_000
_BEHIND_US = 10_000_000
_LOOK_US = 1_000_000
_SETTLED_AT_ONCE = 100
_POLICIES = 1_000
_UNSETTLED = """
SELECT run_id, workflow, toUnixTimestamp64Micro(run_started_at) AS started_us, revision FROM causes
WHERE NOT settled AND run_started_at > now64(6) - INTERVAL 2 DAY ORDER BY run_started_at DESC LIMIT {limit:UInt32}
"""


@dataclass(frozen=True, slots=True)
class RunMessage:
    """A message of the runs topic; `produced_us` is None where nobody knows."""

    partition: int
    offset: int
    value: bytes
    produced_us: int | None = None


class Publisher(Protocol):
    """Where records go."""

    def publish(self, partition: int, key: bytes, value: bytes) -> None:
        """Hand over a message."""
        ...

    def deliver(self) -> None:
        """Wait until the broker has all that was handed over; raises Unreachable when it does not take it."""
        ...


@dataclass(slots=True)
class Counters:
    """What the diagnoser has done since it began."""

    messages: int = 0
    runs: int = 0
    went_wrong: int = 0
    settled: int = 0
    passed_over: int = 0
    given_up: int = 0
    failed: int = 0
    unreadable: int = 0


@dataclass(slots=True)
class _Known:
    """Answers of the store that count for a while, by what was asked."""

    policies: dict[str, tuple[int, Policy | None]] = field(default_factory=dict)
    alerts: dict[str, tuple[int, Sequence[DriftAlert] | None]] = field(default_factory=dict)


class Diagnoser:
    """Diagnoses the runs of the partitions it is given. `drift_of` tells the alerts of a workflow."""

    def __init__(
        self,
        settings: DiagnoserSettings,
        *,
        store: Store,
        publisher: Publisher,
        schemas: Schemas,
        clock: Clock,
        drift_of: Callable[[Store, str], Sequence[DriftAlert] | None],
        partitions: int,
    ) -> None:
        self._settings = settings
        self._store, self._publisher, self._schemas = store, publisher, schemas
        self._clock, self._drift_of, self._partitions = clock, drift_of, partitions
        self._near: dict[str, Neighbourhood] = {}
        self._known = _Known()
        self._mine: set[int] = set()
        self._resume_at = 0
        self._look_at = 0
        self._behind = False
        self._settle_us = round(settings.settle_s * 1e6)
        self.waiting = Waiting(self._settle_us, settings.max_waiting_runs)
        self.counters = Counters()

    def own(self, partitions: Collection[int]) -> None:
        """These partitions are read here from now on: what waits of them is taken up at the next turn."""
        self._mine |= set(partitions)
        self._resume_at = self._look_at = 0

    def forget(self, partitions: Collection[int]) -> None:
        """Somebody else reads these partitions."""
        self._mine -= set(partitions)
        self.waiting.forget(partitions)

    def take(self, messages: Sequence[RunMessage]) -> None:
        """Diagnose the runs of some messages, and publish; raises what store and broker raise.

        When it returns the broker has the records. When it raises the same messages may be given again.
        """
        now_us = self._clock()
        # Read late, partitions are read unevenly: neighbours of these runs are on their way, and no word is the last.
        produced = [message.produced_us for message in messages if message.produced_us is not None]
        self._behind = bool(produced) and now_us - min(produced) > _BEHIND_US
        if self._behind:
            self._look_at = now_us + self._settle_us
        newest: dict[str, tuple[int, Run]] = {}
        for message in messages:
            for run in self._runs_of(message, now_us):
                known = newest.get(run.run_id)
                if known is None or run.revision >= known[1].revision:
                    newest[run.run_id] = (message.partition, run)
        self._tell([(partition, run) for partition, run in newest.values()], now_us, last=False)
        self.counters.messages += len(messages)
        self._let_rest()

    def turn(self) -> int:
        """Tell the last word of runs whose time has come; gives how many. Raises as `take`."""
        now_us = self._clock()
        if now_us >= self._resume_at:
            self._take_up(now_us)
            self._resume_at = now_us + _READ_AGAIN_US
        if now_us < self._look_at:
            return 0
        due = self._due(now_us)
        if len(due) < _SETTLED_AT_ONCE:
            self._look_at = now_us + _LOOK_US
        if not due:
            return 0
        found = runs_by_id(self._store, [each.run_id for each in due])
        ready: list[tuple[int, Run]] = []
        for each in due:
            run = found.get(each.run_id)
            if run is not None and run.revision == each.revision:
                ready.append((each.partition, run))
            elif run is not None and run.revision > each.revision:
                self.waiting.settled(each.run_id)  # the newer revision has a first word of its own, or is about to
            elif each.is_given_up(now_us):
                self.waiting.settled(each.run_id)
            else:
                self.waiting.later(each, now_us)
        self._tell(ready, now_us, last=True)
        for _, run in ready:
            self.waiting.settled(run.run_id)
        self.counters.settled += len(ready)
        self.counters.given_up = self.waiting.given_up
        return len(ready)

    # --- reading

    def _runs_of(self, message: RunMessage, now_us: int) -> Iterable[Run]:
        try:
            records = decode_items(read_block(message.value, RUNS.subject, self._schemas))
        except UnreadableMessage as error:
            # The loader buries it; here it is only told.
            self.counters.unreadable += 1
            log.warning("partition %d offset %d cannot be read: %s", message.partition, message.offset, error)
            return []
        share = self._thinned(message, now_us)
        runs = [Run.from_record(each) for each in records if zlib.crc32(str(each["run_id"]).encode()) % share == 0]
        self.counters.passed_over += len(records) - len(runs)
        return [run for run in runs if run.started_at is not None]

    def _thinned(self, message: RunMessage, now_us: int) -> int:
        """One run of how many is diagnosed: 1, unless it is far behind."""
        if message.produced_us is None:
            return 1
        behind_s, share = (now_us - message.produced_us) / 1e6, 1
        while behind_s > self._settings.max_lag_s and share < 64:
            behind_s, share = behind_s / 2, share * 2
        return share

    def _take_up(self, now_us: int) -> None:
        """What had its first word only, by a member before this one or because nobody waited for it any more."""
        rows = self._store.ask(_UNSETTLED, {"limit": self._settings.max_waiting_runs // 2})
        for row in reversed(rows):
            run_id = str(row["run_id"])
            partition = partition_of(run_id, self._partitions)
            if partition in self._mine and run_id not in self.waiting:
                self.waiting.want(
                    run_id,
                    workflow=str(row["workflow"]),
                    partition=partition,
                    started_us=int(str(row["started_us"])),
                    revision=int(str(row["revision"])),
                    now_us=now_us,
                )

    def _due(self, now_us: int) -> list[Unsettled]:
        due = []
        for each in self.waiting.each():
            near = self._near.get(each.workflow)
            if each.is_due(now_us, near.after(each.started_us / 1e6) if near is not None else 0):
                due.append(each)
                if len(due) == _SETTLED_AT_ONCE:
                    break
        return due

    # --- telling

    def _tell(self, runs: Sequence[tuple[int, Run]], now_us: int, *, last: bool) -> None:
        """Publish what went wrong in runs. One that cannot be diagnosed is left out, and stops no other."""
        by_workflow: dict[str, list[tuple[int, Run, Row, Policy]]] = {}
        for partition, run in runs:
            policy = self._policy_of(run.policy_hash, now_us)
            row = self._guarded(run, lambda run=run, policy=policy: row_of(run, policy))  # type: ignore[misc]
            if row is not None:
                by_workflow.setdefault(run.workflow, []).append((partition, run, row, policy))
        for workflow, mine in by_workflow.items():
            near = self._neighbourhood(workflow, [row for _, _, row, _ in mine], now_us)
            of_row = {row.run_id: (partition, run, policy) for partition, run, row, policy in mine}
            alerts = self._alerts_of(workflow, now_us)
            for cohort, rows in near.cohorts([row for _, _, row, _ in mine]):
                for row in rows:
                    partition, run, policy = of_row[row.run_id]
                    self._tell_one(run, row, policy, alerts, cohort, partition=partition, now_us=now_us, last=last)
        self._publisher.deliver()

    def _tell_one(
        self,
        run: Run,
        row: Row,
        policy: Policy,
        alerts: Sequence[DriftAlert] | None,
        cohort: Cohort,
        *,
        partition: int,
        now_us: int,
        last: bool,
    ) -> None:
        found = self._guarded(run, lambda: diagnose(run, policy, alerts, cohort))
        if found is None:
            return
        settled = last or (found.first_cause is None and cohort.can_tell and not self._behind)
        record = cause_record(run, found, row, now_us=now_us, settled=settled, neighbours=len(cohort.rows))
        self._publisher.publish(partition, run.run_id.encode(), cause_value(record, self._schemas))
        if last:
            return
        self.counters.runs += 1
        self.counters.went_wrong += found.first_cause is not None
        if settled:
            self.waiting.settled(run.run_id)
        else:
            self.waiting.want(
                run.run_id,
                workflow=run.workflow,
                partition=partition,
                started_us=round(row.started_at * 1e6),
                revision=run.revision,
                now_us=now_us,
            )

    def _guarded(self, run: Run, ask: Callable[[], _T]) -> _T | None:
        try:
            return ask()
        except Exception:
            log.exception("run %s cannot be diagnosed", run.run_id)
            self.counters.failed += 1
            return None

    # --- what is remembered

    def _neighbourhood(self, workflow: str, rows: Sequence[Row], now_us: int) -> Neighbourhood:
        """The workflow's runs with `rows` among them; the one asked last is forgotten last."""
        near = self._near.pop(workflow, None) or Neighbourhood()
        self._near[workflow] = near
        if near.read_us is None or now_us - near.read_us > _READ_AGAIN_US:
            newest = max(row.started_at for row in rows)
            near.know(rows_around(self._store, workflow, round(newest * 1e6)), now_us)
        for row in rows:
            near.add(row)
        return near

    def _let_rest(self) -> None:
        known = sum(map(len, self._near.values()))
        while known > self._settings.max_rows and len(self._near) > 1:
            known -= len(self._near.pop(next(iter(self._near))))

    def _policy_of(self, policy_hash: str | None, now_us: int) -> Policy:
        if policy_hash is None:
            return DEFAULT_POLICY
        policies = self._known.policies
        known = policies.get(policy_hash)
        if known is None or (known[1] is None and now_us - known[0] > _ALERTS_US):
            if len(policies) >= _POLICIES:
                policies.clear()
            known = policies[policy_hash] = (now_us, judging_policy(self._store, policy_hash))
        return known[1] or DEFAULT_POLICY

    def _alerts_of(self, workflow: str, now_us: int) -> Sequence[DriftAlert] | None:
        known = self._known.alerts.get(workflow)
        if known is None or now_us - known[0] > _ALERTS_US:
            if len(self._known.alerts) >= _POLICIES:
                self._known.alerts.clear()
            known = self._known.alerts[workflow] = (now_us, self._drift_of(self._store, workflow))
        return known[1]

    def counts(self) -> Mapping[str, float]:
        """What it has done, for metrics."""
        return {name: getattr(self.counters, name) for name in self.counters.__slots__}

"""The diagnoser without Kafka: messages of runs in, records of their causes out.

1. Each run of a batch becomes a row beside those of its workflow; of several revisions the last counts.
2. Each is held against its neighbours, and what comes of it is published.
3. Only when the broker has all of it may the messages be committed. A crash tells some runs again: the same run and
   revision, whose later word replaces the earlier.
4. Each has its last word when it has more neighbours. Where nothing speaks against it then either, which its row tells,
   it is told again as it was; else it is read from the store and diagnosed anew.
5. Runs that were read long after they were published are thinned out, so that it catches up: that is counted and told.
"""

import logging
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from causeline.causes.neighbourhood import Neighbourhood
from causeline.causes.record import as_last_word, cause_record, cause_value, read_value, row_in
from causeline.causes.settings import DiagnoserSettings
from causeline.causes.waiting import Unsettled, Waiting, Word
from causeline.console.lookups import revisions_of, runs_by_id
from causeline.console.neighbours import rows_around
from causeline.console.policies import judging_policy
from causeline.console.store import Store
from causeline.diagnosis import Cohort, DriftAlert, Reading, diagnosis_of, may_speak
from causeline.runtime.clock import Clock
from causeline.schemas.errors import CauselineError, UnreadableMessage
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
_SETTLED_AT_ONCE = 200
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
        self._look_at = self._quiet_until = 0
        self._behind = False
        self._settle_us = round(settings.settle_s * 1e6)
        self.waiting = Waiting(self._settle_us, settings.max_waiting_runs)
        self.counters = Counters()

    def own(self, partitions: Collection[int]) -> None:
        """These partitions are read here from now on: what waits of them is taken up at the next turn."""
        self._mine |= set(partitions)
        self._resume_at = self._look_at = self._quiet_until = 0

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
            self._quiet_until = now_us + self._settle_us
        newest: dict[str, tuple[int, Run]] = {}
        for message in messages:
            for run in self._runs_of(message, now_us):
                known = newest.get(run.run_id)
                if known is None or run.revision >= known[1].revision:
                    newest[run.run_id] = (message.partition, run)
        self._tell(list(newest.values()), now_us, last=False)
        self._publisher.deliver()
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
        standing = revisions_of(self._store, [each.run_id for each in due])
        ready = []
        for each in due:
            revision = standing.get(each.run_id)
            if revision == each.revision:
                ready.append(each)
            elif revision is not None and revision > each.revision:
                self.waiting.settled(each.run_id)  # the newer revision has a first word of its own, or is about to
            elif each.is_given_up(now_us):
                self.waiting.settled(each.run_id)
            else:
                self.waiting.later(each, now_us)
        told = self._tell_the_last(ready, now_us)
        for run_id in told:
            self.waiting.settled(run_id)
        self.counters.settled += len(told)
        self.counters.given_up = self.waiting.given_up
        return len(told)

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
        is_quiet, too_many = now_us >= self._quiet_until, self.waiting.too_many
        for number, each in enumerate(self.waiting.each()):
            near, at = self._near.get(each.workflow), each.started_us / 1e6
            hurries = number < too_many or (near is not None and near.is_leaving(at))
            is_due = is_quiet and now_us >= each.not_before_us
            is_due = is_due and each.is_due(now_us, near.after(at) if near is not None else 0)
            if is_due or (hurries and not each.is_put_off(now_us)):
                due.append(each)
                if len(due) == _SETTLED_AT_ONCE:
                    break
        return due

    # --- telling

    def _tell(self, runs: Sequence[tuple[int, Run]], now_us: int, *, last: bool) -> None:
        """Hand over what went wrong in runs. One that cannot be diagnosed is left out, and stops no other."""
        by_workflow: dict[str, dict[str, tuple[int, Reading]]] = {}
        for partition, run in runs:
            reading = self._guarded(run.run_id, partial(self._read, run, now_us))
            if reading is not None:
                by_workflow.setdefault(run.workflow, {})[run.run_id] = (partition, reading)
        for workflow, mine in by_workflow.items():
            rows = [reading.row for _, reading in mine.values()]
            near = self._neighbourhood(workflow, max(row.started_at for row in rows), now_us)
            for row in rows:
                if not last or near.row(row.run_id) is None:
                    near.add(row)
            alerts = self._alerts_of(workflow, now_us)
            for cohort, some in near.cohorts(rows, last=last):
                for row in some:
                    partition, reading = mine[row.run_id]
                    self._tell_one(reading, alerts, cohort, partition=partition, now_us=now_us, last=last)

    def _read(self, run: Run, now_us: int) -> Reading:
        reading = Reading(run, self._policy_of(run.policy_hash, now_us))
        reading.row  # noqa: B018 - made here, where a fault of it stops no other run
        return reading

    def _tell_one(
        self,
        reading: Reading,
        alerts: Sequence[DriftAlert] | None,
        cohort: Cohort,
        *,
        partition: int,
        now_us: int,
        last: bool,
    ) -> None:
        run, row = reading.record.run, reading.row
        found = self._guarded(run.run_id, lambda: diagnosis_of(reading, alerts, cohort, with_nearest=False))
        if found is None:
            return
        record = cause_record(run, found, row, now_us=now_us, settled=last, neighbours=len(cohort.rows))
        value = cause_value(record, self._schemas)
        self._publisher.publish(partition, run.run_id.encode(), value)
        if last:
            return
        self.counters.runs += 1
        self.counters.went_wrong += found.first_cause is not None
        self.waiting.want(
            run.run_id,
            workflow=run.workflow,
            partition=partition,
            started_us=round(row.started_at * 1e6),
            revision=run.revision,
            now_us=now_us,
            word=None if found.symptoms or reading.is_objected_to else Word.of(value, alerts),
        )

    def _tell_the_last(self, runs: Sequence[Unsettled], now_us: int) -> list[str]:
        """Publish the last word of runs; gives the ids of those that were told, once the broker has it."""
        told = self._tell_as_before(runs, now_us)
        known = set(told)
        found = runs_by_id(self._store, [each.run_id for each in runs if each.run_id not in known])
        again = [(each.partition, found[each.run_id]) for each in runs if each.run_id in found]
        self._tell(again, now_us, last=True)
        self._publisher.deliver()
        return [*told, *(run.run_id for _, run in again)]

    def _tell_as_before(self, runs: Sequence[Unsettled], now_us: int) -> list[str]:
        """Hand over the first word once more, as the last, where nothing speaks against a run now either."""
        by_workflow: dict[str, dict[str, tuple[Unsettled, Word]]] = {}
        for each in runs:
            if each.word is not None:
                by_workflow.setdefault(each.workflow, {})[each.run_id] = (each, each.word)
        told = []
        for workflow, mine in by_workflow.items():
            alerts = self._alerts_of(workflow, now_us)
            near = self._neighbourhood(workflow, max(each.started_us for each, _ in mine.values()) / 1e6, now_us)
            words = {
                run_id: read_value(word.value, self._schemas)
                for run_id, (_, word) in mine.items()
                if word.alerts == alerts
            }
            rows = [near.row(run_id) or row_in(record) for run_id, record in words.items()]
            for cohort, some in near.cohorts(rows, last=True):
                for row in some:
                    if self._guarded(row.run_id, partial(may_speak, row, cohort)) is False:
                        record = as_last_word(words[row.run_id], now_us=now_us, neighbours=len(cohort.rows))
                        value = cause_value(record, self._schemas)
                        self._publisher.publish(mine[row.run_id][0].partition, row.run_id.encode(), value)
                        told.append(row.run_id)
        return told

    def _guarded(self, run_id: str, ask: Callable[[], _T]) -> _T | None:
        try:
            return ask()
        except CauselineError:
            raise  # what is asked on the way does not answer, which is no fault of the run
        except Exception:
            log.exception("run %s cannot be diagnosed", run_id)
            self.counters.failed += 1
            return None

    # --- what is remembered

    def _neighbourhood(self, workflow: str, newest: float, now_us: int) -> Neighbourhood:
        """The workflow's runs around a moment; the workflow asked last is forgotten last."""
        near = self._near.pop(workflow, None) or Neighbourhood()
        self._near[workflow] = near
        if near.read_us is None or now_us - near.read_us > _READ_AGAIN_US:
            near.know(rows_around(self._store, workflow, round(newest * 1e6)), now_us)
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

"""The worker as a state machine: whatever is delivered, repeated, reordered, held back or replayed, and whenever it
crashes, loses its partition or waits, what it publishes is what the definition makes of the same events.

CAUSELINE_FUZZ_EXAMPLES says how many histories are tried.
"""

import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from causeline.schemas import wire
from causeline.schemas.errors import UnreadableMessage
from causeline.schemas.events import Record
from causeline.streams.worker.settings import Limits
from tests.unit.streams.both import as_claims, defined
from tests.unit.streams.build import SCHEMAS, batch, event, mixed_events, whole_run
from tests.unit.streams.worker.test_joiner import SECOND, Log

BY_TIMING = ("source_partition", "first_offset", "last_offset", "close_reason", "closed_at")
"""Columns that say where and when, not what."""


def events_in(value: bytes | None) -> list[Record]:
    try:
        return list(wire.decode_items(wire.read_block(value, "trace-batch", SCHEMAS)))
    except UnreadableMessage:
        return []


class WorkerMachine(RuleBasedStateMachine):
    """One partition, its producers with all their faults, and a worker that comes and goes."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.pending: list[Record] = []
        self.events: list[list[Record]] = []
        """By message of the log."""
        self.seen = 0
        self.checked = 0
        self.runs: dict[str, list[tuple[int, int]]] = {}
        """First and last offset of each publication of a run."""
        self.late: set[object] = set()
        self.buried: set[object] = set()
        self.safe: set[object] = set()

    @initialize(
        some=mixed_events(),
        picks=st.lists(st.integers(0, 2), min_size=15, max_size=15),
        limits=st.sampled_from([Limits(), Limits(max_run_events=4), Limits(max_open_events=6), Limits(grace_s=0)]),
    )
    def begin(self, some: list[Record], picks: list[int], limits: Limits) -> None:
        runs = [whole_run(number) for number in (10, 11, 12)]
        runs[2].append(event("review_recorded", run=12, emitter="desk"))
        self.pending = some
        for pick in picks:
            alive = [run for run in runs if run]
            self.pending.append(alive[pick % len(alive)].pop(0))
        self.limits = limits
        self.log.start(limits)

    def _append(self, value: bytes | None) -> None:
        self.log.values.append(value)
        self.events.append(events_in(value))

    # --- producers

    @precondition(lambda self: self.pending)
    @rule(count=st.integers(1, 5), repeat=st.booleans())
    def send(self, count: int, repeat: bool) -> None:
        events, self.pending = self.pending[:count], self.pending[count:]
        self._append(batch(events + events[:1] if repeat else events))

    @precondition(lambda self: self.pending)
    @rule()
    def hold_back(self) -> None:
        self.pending.append(self.pending.pop(0))

    @precondition(lambda self: self.log.values)
    @rule(which=st.integers(0, 10**6))
    def replay(self, which: int) -> None:
        self._append(self.log.values[which % len(self.log.values)])

    @rule(junk=st.sampled_from([None, b"", b"\x00junk", b"\x01" + b"\xff" * 9]))
    def send_junk(self, junk: bytes | None) -> None:
        self._append(junk)

    # --- the worker

    @rule(count=st.integers(1, 4))
    def read(self, count: int) -> None:
        self.log.read(count)

    @rule()
    def close(self) -> None:
        assert self.log.joiner is not None
        self.log.joiner.close_due()

    @rule(count=st.integers(1, 3))
    def deliver(self, count: int) -> None:
        self.log.deliver(count)

    @rule(seconds=st.sampled_from([1, 3, 61, 301]))
    def wait(self, seconds: int) -> None:
        self.log.now_us += seconds * SECOND

    @rule()
    def crash(self) -> None:
        self.log.start(self.limits)

    # --- what holds at every moment, and at the end

    @invariant()
    def all_is_well(self) -> None:
        self._what_is_published_is_what_the_definition_makes_of_its_events()
        self._what_is_acknowledged_is_safe_elsewhere()

    def _what_is_published_is_what_the_definition_makes_of_its_events(self) -> None:
        new, self.seen = self.log.published[self.seen :], len(self.log.published)
        for each in new:
            if each.topic.name == "runs":
                for run in wire.decode_items(wire.read_block(each.value, "run-batch", SCHEMAS)):
                    self._check_run(dict(run))
            elif each.topic.name == "late":
                self.late.update(record["event_id"] for record in events_in(each.value))
            elif each.topic.name == "dead":
                self.buried.add(wire.decode_datum(each.value, "dead-letter", SCHEMAS)["offset"])

    def _check_run(self, run: dict[str, Any]) -> None:
        self.runs.setdefault(run["run_id"], []).append((run["first_offset"], run["last_offset"]))
        between = self.events[run["first_offset"] : run["last_offset"] + 1]
        mine = [each for message in between for each in message if each["run_id"] == run["run_id"]]
        expected = defined(as_claims(mine))[run["run_id"]]
        if run["close_reason"] == "overflow":
            assert run["verdict"] == "partial"
            expected["verdict"] = "partial"
            ends = [each for each in ("start", "end") if each in expected["missing"]]
            expected["missing"] = [*ends[:1], "overflow", *ends[1:]] if "start" in ends else ["overflow", *ends]
        for name, value in expected.items():
            assert name in BY_TIMING or run[name] == value, f"{name} of run {run['run_id']}: {run[name]}, not {value}"

    def _what_is_acknowledged_is_safe_elsewhere(self) -> None:
        for offset in range(self.checked, self.log.committed):
            good = self.events[offset]
            assert good or offset in self.buried, f"message {offset} is acknowledged and nowhere"
            for each in good:
                joined = any(first <= offset <= last for first, last in self.runs.get(str(each["run_id"]), ()))
                assert joined or each["event_id"] in self.late or each["event_id"] in self.safe, (
                    f"event {each['event_id']} of run {each['run_id']} at {offset} is in no run and not late"
                )
                self.safe.add(each["event_id"])
        self.checked = self.log.committed

    def teardown(self) -> None:
        """Producers and workers come to rest: all is acknowledged, and every event is safe."""
        if self.log.joiner is None:
            return
        while self.pending:
            self.send(5, repeat=False)
        self.log.start(self.limits)
        for _ in range(4):
            self.log.turn()
            self.log.now_us += 400 * SECOND
        self.log.turn()
        assert self.log.committed == len(self.log.values), "a message is held for good"
        self.all_is_well()


TestWorkerMachine = WorkerMachine.TestCase
TestWorkerMachine.settings = settings(
    max_examples=int(os.environ.get("CAUSELINE_FUZZ_EXAMPLES", "20")), stateful_step_count=25, deadline=None
)

"""The doctor's checks: what was found becomes a level, a sentence and a way out."""

import threading
import time

import pytest

from causeline.ops.copies import Copies
from causeline.ops.doctor import checks
from causeline.ops.doctor.checks import Behind, TopicState
from causeline.ops.doctor.model import Examination, Level, Line, examine
from causeline.schemas.errors import Unreachable
from causeline.schemas.wire.native import State

OK, WARNING, FAILED = Level.OK, Level.WARNING, Level.FAILED
GIB = 2**30


def state(name: str = "c.events", *, exists: bool = True, partitions: int = 4, **more: tuple[str, ...]) -> TopicState:
    return TopicState(name, exists, partitions, 4, **more)


@pytest.mark.parametrize(
    ("line", "level", "says"),
    [
        (checks.topics([state()]), OK, "1 topics are as the catalogue has them"),
        (checks.topics([state(), state("c.runs", exists=False)]), FAILED, "missing: c.runs"),
        (checks.topics([state(partitions=3)]), FAILED, "partitions of c.events"),
        (checks.topics([state(differing=("retention.ms",))]), WARNING, "c.events (retention.ms)"),
        (
            checks.copies(Copies(3, 8, 0, 0, (), 3)),
            OK,
            "8 partitions have all their copies up to date (3 copies of each)",
        ),
        (checks.copies(Copies(1, 8, 0, 0, (), 1)), OK, "(one copy of each)"),
        (checks.copies(Copies(3, 8, 0, 0, (), 1)), WARNING, "one copy of each partition on 3 brokers"),
        (checks.copies(Copies(2, 8, 5, 0, (3,), 3)), WARNING, "5 of 8 partitions have a copy that is not up to date"),
        (checks.copies(Copies(1, 8, 8, 6, (2, 3), 3)), FAILED, "6 of 8 partitions take no events"),
        (checks.lag([])[0], WARNING, "has read anything yet"),
        (checks.lag([Behind("g", "t", 0, None)])[0], OK, "g has read all of t"),
        (checks.lag([Behind("g", "t", 10, 1.0)])[0], OK, "10 messages behind"),
        (checks.lag([Behind("g", "t", 10, 61.0)])[0], WARNING, "10 messages behind"),
        (checks.lag([Behind("g", "t", 10, 601.0)])[0], FAILED, "10 messages behind"),
        (checks.skew("X", -0.5), OK, "agrees"),
        (checks.skew("X", 2.0), WARNING, "2.0 s ahead of"),
        (checks.skew("X", -90.0), FAILED, "90.0 s behind"),
        (checks.skew("X", 2.0, within_s=1.5), OK, "agrees"),
        (checks.migrations({1, 2}, {1: "a", 2: "b"}), OK, "All 2"),
        (checks.migrations({1}, {1: "a", 2: "b"}), FAILED, "not applied: b"),
        (checks.migrations({1, 9}, {1: "a"}), WARNING, "newer release"),
        (checks.parts({}), OK, "No table"),
        (checks.parts({"a": 3, "b": 299}), OK, "merged well"),
        (checks.parts({"a": 3, "b": 301}), WARNING, "b has 301 parts"),
        (checks.parts({"b": 1001}), FAILED, "1,001 parts"),
        (checks.dead_letters(0, 0), OK, "No message"),
        (checks.dead_letters(1, 100_000), OK, "1 messages"),
        (checks.dead_letters(5, 995), WARNING, "(0.50%)"),
        (checks.dead_letters(50, 950), FAILED, "(5.00%)"),
        (checks.losses(0, 0), OK, "No run is old enough"),
        (checks.losses(0, 7), OK, "lost none of 7"),
        (checks.losses(1, 100_000), WARNING, "lost 1 of 100,000"),
        (checks.losses(500, 100_000), FAILED, "(0.500%)"),
        (checks.disk("D", 50 * GIB, 100 * GIB), OK, "50.0 GiB free"),
        (checks.disk("D", 8 * GIB, 100 * GIB), WARNING, "8.0 GiB free"),
        (checks.disk("D", GIB // 4, 4 * GIB), FAILED, "0.2 GiB free"),
        (checks.policy(None, "a", None), OK, "built-in policy (a)"),
        (checks.policy("p.toml", "a", "a"), OK, "p.toml (a) is the one"),
        (checks.policy("p.toml", "a", "b"), WARNING, "judge by another (b)"),
        (checks.core(State("version 1"), is_used=True), OK, "by the compiled core (compiled core: version 1)"),
        (checks.core(State("not installed"), is_used=False), OK, "by Python (compiled core: not installed)"),
        (checks.core(State("damaged", is_well=False), is_used=False), WARNING, "by Python (compiled core: damaged)"),
        (checks.spool(0, 100), OK, "Nothing waits"),
        (checks.spool(2**20, 4 * 2**20), WARNING, "1.0 MiB wait"),
        (checks.spool(95, 100), FAILED, "wait in the spool"),
    ],
)
def test_a_check_says_how_it_is(line: Line, level: Level, says: str) -> None:
    assert (line.level, says in line.says) == (level, True), line
    assert level is OK or line.way_out


def test_all_are_looked_at_at_once_and_one_that_hangs_or_breaks_hides_no_other() -> None:
    gate = threading.Event()

    def hangs() -> list[Line]:
        gate.wait(30)
        return []

    def refuses() -> list[Line]:
        raise Unreachable("Kafka at nowhere does not answer.", hint="causeline up")

    def breaks() -> list[Line]:
        raise KeyError("x")

    began = time.monotonic()
    lines = examine(
        [
            Examination("slow", hangs),
            Examination("kafka", refuses),
            Examination("odd", breaks),
            Examination("fine", lambda: [Line("fine", OK, "Well.")]),
        ],
        within_s=0.3,
    )
    gate.set()
    assert time.monotonic() - began < 10
    assert [(line.name, line.level) for line in lines] == [
        ("slow", FAILED), ("kafka", FAILED), ("odd", FAILED), ("fine", OK),
    ]  # fmt: skip
    assert lines[1].way_out == "causeline up"
    assert lines[2].says == "The check broke: KeyError."


def test_a_group_of_somebody_else_that_is_behind_is_no_failure_of_ours() -> None:
    (line,) = checks.lag([checks.Behind("their.tool", "causeline.runs", 9, 3600.0, is_ours=False)])
    assert (line.level, line.says) == (
        Level.OK, "their.tool, no group of ours, is 9 messages behind on causeline.runs."
    )  # fmt: skip


def test_who_is_behind_is_who_gets_another_member() -> None:
    (line,) = checks.lag([checks.Behind("causeline.diagnoser", "causeline.runs", 383, 139.0)])
    assert line.way_out == "One more member of causeline.diagnoser, up to one a partition."


def test_runs_that_a_bound_closed_are_told_with_the_bounds() -> None:
    assert checks.bounds(0, 5).level is Level.OK
    line = checks.bounds(2, 5)
    assert line.level is Level.WARNING
    assert line.way_out is not None
    assert "CAUSELINE_WORKER_MAX_OPEN_EVENTS" in line.way_out


def test_a_service_that_was_started_again_says_how_it_last_ended() -> None:
    assert [line.level for line in checks.restarts([])] == [Level.OK]
    again, down = checks.restarts(
        [checks.Restarted("worker-1", 3, "ended with 5: the worker ends: no"), checks.Restarted("load-1", 9, "", True)]
    )
    assert (again.level, again.says) == (
        Level.WARNING, "worker-1 was started again 3 times; it ended with 5: the worker ends: no."
    )  # fmt: skip
    assert down.level is Level.FAILED

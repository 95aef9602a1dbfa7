"""When a run is looked at, and what a look says of it."""

from causeline.streams.amender.stored import Standing
from causeline.streams.amender.waiting import Look, Patience, Waiting, Wanted, look
from causeline.streams.worker.acknowledge import Entry

SECOND = 1_000_000
PATIENCE = Patience(
    visible_us=100 * SECOND,
    unjoined_us=60 * SECOND,
    orphans_us=3 * SECOND,
    watch_us=1000 * SECOND,
    retry_min_us=SECOND,
    retry_max_us=8 * SECOND,
)
KEY = (0, "run")


def seen_as(*, now_s: int, mark: str | None = "m", **standing: int | bool) -> Look:
    wanted = Wanted(KEY, 0, 0, mark)
    found = Standing(**{"run_id": "run", "events": 12, "seen": True, "revision": 10, **standing})  # type: ignore[arg-type]
    return look(wanted, found, now_s * SECOND, PATIENCE, at_most=1000)


def test_more_events_than_the_record_counts_are_amended_at_once() -> None:
    assert seen_as(now_s=0) is Look.AMEND


def test_a_record_that_counts_all_is_left_alone() -> None:
    assert seen_as(now_s=0, revision=12) is Look.NOTHING_NEW


def test_a_decision_that_came_before_the_run_s_own_events_is_not_taken_for_counted() -> None:
    """Its record counts twelve, of which eleven are there, and the decision makes twelve of them."""
    assert seen_as(now_s=99, revision=12, awaited=1) is Look.NOT_VISIBLE
    assert seen_as(now_s=99, revision=12, events=13) is Look.AMEND
    assert seen_as(now_s=100, revision=12, awaited=1) is Look.NOTHING_NEW


def test_late_events_are_waited_for_until_patience_ends() -> None:
    assert seen_as(now_s=99, seen=False) is Look.NOT_VISIBLE
    assert seen_as(now_s=100, seen=False) is Look.AMEND
    assert seen_as(now_s=0, seen=False, mark=None) is Look.AMEND


def test_a_run_that_nobody_published_is_left_to_its_worker_first() -> None:
    assert seen_as(now_s=59, revision=0) is Look.NOT_JOINED
    assert seen_as(now_s=60, revision=0) is Look.AMEND


def test_spans_that_their_worker_gave_up_are_left_to_it_no_longer_than_a_record_needs_to_arrive() -> None:
    wanted = Wanted(KEY, 0, 0, "m", orphans=True)
    found = Standing(run_id="run", events=2, seen=True)
    assert look(wanted, found, 2 * SECOND, PATIENCE, at_most=1000) is Look.NOT_JOINED
    assert look(wanted, found, 3 * SECOND, PATIENCE, at_most=1000) is Look.AMEND


def test_a_foreign_run_that_was_published_without_its_entry_is_looked_at_often_while_it_may_still_come() -> None:
    waiting = Waiting(PATIENCE)
    waiting.want(KEY, 0, mark="m", orphans=True)
    now_us = 0
    for _ in range(5):
        [wanted] = waiting.due(now_us, 10)
        waiting.settle(wanted, now_us, watch=True)
        now_us = waiting.next_due_us() or 0
    assert now_us == (1 + 2 + 4 + 8 + 8) * SECOND
    for _ in range(20):
        [wanted] = waiting.due(now_us, 10)
        waiting.settle(wanted, now_us, watch=True)
        before_us, now_us = now_us, waiting.next_due_us() or 0
    assert now_us - before_us == 32 * SECOND


def test_events_past_the_cap_are_nothing_new() -> None:
    wanted = Wanted(KEY, 0, 0, None)
    large = Standing(run_id="run", events=5000, seen=True, revision=1000)
    assert look(wanted, large, 0, PATIENCE, at_most=1000) is Look.NOTHING_NEW


def test_events_that_never_came_are_lost_only_after_the_wait() -> None:
    wanted = Wanted(KEY, 0, 0, "m")
    assert look(wanted, None, 99 * SECOND, PATIENCE, at_most=1000) is Look.NOT_VISIBLE
    assert look(wanted, None, 100 * SECOND, PATIENCE, at_most=1000) is Look.LOST


def test_pauses_double_up_to_the_longest() -> None:
    waiting = Waiting(PATIENCE)
    waiting.want(KEY, 0, mark="m", entry=Entry(0, 0, 0))
    now_us, pauses = 0, []
    for _ in range(6):
        [wanted] = waiting.due(now_us, 10)
        waiting.again(wanted, now_us)
        due_us = waiting.next_due_us() or 0
        assert waiting.due(due_us - 1, 10) == []
        pauses.append((due_us - now_us) // SECOND)
        now_us = due_us
    assert pauses == [1, 2, 4, 8, 8, 8]


def test_a_settled_run_lets_go_of_every_message() -> None:
    waiting = Waiting(PATIENCE)
    entries = [Entry(offset, offset, 0, holds=0) for offset in range(2)]
    for entry in entries:
        waiting.want(KEY, 0, mark="m", entry=entry)
    assert [entry.holds for entry in entries] == [1, 1]
    [wanted] = waiting.due(0, 10)
    waiting.settle(wanted, 0)
    assert [entry.holds for entry in entries] == [0, 0]
    assert len(waiting) == 0


def test_a_watched_run_is_looked_at_again_until_its_time_is_over() -> None:
    waiting = Waiting(PATIENCE)
    waiting.want(KEY, 0)
    [wanted] = waiting.due(0, 10)
    waiting.settle(wanted, 0, watch=True)
    looks, now_us = 0, 0
    while (due_us := waiting.next_due_us()) is not None:
        now_us = due_us
        for found in waiting.due(now_us, 10):
            looks += 1
            waiting.settle(found, now_us, watch=True)
    assert looks > 10
    assert now_us >= PATIENCE.watch_us
    assert len(waiting) == 0


def test_what_waits_of_a_lost_partition_is_forgotten() -> None:
    waiting = Waiting(PATIENCE)
    waiting.want((0, "a"), 0)
    waiting.want((1, "b"), 0)
    waiting.forget([0])
    assert [wanted.key for wanted in waiting.due(0, 10)] == [(1, "b")]

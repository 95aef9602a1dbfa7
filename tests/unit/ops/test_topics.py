"""What the broker's topics need, decided without a broker; and how far groups lag."""

from causeline.ops.lag import Lag, lags
from causeline.ops.topics import Action, Found, differences
from causeline.schemas.topics import DEAD, DEFAULT_PARTITIONS, EVENTS, RUNS, TOPICS


def as_it_should_be(partitions: int = 6) -> dict[str, Found]:
    return {
        topic.full_name("p"): Found(partitions if topic.like_events else 1, {**topic.config(), "other": "x"})
        for topic in TOPICS
    }


def test_a_broker_without_topics_needs_them_all() -> None:
    found = differences({}, prefix="p", partitions=None)
    assert [each.name for each in found] == [f"p.{topic.name}" for topic in TOPICS]
    assert all(each.actions == (Action.CREATE,) for each in found)
    wanted = {each.topic: each.wanted_partitions for each in found}
    assert (wanted[EVENTS], wanted[RUNS], wanted[DEAD]) == (DEFAULT_PARTITIONS, DEFAULT_PARTITIONS, 1)


def test_topics_that_are_as_they_should_be_need_nothing() -> None:
    for partitions in (None, 6):
        found = differences(as_it_should_be(), prefix="p", partitions=partitions)
        assert all(each.actions == (Action.NONE,) for each in found)


def test_a_setting_that_differs_is_named_with_both_values() -> None:
    there = as_it_should_be()
    there["p.runs"] = Found(6, {**RUNS.config(), "retention.ms": "1"})
    [different] = [each for each in differences(there, prefix="p", partitions=None) if each.actions != (Action.NONE,)]
    assert (different.name, different.actions) == ("p.runs", (Action.CONFIGURE,))
    assert different.config == {"retention.ms": ("1", RUNS.config()["retention.ms"])}


def test_every_topic_has_as_many_partitions_as_events_has() -> None:
    there = as_it_should_be()
    there["p.late"] = Found(3, there["p.late"].config)
    del there["p.runs"]
    found = {each.name: each for each in differences(there, prefix="p", partitions=None)}
    assert found["p.late"].actions == (Action.EXTEND,), "what is joined from partition 5 is written to its partition 5"
    assert found["p.runs"].wanted_partitions == 6


def test_other_partitions_than_asked_for_are_told_of_the_events_topic_which_the_others_follow() -> None:
    found = differences(as_it_should_be(), prefix="p", partitions=8)
    assert {each.name: each.actions for each in found if each.actions != (Action.NONE,)} == {
        "p.events": (Action.REPARTITION,)
    }


def test_more_partitions_than_the_events_topic_has_cannot_be_taken_away() -> None:
    there = as_it_should_be() | {"p.runs": Found(9, as_it_should_be()["p.runs"].config)}
    found = {each.name: each.actions for each in differences(there, prefix="p", partitions=None)}
    assert found["p.runs"] == (Action.REPARTITION,)


def test_lag_is_what_a_group_has_not_acknowledged() -> None:
    ends = {("t", 0): (5, 15), ("t", 1): (0, 7), ("u", 0): (0, 3)}
    committed = {"worker": {("t", 0): 12, ("t", 1): -1001}, "loader": {("u", 0): 3}}
    assert lags(ends, committed) == [
        Lag("loader", "u", partitions=1, end=3, committed=3),
        Lag("worker", "t", partitions=2, end=22, committed=12),
    ]
    assert [each.lag for each in lags(ends, committed)] == [0, 10]


def test_a_partition_never_read_lags_by_what_it_holds() -> None:
    [found] = lags({("t", 0): (100, 130)}, {"g": {("t", 0): -1001}})
    assert found.lag == 30

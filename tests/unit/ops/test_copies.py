"""What the brokers tell of copies, counted and said in a sentence."""

from causeline.ops.copies import Partition, count

ALL = (1, 2, 3)


def test_copies_that_are_all_there_are_well() -> None:
    found = count(ALL, [Partition(1, ALL, ALL, needed=2), Partition(2, ALL, ALL, needed=2)])
    assert (found.lagging, found.refusing, found.away, found.most) == (0, 0, (), 3)
    assert found.says == "2 partitions have all their copies up to date (3 copies of each)."


def test_a_broker_that_is_away_is_named_and_its_partitions_go_on_while_enough_copies_are_left() -> None:
    found = count((1, 3), [Partition(1, ALL, (1, 3), needed=2), Partition(1, (1,), (1,))])
    assert (found.lagging, found.refusing, found.away) == (1, 0, (2,))
    assert found.says == "1 of 2 partitions have a copy that is not up to date: broker 2 away."


def test_a_partition_with_too_few_copies_or_without_a_leader_takes_no_events() -> None:
    found = count((3,), [Partition(3, ALL, (3,), needed=2), Partition(-1, (1,), (1,)), Partition(3, (3,), (3,))])
    assert (found.lagging, found.refusing, found.away) == (1, 2, (1, 2))
    assert found.says == "2 of 3 partitions take no events, for want of copies: brokers 1, 2 away."


def test_a_copy_that_lags_on_a_broker_that_is_there_accuses_nobody() -> None:
    found = count(ALL, [Partition(1, ALL, (1, 2), needed=2)])
    assert found.says == "1 of 1 partitions have a copy that is not up to date, with every broker there."


def test_no_topics_are_no_fault() -> None:
    assert count(ALL, []).says == "There are no topics yet, and no copies of them."

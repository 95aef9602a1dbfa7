"""What the Kafka client gave: a hole in the log is told from a message that was given and got lost on the way."""

from causeline.streams.worker.reading import Reading


def test_messages_without_a_hole_stand_behind_nothing() -> None:
    reading = Reading()
    reading.gave(0, [5, 6, 7])
    assert [reading.since(0, offset) for offset in (5, 6, 7)] == [5, 6, 7]
    assert reading.tail(0) is None


def test_a_hole_stands_before_the_message_that_follows_it() -> None:
    """Of 5 to 7 and 8 to 9 none was given, nor anything at 11, across what the client gave at once."""
    reading = Reading()
    reading.gave(0, [4, 8])
    reading.gave(0, [10])
    reading.gave(0, [12, 13])
    assert {offset: reading.since(0, offset) for offset in (4, 8, 10, 12, 13)} == {4: 4, 8: 5, 10: 9, 12: 11, 13: 13}


def test_a_message_that_was_given_is_no_hole_whatever_became_of_it() -> None:
    reading = Reading()
    reading.gave(0, [4])
    reading.gave(0, [5])  # Faust leaves it out
    reading.gave(0, [6])
    assert reading.since(0, 6) == 6


def test_a_hole_at_the_end_is_known_by_the_clients_position() -> None:
    reading = Reading()
    reading.stands_at(0, 9)
    assert reading.tail(0) is None, "nothing was given: where the hole begins is not known"
    reading.gave(0, [9])
    reading.stands_at(0, 10)
    assert reading.tail(0) is None
    reading.stands_at(0, 11)
    assert reading.tail(0) == (10, 11)
    reading.gave(0, [11])
    assert (reading.since(0, 11), reading.tail(0)) == (10, None)


def test_what_is_read_again_from_further_back_begins_anew() -> None:
    reading = Reading()
    reading.gave(0, [4, 5, 9])
    reading.gave(0, [5, 9])
    assert [reading.since(0, offset) for offset in (5, 9)] == [5, 6]


def test_another_generation_knows_nothing_of_the_one_before() -> None:
    reading = Reading()
    reading.gave(0, [4, 6])
    assert reading.has_given(0)
    reading.forget()
    assert not reading.has_given(0)
    assert reading.since(0, 6) == 6

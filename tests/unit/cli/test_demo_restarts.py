"""A demo in which a service falls has failed, however well it ended."""

from causeline.cli.demo import _again


def test_services_that_stayed_up_say_nothing() -> None:
    assert _again({"worker-1": (2, "ended with 5")}, {"worker-1": (2, "ended with 5"), "load-1": (0, "ended")}) == []


def test_a_service_that_was_started_again_is_named_with_how_it_ended() -> None:
    (sentence,) = _again({"worker-1": (1, "ended")}, {"worker-1": (3, "ended with 5: the worker ends: no.")})
    assert sentence == "worker-1 was started again 2 times; it ended with 5: the worker ends: no."

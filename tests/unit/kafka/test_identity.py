"""A topic that was made again is another topic, though it has the name; nothing known is nothing said."""

from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from causeline.kafka import identity
from causeline.kafka.identity import TopicIds, is_of_another
from causeline.runtime.connections import KafkaConnection
from causeline.schemas.errors import EnvironmentFault


@pytest.mark.parametrize(
    ("metadata", "topic_id", "answer"),
    [("a", "b", True), ("a", "a", False), ("", "a", False), (None, "a", False), ("a", "", False)],
)
def test_an_offset_is_of_another_topic_where_both_ids_are_known_and_differ(
    metadata: str | None, topic_id: str, answer: bool
) -> None:
    """One that the release before committed says no id: it is taken for what it was."""
    assert is_of_another(metadata, topic_id) is answer


class Broker:
    """What an admin client is told: an id a topic, nothing yet, or that the topic is not there."""

    def __init__(self, *_: object, **__: object) -> None:
        self.ids: dict[str, str | None] = {"events": "one"}
        self.answers = True

    def describe_topics(self, _names: object, **_: object) -> dict[str, Future[Any]]:
        asked: dict[str, Future[Any]] = {}
        for name, topic_id in self.ids.items():
            asked[name] = Future()
            if topic_id is None:
                asked[name].set_exception(KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)))
            elif self.answers:
                asked[name].set_result(type("Description", (), {"topic_id": topic_id}))
        return asked


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()
    monkeypatch.setattr(identity, "AdminClient", lambda *_: made)
    return made


def ids_of(broker: Broker) -> tuple[TopicIds, list[float]]:
    """The ids, and the clock by which they are asked for: its last figure is now."""
    now = [0.0]
    return TopicIds(KafkaConnection(bootstrap_servers="nowhere:1"), ["events"], clock=lambda: now[-1]), now


def later(ids: TopicIds, now: list[float]) -> str | None:
    """What is known when the next answer is in."""
    now.append(now[-1] + 60)
    assert ids.made_again() is None, "it is only asked now"
    return ids.made_again()


def test_a_topic_that_is_made_again_is_told(broker: Broker) -> None:
    ids, now = ids_of(broker)
    assert (ids.get("events"), ids.get("others")) == ("one", "")
    assert later(ids, now) is None
    broker.ids["events"] = "two"
    assert later(ids, now) == "events"


def test_who_must_not_go_on_is_told_by_an_error(broker: Broker) -> None:
    ids, now = ids_of(broker)
    broker.ids["events"] = "two"
    now.append(60)
    ids.require_the_same()
    with pytest.raises(EnvironmentFault, match="topic events was deleted and made again"):
        ids.require_the_same()


def test_a_topic_that_is_away_is_not_another_and_an_answer_is_never_waited_for(broker: Broker) -> None:
    ids, now = ids_of(broker)
    broker.ids["events"] = None
    assert later(ids, now) is None
    broker.ids["events"], broker.answers = "two", False
    now.append(now[-1] + 60)
    assert [ids.made_again() for _ in range(3)] == [None] * 3


def test_a_topic_whose_id_was_not_told_at_first_is_known_from_the_first_answer_on(broker: Broker) -> None:
    broker.ids["events"] = None
    ids, now = ids_of(broker)
    assert ids.get("events") == ""
    broker.ids["events"] = "one"
    assert later(ids, now) is None
    assert ids.get("events") == "one"

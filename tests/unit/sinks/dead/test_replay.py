"""Dead messages are sent again as they were, in their order, and no more often than is allowed."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from causeline.schemas.errors import Unreachable
from causeline.schemas.topics import MAX_MESSAGE_BYTES
from causeline.sinks.dead.messages import Attempt, DeadMessage
from causeline.sinks.dead.replay import Fate, replay, replayable

TOPICS = replayable("t")
SEEN = datetime(2026, 11, 1, tzinfo=UTC)


def message(number: int, *, replays: int = 0, size: int = 10) -> DeadMessage:
    return DeadMessage(
        message_id=f"{number:032x}",
        topic="t.events",
        partition=3,
        offset=number,
        reason="corrupt",
        detail="Not readable.",
        schema_id=None,
        stages=["loader"],
        letters=1,
        first_seen_at=SEEN,
        last_seen_at=SEEN,
        replays=replays,
        replayed_at=None,
        state="open",
        key=b"key",
        bytes=size,
    )


@dataclass
class Outside:
    """Notes and outlet in one, so that the order of what is noted and sent shows."""

    log: list[object] = field(default_factory=list)
    refuses: frozenset[int] = frozenset()

    def value(self, message_id: str) -> bytes:
        return b"value " + message_id.encode()

    def note(self, attempts: Sequence[Attempt]) -> None:
        self.log += [(int(each.message_id, 16), each.attempt, each.sent_offset) for each in attempts]

    def send(self, messages: Sequence[tuple[DeadMessage, bytes]]) -> tuple[Sequence[int | None], str]:
        self.log += [value for _, value in messages]
        offsets = [None if each.offset in self.refuses else 1000 + each.offset for each, _ in messages]
        return offsets, "_TIMED_OUT" if None in offsets else ""


def test_an_attempt_is_noted_before_it_is_made_and_once_it_is_acknowledged() -> None:
    outside = Outside()
    [done] = replay([message(7, replays=1)], outside, outside, topics=TOPICS)
    assert (done.fate, done.offset) == (Fate.SENT, 1007)
    assert outside.log == [(7, 2, -1), b"value " + b"%032x" % 7, (7, 2, 1007)]


def test_a_letter_leads_to_no_topic_but_those_that_are_read() -> None:
    """Whoever may write letters could have the operator write anywhere, by the operator's rights."""
    outside = Outside()
    named = ["t.events", "t.dead", "other.events", "payments", "t.events.x"]
    messages = [dataclasses.replace(message(number), topic=name) for number, name in enumerate(named, 1)]

    fates = [
        each.fate for each in sorted(replay(messages, outside, outside, topics=TOPICS), key=lambda e: e.message.offset)
    ]

    assert fates == [Fate.SENT, *[Fate.ELSEWHERE] * 4]
    assert [each for each in outside.log if isinstance(each, bytes)] == [b"value " + b"%032x" % 1]


def test_what_came_back_too_often_and_what_was_cut_is_refused() -> None:
    outside = Outside()
    messages = [message(1, replays=3), message(2, replays=2), message(3, size=MAX_MESSAGE_BYTES)]
    done = {each.message.offset: each.fate for each in replay(messages, outside, outside, topics=TOPICS, max_replays=3)}
    assert done == {1: Fate.WORN_OUT, 2: Fate.SENT, 3: Fate.CUT}
    assert b"value " + b"%032x" % 1 not in outside.log


def test_what_the_broker_does_not_take_is_not_noted_as_sent() -> None:
    outside = Outside(refuses=frozenset({2}))
    with pytest.raises(Unreachable, match="1 of 2 messages: _TIMED_OUT"):
        list(replay([message(1), message(2)], outside, outside, topics=TOPICS))
    assert (1, 1, 1001) in outside.log
    assert (2, 1, -1) in outside.log
    assert not any(entry[0] == 2 and entry[2] >= 0 for entry in outside.log if isinstance(entry, tuple))


def test_lots_are_bounded_by_count_and_by_bytes() -> None:
    outside = Outside()
    sizes: list[int] = []
    send = outside.send

    def counted(messages: Sequence[tuple[DeadMessage, bytes]]) -> tuple[Sequence[int | None], str]:
        sizes.append(len(messages))
        return send(messages)

    outside.send = counted  # type: ignore[method-assign]
    large = 3 * 1024 * 1024
    many = [message(n) for n in range(150)] + [message(200 + n, size=large) for n in range(6)]
    assert [each.message.offset for each in replay(many, outside, outside, topics=TOPICS)] == [
        each.offset for each in many
    ]
    assert sizes == [100, 55, 1]

"""What an event's type obliges it to say is one promise: producers keep it, workers and loaders hold others to it."""

import pytest

from causeline.schemas.contract import MUST_SAY
from causeline.schemas.vocabulary import EventType
from causeline.schemas.wire.writer import slots_of


@pytest.mark.parametrize("kind", EventType)
def test_what_a_producer_must_say_is_what_readers_ask_for(kind: EventType) -> None:
    required = [name for name, slot in slots_of(kind).items() if slot.required]
    assert sorted(MUST_SAY.get(kind, ())) == sorted(required)

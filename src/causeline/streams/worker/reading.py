"""What the Kafka client has given of each partition, beneath Faust, and where the log itself holds nothing.

Offsets may be missing in a log: a transaction ends with a marker that has one, and compaction takes messages out. The
client goes over them in silence. What it gave stands here, so that such a hole is told from a message that it gave and
that never came through Faust.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Place:
    """One partition: `due` is the offset after the last message given, `position` what the client asks for next."""

    due: int
    position: int
    holes: dict[int, int] = field(default_factory=dict)
    """By the offset of a message, where the hole before it begins."""


class Reading:
    """One generation of the group; each partition by its number."""

    def __init__(self) -> None:
        self._places: dict[int, _Place] = {}

    def forget(self) -> None:
        """The partitions are given anew."""
        self._places.clear()

    def gave(self, partition: int, offsets: Sequence[int]) -> None:
        """The client gave messages at these offsets, at least one, in their order."""
        place = self._places.get(partition)
        if place is None or offsets[0] < place.due:  # the first, or read again from further back
            place = self._places[partition] = _Place(offsets[0], offsets[0])
        if offsets[-1] - place.due >= len(offsets):
            due = place.due
            for offset in offsets:
                if offset > due:
                    place.holes[offset] = due
                due = offset + 1
        place.due = place.position = offsets[-1] + 1

    def stands_at(self, partition: int, position: int) -> None:
        """The client has given all before `position`."""
        place = self._places.get(partition)
        if place is not None:
            place.position = max(place.position, position)

    def has_given(self, partition: int) -> bool:
        """Whether any message of the partition was given."""
        return partition in self._places

    def since(self, partition: int, offset: int) -> int:
        """The first offset from which on the log holds nothing before `offset`; asked once of each message."""
        place = self._places.get(partition)
        return offset if place is None else place.holes.pop(offset, offset)

    def tail(self, partition: int) -> tuple[int, int] | None:
        """From where to where the log holds nothing after the last message given; None where it holds nothing less."""
        place = self._places.get(partition)
        return None if place is None or place.position == place.due else (place.due, place.position)

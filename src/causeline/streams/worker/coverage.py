"""Which sequence numbers of one emitter are in: a hole is an event that has not come, or never will."""

from bisect import bisect_left


class Coverage:
    """Sequence numbers as disjoint, sorted, half-open ranges; a well-behaved emitter has one."""

    __slots__ = ("_starts", "_stops", "expected")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        self.expected = 0
        """How many events the emitter says it sent; 0 until it says so."""

    def add(self, start: int, stop: int) -> int:
        """Take in start … stop-1; gives how many of them are new."""
        starts, stops = self._starts, self._stops
        if stops and start == stops[-1]:  # the next of an emitter in order
            stops[-1] = stop
            return stop - start
        left = bisect_left(stops, start)
        right = left
        covered = 0
        low, high = start, stop
        while right < len(starts) and starts[right] <= stop:
            covered += max(0, min(stop, stops[right]) - max(start, starts[right]))
            low, high = min(low, starts[right]), max(high, stops[right])
            right += 1
        starts[left:right] = [low]
        stops[left:right] = [high]
        return stop - start - covered

    @property
    def is_whole(self) -> bool:
        """Whether 0 … expected-1 are all in, and nothing stands beyond a hole."""
        return len(self._starts) == 1 and self._starts[0] == 0 and self._stops[0] >= self.expected

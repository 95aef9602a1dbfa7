"""Which runs wait to be amended, when each is looked at again, and which messages they hold meanwhile. No I/O."""

import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count

from causeline.streams.amender.stored import Standing
from causeline.streams.worker.acknowledge import Entry

Key = tuple[int, str]
"""Partition and run id."""
_CALM = 4
"""A run that holds no message is looked at so many times less often."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the amender waits for what; microseconds."""

    visible_us: int
    """For late events to be visible."""
    unjoined_us: int
    """For the worker to publish a run of which nothing was published."""
    orphans_us: int
    """The same of a foreign trace: its worker let go of it, and what a person should see of it is not held back."""
    watch_us: int
    """For the start of a run that was published without it."""
    retry_min_us: int
    """The first pause between two looks; it doubles."""
    retry_max_us: int
    """The longest."""


class Look(StrEnum):
    """What a look at a run says of it."""

    AMEND = "amend"  # the store has more events than its record counts
    NOTHING_NEW = "nothing_new"  # its record counts all of them
    NOT_VISIBLE = "not_visible"  # its late events, or some that its record counts, are not in the store yet
    NOT_JOINED = "not_joined"  # nothing was published of it, and the worker may have it open
    LOST = "lost"  # its events never came to the store


@dataclass(slots=True, eq=False)
class Wanted:
    """A run with late events, wanted since `first_us`.

    `mark` is the last of them, waited for since `since_us`; None where the run is looked at without any. `orphans` says
    that spans are among them: their worker waited for the one that they stand under until the trace was idle.
    """

    key: Key
    first_us: int
    since_us: int
    mark: str | None
    entries: list[Entry[int]] = field(default_factory=list)
    looks: int = 0
    watched_until_us: int = 0
    orphans: bool = False
    due_us: int = 0


def look(wanted: Wanted, standing: Standing | None, now_us: int, patience: Patience, *, at_most: int) -> Look:
    """What to do with a run that stands so in the store; of its events no more than `at_most` are ever read."""
    visible = wanted.mark is None or (standing is not None and standing.seen)
    if not visible and now_us - wanted.since_us < patience.visible_us:
        return Look.NOT_VISIBLE
    if standing is None:
        return Look.LOST
    unjoined_us = patience.orphans_us if wanted.orphans else patience.unjoined_us
    if standing.revision == 0 and now_us - wanted.first_us < unjoined_us:
        return Look.NOT_JOINED
    if standing.awaited and now_us - wanted.first_us < patience.visible_us:
        return Look.NOT_VISIBLE
    return Look.AMEND if min(standing.events, at_most) > standing.revision else Look.NOTHING_NEW


class Waiting:
    """The runs that wait, by when they are due."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._wanted: dict[Key, Wanted] = {}
        self._queue: list[tuple[int, int, Key]] = []
        self._serial = count()

    def __len__(self) -> int:
        return len(self._wanted)

    def want(
        self,
        key: Key,
        now_us: int,
        *,
        mark: str | None = None,
        entry: Entry[int] | None = None,
        orphans: bool = False,
    ) -> None:
        """A run is to be amended; `entry` is held until that is done. A later mark replaces an earlier one."""
        wanted = self._wanted.get(key)
        if wanted is None:
            wanted = self._wanted[key] = Wanted(key, now_us, now_us, mark)
        elif mark is not None:
            wanted.mark, wanted.since_us, wanted.looks = mark, now_us, 0
        wanted.orphans = wanted.orphans or orphans
        if entry is not None:
            entry.holds += 1
            wanted.entries.append(entry)
        self._push(wanted, now_us)

    def watch(self, key: Key, now_us: int) -> None:
        """Look at a run again now and then, although no late event of it is known."""
        wanted = self._wanted.get(key)
        if wanted is None:
            wanted = self._wanted[key] = Wanted(key, now_us, now_us, None)
        wanted.watched_until_us = now_us + self._patience.watch_us
        self.again(wanted, now_us)

    def due(self, now_us: int, limit: int) -> list[Wanted]:
        """At most `limit` runs whose time has come; each must be told to `again` or `settle` afterwards."""
        found: list[Wanted] = []
        while self._queue and self._queue[0][0] <= now_us and len(found) < limit:
            due_us, _, key = heapq.heappop(self._queue)
            wanted = self._wanted.get(key)
            if wanted is not None and wanted.due_us == due_us:
                wanted.due_us = -1  # taken: what else stands in the queue for it is out of date
                found.append(wanted)
        return found

    def next_due_us(self) -> int | None:
        """When something may be due; None when nothing waits."""
        return self._queue[0][0] if self._queue else None

    def again(self, wanted: Wanted, now_us: int) -> None:
        """Look at the run again after a pause, each longer than the one before."""
        patience = self._patience
        is_pressing = wanted.entries or (wanted.orphans and now_us - wanted.first_us < patience.unjoined_us)
        longest_us = patience.retry_max_us if is_pressing else _CALM * patience.retry_max_us
        pause_us = min(longest_us, patience.retry_min_us << min(wanted.looks, 20))
        wanted.looks += 1
        self._push(wanted, now_us + pause_us)

    def settle(self, wanted: Wanted, now_us: int, *, watch: bool = False) -> None:
        """The run is done: its messages are let go of. With `watch` it is looked at again for a while."""
        for entry in wanted.entries:
            entry.holds -= 1
        wanted.entries.clear()
        wanted.mark = None
        if watch and not wanted.watched_until_us:
            wanted.watched_until_us = now_us + self._patience.watch_us
            wanted.looks = 0
        if now_us < wanted.watched_until_us:
            self.again(wanted, now_us)
        else:
            del self._wanted[wanted.key]

    def forget(self, partitions: Collection[int]) -> None:
        """Drop what waits of `partitions`: another amender reads them."""
        for key in [key for key in self._wanted if key[0] in partitions]:
            del self._wanted[key]

    def _push(self, wanted: Wanted, due_us: int) -> None:
        wanted.due_us = due_us
        heapq.heappush(self._queue, (due_us, next(self._serial), wanted.key))


def marks_of(all_wanted: Iterable[Wanted]) -> list[str]:
    """The events that these runs wait for."""
    return [wanted.mark for wanted in all_wanted if wanted.mark is not None]

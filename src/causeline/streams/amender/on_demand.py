"""Runs amended because somebody asks for it, not because a late event came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from causeline.schemas.partition import partition_of
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.registry import Schemas
from causeline.streams.amender.publish import Publisher, publish_runs
from causeline.streams.amender.revise import Revision, in_batches, revised
from causeline.streams.amender.settings import AmenderSettings
from causeline.streams.amender.stored import Standing, Stored
from causeline.streams.runs.core import Core, Part


class Outcome(StrEnum):
    """What became of the wish to amend a run."""

    AMENDED = "amended"  # its next revision is published
    NOTHING_NEW = "nothing_new"  # its record counts every event that is stored
    MAYBE_OPEN = "maybe_open"  # nothing was published of it, and its worker may do so yet
    UNKNOWN = "unknown"  # no event of it is stored


@dataclass(frozen=True, slots=True)
class Amended:
    """A run that was asked for: its revision before (0: none) and after."""

    run_id: str
    answer: Outcome
    before: int
    after: int
    ask_again_s: float = 0.0
    """Of a run that may be open: after so many seconds no worker can have it."""


@dataclass(frozen=True, slots=True)
class OnDemand:
    """What it takes to amend runs by name; `partitions` is the count of the runs topic's."""

    stored: Stored
    publisher: Publisher
    schemas: Schemas
    core: Core
    settings: AmenderSettings
    partitions: int
    policy: Policy = DEFAULT_POLICY

    def amend(self, run_ids: Sequence[str], now_us: int) -> list[Amended]:
        """Publish the next revision of each run that has one, and wait until the broker has them.

        Raises Unreachable when the store or the broker does not answer.
        """
        wanted = list(dict.fromkeys(run_ids))
        size = self.settings.max_batch_runs
        answers = [
            answer
            for start in range(0, len(wanted), size)
            for answer in self._amend_some(wanted[start : start + size], now_us)
        ]
        by_id = {answer.run_id: answer for answer in answers}
        return [by_id[run_id] for run_id in wanted]

    def _amend_some(self, run_ids: Sequence[str], now_us: int) -> list[Amended]:
        standings = self.stored.standings(run_ids)
        answers, to_amend = [], []
        for run_id in run_ids:
            standing = standings.get(run_id)
            answer = _answer(standing, now_us, self.settings)
            if answer is Outcome.AMENDED:
                to_amend.append(run_id)
            else:
                revision = standing.revision if standing else 0
                again_s = 0.0
                if standing is not None and answer is Outcome.MAYBE_OPEN:
                    again_s = max(0.0, self.settings.unjoined_wait_s - (now_us - standing.newest_us) / 1e6)
                answers.append(Amended(run_id, answer, revision, revision, again_s))
        sizes = {run_id: standings[run_id].events for run_id in to_amend}
        for batch in in_batches(to_amend, sizes, at_most=self.settings.max_batch_events):
            answers += self._publish(batch, standings, now_us)
        return answers

    def _publish(self, batch: Sequence[str], standings: Mapping[str, Standing], now_us: int) -> list[Amended]:
        parts = self.stored.parts(batch, at_most=self.settings.max_run_events, core=self.core)
        found = {run_id: self._revised(standings[run_id], some, now_us) for run_id, some in parts.items()}
        revisions = {run_id: each for run_id, each in found.items() if each is not None}
        publish_runs(list(revisions.values()), self.publisher, self.schemas, self.policy)
        self.publisher.deliver()
        return [_amended(standings[run_id], revisions.get(run_id)) for run_id in batch]

    def _revised(self, standing: Standing, parts: Sequence[Part], now_us: int) -> Revision | None:
        return revised(
            parts,
            standing,
            partition_of(standing.run_id, self.partitions),
            core=self.core,
            now_us=now_us,
            at_most=self.settings.max_run_events,
            policy=self.policy,
        )


def _amended(standing: Standing, revision: Revision | None) -> Amended:
    if revision is None:
        return Amended(standing.run_id, Outcome.NOTHING_NEW, standing.revision, standing.revision)
    return Amended(standing.run_id, Outcome.AMENDED, standing.revision, revision.run.brief.revision)


def _answer(standing: Standing | None, now_us: int, settings: AmenderSettings) -> Outcome:
    if standing is None:
        return Outcome.UNKNOWN
    if standing.revision == 0 and now_us - standing.newest_us < settings.unjoined_wait_s * 1e6:
        return Outcome.MAYBE_OPEN
    more = min(standing.events, settings.max_run_events) > standing.revision
    return Outcome.AMENDED if more else Outcome.NOTHING_NEW

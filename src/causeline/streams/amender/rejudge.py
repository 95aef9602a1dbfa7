"""Runs judged again by another policy: what would change, and the revisions that make it so.

A policy changes no event, so a rejudged run counts as many as before, and its revision is the same. Of equal
revisions the one published last stands: in the store by the order of the log, for a consumer by the order it reads.

Decided in ADR 16.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from causeline.schemas.policy import Policy
from causeline.schemas.registry import Schemas
from causeline.streams.amender.publish import Publisher, publish_runs
from causeline.streams.amender.revise import Revision, in_batches, reassembled
from causeline.streams.amender.stored import Standing, Stored
from causeline.streams.runs.core import Core, Part, Written
from causeline.streams.runs.records import record_of

Gap = tuple[str, str, str]
"""Evidence event, kind, next step."""


@dataclass(frozen=True, slots=True)
class Change:
    """A run whose judgement differs: its gaps before and after, as field or `-`, kind and next step."""

    run_id: str
    workflow: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(slots=True)
class Outcome:
    """What a policy makes of the runs looked at."""

    policy_hash: str
    runs: int = 0
    changed: int = 0
    skipped: int = 0
    """Runs whose events are no longer all in the store: what is gone cannot be judged."""
    applied: int = 0
    gaps_before: Counter[str] = field(default_factory=Counter)
    gaps_after: Counter[str] = field(default_factory=Counter)
    examples: list[Change] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rejudge:
    """What it takes to judge stored runs again; without a `publisher` nothing is published."""

    stored: Stored
    policy: Policy
    schemas: Schemas
    publisher: Publisher | None = None
    core: Core = field(kw_only=True)
    max_run_events: int = 200_000
    max_batch_runs: int = 200
    max_batch_events: int = 200_000
    max_examples: int = 5

    def over(self, run_ids: Sequence[str], now_us: int) -> Outcome:
        """Judge `run_ids` again; with a publisher those that change are published, and have arrived at the broker.

        Raises Unreachable when the store or the broker does not answer.
        """
        outcome = Outcome(self.policy.content_hash)
        for start in range(0, len(run_ids), self.max_batch_runs):
            part = run_ids[start : start + self.max_batch_runs]
            standings = {run_id: each for run_id, each in self.stored.standings(part).items() if each.revision}
            before = self.stored.gaps(part)
            sizes = {run_id: each.events for run_id, each in standings.items()}
            outcome.skipped += len(part) - len(standings)
            for batch in in_batches(standings, sizes, at_most=self.max_batch_events):
                self._judge(batch, standings, before, outcome, now_us)
        return outcome

    def _judge(
        self,
        batch: Sequence[str],
        standings: Mapping[str, Standing],
        before: Mapping[str, Sequence[Gap]],
        outcome: Outcome,
        now_us: int,
    ) -> None:
        parts = self.stored.parts(batch, at_most=self.max_run_events, core=self.core)
        changed: list[Revision] = []
        for run_id in batch:
            standing = standings[run_id]
            place = standing.source_partition
            run = self._judged(parts.pop(run_id, []), standing, now_us)
            if run is None or place is None:
                outcome.skipped += 1
                continue
            was, after = before.get(run_id, ()), _gaps(run)
            outcome.runs += 1
            outcome.gaps_before.update(kind for _, kind, _ in was)
            outcome.gaps_after.update(kind for _, kind, _ in after)
            if sorted(was) != sorted(after):
                changed.append(Revision(place, run))
                if len(outcome.examples) < self.max_examples:
                    outcome.examples.append(Change(run_id, run.brief.workflow, _shown(was), _shown(after)))
        outcome.changed += len(changed)
        if self.publisher is not None and changed:
            publish_runs(changed, self.publisher, self.schemas, self.policy)
            self.publisher.deliver()
            outcome.applied += len(changed)

    def _judged(self, parts: Sequence[Part], standing: Standing, now_us: int) -> Written | None:
        """The run, judged by the policy; None where its events are no longer all there."""
        if not parts:
            return None
        run = reassembled(
            parts,
            standing,
            core=self.core,
            place=standing.source_partition,
            now_us=now_us,
            at_most=self.max_run_events,
            reason=standing.close_reason,
            policy=self.policy,
        )
        return run if run.brief.revision == standing.revision else None


def _gaps(run: Written) -> list[Gap]:
    if not run.brief.gap_kinds:
        return []
    return [(str(gap["event_id"]), str(gap["kind"]), str(gap["next_step"])) for gap in record_of(run.item)["gaps"]]


def _shown(gaps: Sequence[Gap]) -> tuple[str, ...]:
    return tuple(f"{kind} → {next_step}" for _, kind, next_step in sorted(gaps, key=lambda gap: gap[1:]))

"""Stored runs judged again: what changes, and that nothing else does."""

from collections.abc import Sequence
from typing import cast

from causeline.schemas.events import Record
from causeline.schemas.policy import DEFAULT_POLICY
from causeline.schemas.policy_file import parse_policy
from causeline.streams.amender.rejudge import Change, Rejudge
from tests.unit.streams.amender.test_amender import ListPublisher, ListStored
from tests.unit.streams.both import assemble
from tests.unit.streams.build import CORE, SCHEMAS, event, messages, run_id, whole_run

STRICT = parse_policy("""
version = 1
[workflow.w]
threshold = 0.95
[workflow.w.next_steps]
weak_provenance = ["search"]
""")
NOW_US = 1_800_000_000_000_000


class Judged(ListStored):
    """A store whose records were made by the assembler, as a worker makes them."""

    def gaps(self, run_ids: Sequence[str]) -> dict[str, list[tuple[str, str, str]]]:
        return {
            each: [
                (gap["event_id"], gap["kind"], gap["next_step"])
                for gap in cast("list[dict[str, str]]", self.records[each]["gaps"])
            ]
            for each in run_ids
            if each in self.records
        }

    def add(self, number: int, *scores: float) -> None:
        records: list[Record] = whole_run(number)
        records += [
            event(
                "evidence_checked", run=number, emitter="c", seq=n, provenance_score=score, evidence_refs=["r:r"],
            )
            for n, score in enumerate(scores)
        ]  # fmt: skip
        self.stored += records
        [run] = assemble(messages(records, partition=3), closed_at=1).runs
        self.records[run_id(number)] = run


def test_the_policy_that_judged_them_changes_nothing() -> None:
    stored = Judged()
    for number, score in enumerate((0.1, 0.5, 0.9), start=1):
        stored.add(number, score)
    publisher = ListPublisher()
    outcome = Rejudge(stored, DEFAULT_POLICY, SCHEMAS, publisher, core=CORE).over(
        [run_id(n) for n in (1, 2, 3)], NOW_US
    )
    assert (outcome.runs, outcome.changed, outcome.skipped, publisher.sent) == (3, 0, 0, [])
    assert outcome.gaps_before == outcome.gaps_after == {"unsupported_field": 1, "weak_provenance": 1}


def test_a_dry_run_says_what_would_change_and_writes_nothing() -> None:
    stored = Judged()
    stored.add(1, 0.9)
    stored.add(2, 0.99)
    outcome = Rejudge(stored, STRICT, SCHEMAS, core=CORE).over([run_id(1), run_id(2)], NOW_US)
    assert (outcome.runs, outcome.changed, outcome.applied) == (2, 1, 0)
    assert (outcome.gaps_before, outcome.gaps_after) == ({}, {"weak_provenance": 1})
    assert outcome.examples == [Change(run_id(1), "w", (), ("weak_provenance → search",))]


def test_what_changes_is_published_at_its_revision_with_the_policys_hash() -> None:
    stored = Judged()
    stored.add(1, 0.9)
    stored.add(2, 0.99)
    publisher = ListPublisher()
    outcome = Rejudge(stored, STRICT, SCHEMAS, publisher, core=CORE).over([run_id(1), run_id(2)], NOW_US)
    [run] = publisher.runs()
    before = stored.records[run_id(1)]
    assert (outcome.applied, run["run_id"], run["revision"]) == (1, run_id(1), before["revision"])
    assert (run["gap_kinds"], run["policy_hash"]) == (["weak_provenance"], STRICT.content_hash)
    same = before.keys() - {"gaps", "gap_kinds", "policy_hash", "closed_at", "amended", "close_reason"}
    assert {name: run[name] for name in same if not isinstance(before[name], list)} == {
        name: before[name] for name in same if not isinstance(before[name], list)
    }


def test_a_run_whose_events_are_not_all_stored_is_left_out() -> None:
    stored = Judged()
    stored.add(1, 0.9)
    stored.stored.pop()
    outcome = Rejudge(stored, STRICT, SCHEMAS, core=CORE).over([run_id(1), run_id(2)], NOW_US)
    assert (outcome.runs, outcome.changed, outcome.skipped) == (0, 0, 2)

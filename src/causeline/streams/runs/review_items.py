"""The review router: which runs a person should look at, by the policy's review rules. Pure, and the same for a replay.

An item is one run and one rule. Its id, whether it is in the rule's sample and when it is due follow from the run and
the policy alone, so that whoever publishes the run again publishes the same item again.
"""

import hashlib
from collections.abc import Iterator, Sequence

from causeline.schemas.events import Record
from causeline.schemas.ids import derived_id
from causeline.schemas.policy import Policy, ReviewRule, ReviewWhen
from causeline.streams.definition.records import GapRecord, ReviewRecord, RunRecord
from causeline.streams.runs.core import Brief
from causeline.streams.runs.records import brief_of

_HASH_SPACE = 2**64
_MAX_LINKS = 64


def could_match(brief: Brief, policy: Policy) -> bool:
    """Whether any rule could be about a run, so that its record is worth a look."""
    return any(_could_match(rule.when, brief) for rule in policy.rules(brief.workflow).review)


def review_items(run: RunRecord, policy: Policy) -> Iterator[Record]:
    """The ReviewItem records of a run, in order of rule.

    A run that has a review which would answer an item gets no such item: it is answered before it is asked.
    """
    rules = policy.rules(run["workflow"]).review
    if not rules:
        return
    brief = brief_of(run)
    for rule in rules:
        if _could_match(rule.when, brief) and is_sampled(run["run_id"], rule.sample):
            yield from _items(run, rule, policy.content_hash)


def _could_match(when: ReviewWhen, brief: Brief) -> bool:
    """What can be asked of a brief; what is not said matches nothing."""
    return (
        (when.gap is None or when.gap in brief.gap_kinds)
        and (when.next_step is None or when.next_step in brief.next_steps)
        and (when.fallback is None or when.fallback in brief.fallbacks)
        and (when.confidence_below is None or _is_below(brief.route_confidence, when.confidence_below))
        and when.route in (None, brief.route)
        and when.final_state in (None, brief.final_state)
        and when.verdict in (None, brief.verdict)
    )


def _is_below(confidence: float | None, bound: float) -> bool:
    return confidence is not None and confidence < bound


def _items(run: RunRecord, rule: ReviewRule, policy_hash: str) -> Iterator[Record]:
    """At most one item: it names the first field that is in question and that nobody has answered."""
    for gap in _asked(run, rule.when):
        field_path = None if gap is None else gap["field_path"]
        if any(_answers(review, field_path) for review in run["reviews"]):
            continue
        yield {
            "item_id": derived_id(run["run_id"], rule.name),
            "run_id": run["run_id"],
            "project": run["project"],
            "workflow": run["workflow"],
            "run_started_at": run["started_at"],
            "reason": rule.name,
            "question": rule.question,
            "field_path": field_path,
            "priority": rule.priority,
            "due_at": run["finished_at"] + round(rule.due_in_s * 1e6),
            "links": _links(run, gap),
            "policy_hash": policy_hash,
            "created_at": run["finished_at"],
        }
        return


def _asked(run: RunRecord, when: ReviewWhen) -> Sequence[GapRecord | None]:
    """The gaps that a rule is about; None stands for the run itself where it is about no gap."""
    if when.gap is None and when.next_step is None:
        return [None]
    return [gap for gap in run["gaps"] if _is_asked(gap, when)]


def _is_asked(gap: GapRecord, when: ReviewWhen) -> bool:
    return (
        (when.gap is None or gap["kind"] == when.gap)
        and (when.field_path is None or gap["field_path"] == when.field_path)
        and (when.next_step is None or gap["next_step"] == when.next_step)
    )


def _answers(review: ReviewRecord, field_path: str | None) -> bool:
    """As the view `reviews` has it: both name the same field, or one of them names none."""
    about = review["field_path"]
    return review["outcome"] != "escalated" and (about is None or field_path is None or about == field_path)


def _links(run: RunRecord, gap: GapRecord | None) -> list[str]:
    """What the reviewer has to see: the evidence that falls short, the answer, and what it was made of."""
    found: list[str | None] = []
    if gap is not None:
        mine = [each for each in run["evidence"] if each["event_id"] == gap["event_id"]]
        found += [ref for each in mine for ref in (*each["evidence_refs"], *each["conflicting_refs"])]
    found += [run["raw_output_ref"], run["parsed_artifact_ref"], run["input_ref"]]
    return list(dict.fromkeys(ref for ref in found if ref))[:_MAX_LINKS]


def is_sampled(run_id: str, share: float) -> bool:
    """Whether a run is among `share` of all, by its id; a larger share has all the runs of a smaller one."""
    place = int.from_bytes(hashlib.blake2b(run_id.encode(), digest_size=8).digest(), "big")
    return place < share * _HASH_SPACE

"""The review router: which runs a person should look at, by the policy's review rules. Pure, and the same for a replay.

An item is one run and one rule. Its id, whether it is in the rule's sample and when it is due follow from the run and
the policy alone, so that whoever publishes the run again publishes the same item again.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from causeline.schemas.events import Record
from causeline.schemas.ids import derived_id
from causeline.schemas.policy import Policy, ReviewRule, ReviewWhen

_HASH_SPACE = 2**64
_MAX_LINKS = 64
_ROW = (
    "run_id",
    "project",
    "workflow",
    "started_at",
    "finished_at",
    "closed_at",
    "input_ref",
    "parsed_artifact_ref",
    "raw_output_ref",
    "gaps",
    "evidence",
    "reviews",
)


def review_items(runs: pl.DataFrame, policy: Policy) -> Iterator[Record]:
    """The ReviewItem records of `runs`, which have the columns of a Run, in order of workflow, rule and run.

    A run that has a review which would answer an item gets no such item: it is answered before it is asked.
    """
    for workflow in runs["workflow"].unique(maintain_order=True):
        for rule in policy.rules(workflow).review:
            hit = runs.filter((pl.col("workflow") == workflow) & _could_match(rule.when))
            for run in hit.select(_ROW).iter_rows(named=True):
                yield from _items(run, rule, policy.content_hash)


def _could_match(when: ReviewWhen) -> pl.Expr:
    """What can be asked of whole columns; a null says nothing, and matches nothing."""
    said: list[pl.Expr] = [pl.lit(value=True)]
    if when.gap is not None:
        said.append(pl.col("gap_kinds").list.contains(when.gap.value))
    if when.next_step is not None:
        said.append(_any_of("gaps", "next_step", when.next_step.value))
    if when.fallback is not None:
        said.append(_any_of("fallbacks", "kind", when.fallback.value))
    if when.confidence_below is not None:
        said.append(pl.col("route_confidence") < when.confidence_below)
    plain = {"route": when.route, "final_state": when.final_state, "verdict": when.verdict}
    said += [pl.col(name) == str(value) for name, value in plain.items() if value is not None]
    return pl.all_horizontal(said)


def _any_of(array: str, field: str, value: str) -> pl.Expr:
    return pl.col(array).list.eval(pl.element().struct.field(field) == value).list.any()


def _items(run: Mapping[str, Any], rule: ReviewRule, policy_hash: str) -> Iterator[Record]:
    if not is_sampled(run["run_id"], rule.sample):
        return
    when = rule.when
    is_about_gap = when.gap is not None or when.next_step is not None
    asked: list[Mapping[str, Any] | None] = [None]
    if is_about_gap:
        asked = [gap for gap in run["gaps"] if _is_asked(gap, when)]
    for gap in asked:
        field_path = None if gap is None else gap["field_path"]
        if any(_answers(review, field_path) for review in run["reviews"]):
            continue
        ended_at = run["closed_at"] if run["finished_at"] is None else run["finished_at"]
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
            "due_at": ended_at + round(rule.due_in_s * 1e6),
            "links": _links(run, gap),
            "policy_hash": policy_hash,
            "created_at": ended_at,
        }
        return  # one item a run and rule: it names the first field that is in question


def _is_asked(gap: Mapping[str, Any], when: ReviewWhen) -> bool:
    return (
        (when.gap is None or gap["kind"] == when.gap)
        and (when.field_path is None or gap["field_path"] == when.field_path)
        and (when.next_step is None or gap["next_step"] == when.next_step)
    )


def _answers(review: Mapping[str, Any], field_path: str | None) -> bool:
    """As the view `reviews` has it: both name the same field, or one of them names none."""
    about = review["field_path"]
    return review["outcome"] != "escalated" and (about is None or field_path is None or about == field_path)


def _links(run: Mapping[str, Any], gap: Mapping[str, Any] | None) -> list[str]:
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

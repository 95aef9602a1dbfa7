"""What else a run holds: evidence, its gaps and conflicts, reviews, evals, each as a list of records."""

from collections.abc import Collection, Mapping, Sequence
from typing import cast

import polars as pl

from causeline.schemas.judge import Judgement, judge, weigh
from causeline.schemas.policy import Policy
from causeline.schemas.vocabulary import EventType
from causeline.streams.runs.distinct import RUN
from causeline.streams.runs.shapes import nested_columns

_NAMES = {
    "reviews": (EventType.REVIEW_RECORDED, {"outcome": "review_outcome", "note_ref": "review_note_ref"}),
    "evals": (EventType.EVAL_RECORDED, {"case_id": "eval_case_id", "outcome": "eval_outcome"}),
    "evaluations": (
        EventType.EVALUATION_RECORDED,
        {
            "name": "evaluation_name",
            "score": "evaluation_score",
            "scale": "evaluation_scale",
            "label": "evaluation_label",
        },
    ),
    "evidence": (EventType.EVIDENCE_CHECKED, {}),
}
"""By array of a Run: the event type it is made of, and its fields whose column has another name."""


def findings(events: pl.DataFrame, policy: Policy, kinds: Collection[str]) -> list[pl.DataFrame]:
    """Frames of `_run` and one array column each, for the runs that have any; `events` stand in canonical order.

    `kinds` are the event types that occur among `events`: an array that none of them speaks of has no frame.
    """
    frames = [_listed(events, name) for name, (kind, _) in _NAMES.items() if kind in kinds]
    if EventType.EVIDENCE_CHECKED in kinds:
        frames += [*_gaps(events, policy), *_conflicts(events, policy)]
    return frames


def _listed(events: pl.DataFrame, name: str) -> pl.DataFrame:
    kind, sources = _NAMES[name]
    fields = []
    for field, dtype in nested_columns(name).items():
        if field == "occurred_at":
            fields.append(pl.col(field).to_physical())
        else:
            fields.append(pl.col(sources.get(field, field)).cast(dtype).alias(field))
    said = events.filter(pl.col("event_type") == kind)
    return said.group_by(RUN, maintain_order=True).agg(pl.struct(fields).alias(name))


_JUDGED: dict[str, pl.DataType] = {"kind": pl.String(), "policy_step": pl.String(), "threshold": pl.Float64()}


def judged(events: pl.DataFrame, policy: Policy) -> pl.DataFrame:
    """The evidence events that have a gap by `policy`, with `kind`, `policy_step` and `threshold` beside them.

    The judge is the one that the workflow asked, and it is asked the same: by the workflow's rules for the field, and
    with as many attempts as the event says came before.
    """
    evidence = events.filter(events["event_type"] == EventType.EVIDENCE_CHECKED)
    if evidence.is_empty():
        return evidence.with_columns(pl.lit(None, dtype=dtype).alias(name) for name, dtype in _JUDGED.items())
    asked = evidence.select(
        "workflow",
        "field_path",
        pl.col("evidence_required").fill_null(value=False),
        "provenance_score",
        "evidence_refs",
        "conflicting_refs",
        pl.col("retry_count").fill_null(0),
    )
    answers = [_judged(row, policy) for row in asked.iter_rows()]
    return evidence.with_columns(
        pl.Series("kind", [answer and answer.kind.value for answer in answers], dtype=_JUDGED["kind"]),
        pl.Series(
            "policy_step", [answer and answer.next_step.value for answer in answers], dtype=_JUDGED["policy_step"]
        ),
        pl.Series("threshold", [answer and answer.threshold for answer in answers], dtype=_JUDGED["threshold"]),
    ).filter(pl.col("kind").is_not_null())


_Asked = tuple[str, str | None, bool, float | None, list[str], list[str], int]


def _judged(asked: _Asked, policy: Policy) -> Judgement | None:
    workflow, field_path, required, score, evidence_refs, conflicting_refs, attempts = asked
    return judge(
        required=required,
        score=score,
        evidence_refs=evidence_refs,
        conflicting_refs=conflicting_refs,
        attempts=attempts,
        standard=policy.rules(workflow).standard(field_path),
    )


def _gaps(events: pl.DataFrame, policy: Policy) -> list[pl.DataFrame]:
    found = judged(events, policy).with_columns(
        pl.col("policy_step").alias("next_step"), pl.col("next_step").alias("decided_next_step")
    )
    fields = list(nested_columns("gaps"))
    groups = found.group_by(RUN, maintain_order=True)
    return [groups.agg(pl.struct(fields).alias("gaps"), pl.col("kind").unique().sort().alias("gap_kinds"))]


def _conflicts(events: pl.DataFrame, policy: Policy) -> list[pl.DataFrame]:
    is_check = events["event_type"] == EventType.EVIDENCE_CHECKED  # on any other nothing is said by sides
    has_sides = is_check & (events["conflict_sides"].list.len() > 0)
    if not has_sides.any():
        return []
    said = events.filter(has_sides)
    rows = [
        {RUN: run, **side, "event_id": event_id, "field_path": field, **weighed}
        for run, workflow, event_id, field, sides in said.select(
            RUN, "workflow", "event_id", "field_path", "conflict_sides"
        ).iter_rows()
        for side, weighed in zip(sides, _weighed(sides, policy.rules(workflow).authority), strict=True)
    ]
    sides = pl.DataFrame(rows, schema={RUN: events.schema[RUN], **_side_columns()})
    groups = sides.group_by(RUN, maintain_order=True)
    return [groups.agg(pl.struct(list(_side_columns())).alias("conflict_sides"))]


def _side_columns() -> dict[str, pl.DataType]:
    return nested_columns("conflict_sides")


def _weighed(sides: Sequence[Mapping[str, object]], authority: Sequence[str]) -> list[dict[str, object]]:
    weights = weigh([cast("str | None", side["source_kind"]) for side in sides], authority)
    return [{"authority_rank": each.rank, "won": each.won, "reason": each.why.value} for each in weights]

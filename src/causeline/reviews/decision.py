"""What a reviewer decides about an item, checked before it becomes an event: no I/O."""

from dataclasses import dataclass

from causeline.diagnosis.model import ROUTE_FIELDS
from causeline.reviews.queue import Item
from causeline.schemas.errors import CheckFailed, UsageError
from causeline.schemas.references import WHAT, WHO, is_cut_off, is_persons_id, is_reference
from causeline.schemas.run import Run
from causeline.schemas.vocabulary import ReviewOutcome

_MAX_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision that can be recorded; `field` is what it is about, None for the whole run."""

    outcome: ReviewOutcome
    field: str | None
    reviewer_ref: str
    override_ref: str | None
    note_ref: str | None


def decided(
    item: Item,
    run: Run | None,
    *,
    outcome: ReviewOutcome,
    reviewer_ref: str,
    field: str | None,
    override_ref: str | None,
    note_ref: str | None,
) -> Decision:
    """The decision, if it can be meant for the item; `run` is its run's record, None where there is none yet.

    Raises CheckFailed for an item that is resolved, UsageError for what contradicts itself or names no such field.
    """
    if item.state != "open":
        raise CheckFailed(
            f"Review item {item.item_id} is resolved already: {item.outcome} by {item.reviewer_ref or 'somebody'}"
            f" at {item.resolved_at:%Y-%m-%d %H:%M:%S} UTC.",
            hint="causeline reviews list shows what is open.",
        )
    if (outcome is ReviewOutcome.OVERRIDDEN) != (override_ref is not None):
        if override_ref is None:
            raise UsageError(
                "An override without what stands instead says too little.",
                hint="Put the corrected value into the artifact store and give its reference: --override-ref REF.",
            )
        raise UsageError(f"The outcome {outcome} has no override.", hint="--outcome overridden, or no --override-ref.")
    about = field or item.field_path
    if item.field_path is not None and about != item.field_path:
        raise UsageError(
            f"The item asks about {item.field_path}, and a review of {field} would not answer it.",
            hint=f"Leave --field out, or give {item.field_path}.",
        )
    if field is not None:
        _require_field(field, item, run)
    _require_references(reviewer_ref, override_ref, note_ref)
    return Decision(outcome, about, reviewer_ref, override_ref, note_ref)


def _require_references(reviewer_ref: str, override_ref: str | None, note_ref: str | None) -> None:
    if not is_persons_id(reviewer_ref):
        raise UsageError("The reviewer is not named by an id.", hint=f"Give {WHO}: --reviewer reviewer:17.")
    for option, ref in (("--override-ref", override_ref), ("--note-ref", note_ref)):
        if ref is not None and not is_reference(ref):
            raise UsageError(
                f"What {option} gives is not {WHAT}.",
                hint="Put the text into the artifact store and give its reference.",
            )
        if ref is not None and is_cut_off(ref):
            raise UsageError(
                f"What {option} gives is no whole reference of the artifact store.",
                hint="Tables cut references; `causeline artifact put` and --json give them whole.",
            )


def _require_field(field: str, item: Item, run: Run | None) -> None:
    known = {checked.field_path for checked in run.evidence if checked.field_path} if run else set()
    known |= {item.field_path} if item.field_path else set()
    if field in known or (field in ROUTE_FIELDS and run is not None and run.route is not None):
        return
    shown = sorted(known)[:_MAX_SHOWN]
    more = ", …" if len(known) > _MAX_SHOWN else ""
    raise UsageError(
        f"Run {item.run_id} has no field {field}.",
        hint=f"It has {', '.join(shown)}{more}." if shown else "Leave --field out: the review is of the whole run.",
    )

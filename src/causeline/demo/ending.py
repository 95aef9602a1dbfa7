"""The end of a run: a reviewer who knows the truth looks at some, and the answer goes out."""

from dataclasses import dataclass

from causeline.demo import work
from causeline.demo.desk import Desk

_REVIEWERS = 6
_ESCALATED_SHARE = 0.3
"""Of the runs that are handed over, those that a reviewer passed on: the documents do not tell which of two holds."""
_WHOLE = (None,)
"""In place of field paths: a review of the answer as a whole."""
_EVAL_SHARE = 0.4
"""Of the corrected runs, those that somebody made an eval case of."""


@dataclass(frozen=True, slots=True)
class _Reviewer:
    """Who looks at a run, and what they noted."""

    desk: Desk
    ref: str
    note_ref: str

    def decides(self, outcome: str, *, field: str | None = None, override_ref: str | None = None) -> None:
        self.desk.run.review(
            outcome, field=field, reviewer_ref=self.ref, override_ref=override_ref, note_ref=self.note_ref
        )


def review(desk: Desk) -> None:
    """A person reads the documents and decides, where the workflow asks for that or chance chose the run."""
    chance = desk.behaviour.rng
    if desk.over == "handed_over":
        asked = chance.random() < _ESCALATED_SHARE
    else:
        asked = not desk.over and bool(desk.to_review or desk.partial or desk.behaviour.audited)
    if not asked or "review_skipped" in desk.twist:
        return
    wrong = [path for path, value in desk.case.truth.items() if desk.values.get(path) != value]
    desk.clock.advance(5_000_000)
    note_ref = desk.put(f"Checked against the documents: {len(wrong)} to correct.".encode())
    reviewer = _Reviewer(desk, f"reviewer:{chance.randint(1, _REVIEWERS)}", note_ref)
    if desk.over == "handed_over":
        for path in desk.rivals:
            reviewer.decides("escalated", field=path)
    elif desk.route == desk.case.route and not wrong:
        for field in desk.to_review or _WHOLE:
            reviewer.decides("approved", field=field)
    else:
        _correct(desk, reviewer, wrong)
        if chance.random() < _EVAL_SHARE:
            desk.run.eval(f"{desk.case.workflow}-{desk.case.index}")


def _correct(desk: Desk, reviewer: _Reviewer, wrong: list[str]) -> None:
    """Set the route right, for all else follows from it; else each value, unless little of the answer would be left."""
    lost = "correction_lost" in desk.twist
    if desk.route != desk.case.route:
        reviewer.decides("overridden", field="$.route", override_ref=desk.put(desk.case.route.encode()))
    elif len(wrong) > len(desk.case.truth) / 2:
        reviewer.decides("rejected")
    else:
        for path in wrong:
            right = desk.case.truth[path]
            kept = None if lost or right is None else desk.put(right.encode())
            reviewer.decides("overridden", field=path, override_ref=kept)


def deliver(desk: Desk) -> None:
    """Give the answer away, whole or in part, and end the run in whatever state it came to."""
    state = desk.over or ("partial" if desk.partial else "answered")
    if state in ("answered", "partial"):
        with desk.run.output("answer") as step:
            if desk.answer_ref:
                step.set(input_ref=desk.answer_ref)
            desk.clock.advance(700)
            step.set(raw_output_ref=desk.put(work.as_json(desk.values)))
            step.set(evidence_refs=sorted(set(desk.cites.values())))
    desk.run.finish(state, raw_output_ref=desk.answer_ref or None)

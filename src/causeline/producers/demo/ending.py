"""The end of a run: a reviewer who knows the truth looks at some, and the answer goes out."""

from causeline.producers.demo import work
from causeline.producers.demo.desk import Desk


def review(desk: Desk) -> None:
    """A person reads the documents and decides, where the workflow asks for that or chance chose the run."""
    asked = bool(desk.to_review or desk.partial or desk.behaviour.audited)
    if desk.over or not asked or "review_skipped" in desk.twist:
        return
    wrong = [path for path, value in desk.case.truth.items() if desk.values.get(path) != value]
    note = desk.put(f"Checked against the documents: {len(wrong)} to correct.".encode())
    desk.clock.advance(5_000_000)
    reviewer = f"reviewer:{desk.behaviour.rng.randint(1, 6)}"
    if desk.route != desk.case.route:
        override = desk.put(desk.case.route.encode())
        desk.run.review("overridden", field="$.route", reviewer_ref=reviewer, override_ref=override, note_ref=note)
    elif wrong:
        for path in wrong:
            right = desk.case.truth.get(path)
            kept = None if "correction_lost" in desk.twist or right is None else desk.put(right.encode())
            desk.run.review("overridden", field=path, reviewer_ref=reviewer, override_ref=kept, note_ref=note)
    else:
        approved: list[str | None] = [*desk.to_review] or [None]
        for field in approved:
            desk.run.review("approved", field=field, reviewer_ref=reviewer, note_ref=note)


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

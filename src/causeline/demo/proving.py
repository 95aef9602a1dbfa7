"""Holding each value against its source, and doing what the policy names where that falls short."""

from collections.abc import Callable, Generator, Mapping
from itertools import pairwise

from causeline.demo import work
from causeline.demo.asking import ask_again
from causeline.demo.desk import Desk, Turns, say_hits
from causeline.schemas.vocabulary import NextStep

_MOST_CHECKS = 4

CheckAgain = Generator[None, None, bool]
"""Turns that end in whether the evidence is to be checked again."""


def prove(desk: Desk, path: str) -> Turns:
    """Check one field's evidence until it suffices, or nothing more is to be done about it."""
    label = desk.labels[path]
    _look_for_rivals(desk, path, label)
    for attempt in range(_MOST_CHECKS):
        decided = _check(desk, path, attempt)
        yield
        if decided is None or "ignores_decision" in desk.twist:
            return
        if "gives_up" in desk.twist:
            desk.partial = True
            return
        if not (yield from _FOLLOW[decided](desk, path, label)):
            return


def _look_for_rivals(desk: Desk, path: str, label: str) -> None:
    cited, value = desk.cites.get(path), desk.values.get(path)
    for chunk in desk.context:
        other = work.stated(label, chunk.text)
        if cited and chunk.ref != cited and other is not None and isinstance(value, str) and other != value:
            desk.rivals.setdefault(path, []).append(chunk.ref)


def _check(desk: Desk, path: str, attempt: int) -> NextStep | None:
    value, cited = desk.values.get(path), desk.cites.get(path)
    score = None
    if value is not None and cited is not None:
        text = value if isinstance(value, str) else work.as_json(value).decode()
        score = round(work.support(text, _cited_text(desk, cited), desk.twist), 3)
    desk.clock.advance(2_000)
    decision = desk.run.evidence(
        path,
        refs=[cited] if cited else [],
        score=score,
        conflicting_refs=desk.rivals.get(path, []),
        attempts=attempt,
        next_step="partial_output" if "gives_up" in desk.twist and not cited else None,
    )
    return decision.next_step


def _cited_text(desk: Desk, ref: str) -> str:
    if "wrong_chunk_checked" in desk.twist:
        ref = dict(pairwise(desk.texts)).get(ref, "")
    return desk.texts.get(ref, "")


def _search(desk: Desk, path: str, label: str) -> CheckAgain:
    with desk.run.retrieve(f"search {path[2:]} again", input_ref=desk.index_ref) as step:
        hits = work.search(label, desk.chunks, desk.twist & {"stale_index", "cut_context"}, keep=8)
        desk.clock.advance(20_000)
        say_hits(step, path, hits)
    yield
    new = [chunk for chunk in hits.shown if chunk not in desk.context]
    if new and "drops_context" not in desk.twist:
        desk.context += new
        yield from ask_again(desk, path, label, new)
    return True


def _retry(desk: Desk, path: str, label: str) -> CheckAgain:
    desk.run.fallback("narrower_scope", reason="unsupported" if desk.cites.get(path) else "missing")
    narrow = [chunk for chunk in desk.context if label.split(maxsplit=1)[0] in chunk.text][:2]
    if narrow and not desk.twist & {"drops_context", "omits_field"}:
        yield from ask_again(desk, path, label, narrow)
    return True


def _apply_authority(desk: Desk, path: str, label: str) -> CheckAgain:
    ranks = {kind: rank for rank, kind in enumerate(desk.run.rules.authority)}
    with desk.run.tool("apply authority") as step:
        desk.clock.advance(1_000)
        holders = [chunk for chunk in desk.context if work.stated(label, chunk.text) is not None]
        best = min(holders, key=lambda chunk: ranks.get(chunk.source, len(ranks)))
        step.set(context_refs=[chunk.ref for chunk in holders], raw_output_ref=best.ref)
        desk.values[path] = work.stated(label, best.text)
        desk.cites[path] = best.ref
        desk.rivals.pop(path, None)
    yield
    return True


def _answer_in_part(desk: Desk, path: str, label: str) -> CheckAgain:
    desk.run.fallback("partial_answer", reason=f"no support for {path}")
    desk.partial = True
    yield
    return False


def _leave_to_review(desk: Desk, path: str, label: str) -> CheckAgain:
    desk.to_review.append(path)
    yield
    return False


def _escalate(desk: Desk, path: str, label: str) -> CheckAgain:
    desk.run.fallback("human_review", reason=f"conflict about {path}")
    desk.over = "handed_over"
    yield
    return False


def _stop(desk: Desk, path: str, label: str) -> CheckAgain:
    desk.run.fallback("stop", reason=f"no support for {path}")
    desk.over = "stopped"
    yield
    return False


_FOLLOW: Mapping[NextStep, Callable[[Desk, str, str], CheckAgain]] = {
    NextStep.SEARCH: _search,
    NextStep.RETRY: _retry,
    NextStep.APPLY_AUTHORITY: _apply_authority,
    NextStep.PARTIAL_OUTPUT: _answer_in_part,
    NextStep.REVIEW: _leave_to_review,
    NextStep.ESCALATE: _escalate,
    NextStep.SAFE_STOP: _stop,
}

"""The judge names the gap and the next step, at the boundaries too."""

import pytest

from causeline.schemas.judge import DEFAULT_STANDARD, Judgement, Standard, judge, weigh
from causeline.schemas.vocabulary import GapKind, NextStep


@pytest.mark.parametrize(
    ("required", "score", "refs", "conflicts", "kind"),
    [
        (True, 0.9, ["a"], [], None),
        (True, 0.7, ["a"], [], None),
        (True, 0.6999, ["a"], [], GapKind.WEAK_PROVENANCE),
        (True, 0.3, ["a"], [], GapKind.WEAK_PROVENANCE),
        (True, 0.2999, ["a"], [], GapKind.UNSUPPORTED_FIELD),
        (True, 0.0, ["a"], [], GapKind.UNSUPPORTED_FIELD),
        (True, None, ["a"], [], None),
        (True, None, [], [], GapKind.MISSING_CITATION),
        (False, None, [], [], None),
        (False, 0.1, ["a"], [], GapKind.UNSUPPORTED_FIELD),
        (True, 0.9, ["a"], ["b"], GapKind.SOURCE_CONFLICT),
        (True, None, [], ["b"], GapKind.SOURCE_CONFLICT),
    ],
)
def test_each_kind_of_gap_is_told_from_the_evidence_alone(
    required: bool, score: float | None, refs: list[str], conflicts: list[str], kind: GapKind | None
) -> None:
    found = judge(required=required, score=score, evidence_refs=refs, conflicting_refs=conflicts)

    assert (found.kind if found else None) == kind


def test_the_standard_decides_the_threshold_and_the_next_step() -> None:
    strict = Standard(threshold=0.95, next_steps={GapKind.WEAK_PROVENANCE: (NextStep.SAFE_STOP,)})

    found = judge(required=True, score=0.9, evidence_refs=["a"], conflicting_refs=[], standard=strict)

    assert found == Judgement(GapKind.WEAK_PROVENANCE, NextStep.SAFE_STOP, 0.95)


def test_the_default_standard_names_a_next_step_for_every_kind() -> None:
    assert set(DEFAULT_STANDARD.next_steps) == set(GapKind)


def test_each_attempt_asks_for_the_next_step_and_the_last_one_stands() -> None:
    asked = [
        found.next_step
        for attempts in range(4)
        if (found := judge(required=True, score=None, evidence_refs=[], conflicting_refs=[], attempts=attempts))
    ]

    assert asked == [NextStep.SEARCH, NextStep.RETRY, NextStep.PARTIAL_OUTPUT, NextStep.PARTIAL_OUTPUT]


def test_a_standard_that_requires_a_citation_overrules_the_event() -> None:
    strict = Standard(required=True)

    found = judge(required=False, score=None, evidence_refs=[], conflicting_refs=[], standard=strict)

    assert found is not None
    assert found.kind is GapKind.MISSING_CITATION


@pytest.mark.parametrize(
    ("kinds", "authority", "weights"),
    [
        (["booklet", "schedule"], ["schedule", "booklet"], [(2, False, "outranked"), (1, True, "first")]),
        (["schedule", "schedule"], ["schedule"], [(1, False, "tied"), (1, False, "tied")]),
        (["note", "schedule"], ["schedule"], [(None, False, "unranked"), (1, True, "first")]),
        (["note", None], ["schedule"], [(None, False, "unranked"), (None, False, "unranked")]),
        (["schedule"], [], [(None, False, "unranked")]),
        ([], ["schedule"], []),
    ],
)
def test_the_side_that_alone_ranks_first_stands(
    kinds: list[str | None], authority: list[str], weights: list[tuple[int | None, bool, str]]
) -> None:
    assert [(each.rank, each.won, each.why.value) for each in weigh(kinds, authority)] == weights

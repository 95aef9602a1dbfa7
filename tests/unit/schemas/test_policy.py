"""A policy says what it means, or is refused with the line and the key."""

from pathlib import Path

import pytest

from causeline.schemas.errors import UsageError
from causeline.schemas.policy import DEFAULT_POLICY, Policy
from causeline.schemas.policy_file import MAX_POLICY_BYTES, InvalidPolicy, parse_policy, read_policy
from causeline.schemas.vocabulary import GapKind, NextStep

GOOD = """
version = 1

[defaults]
threshold = 0.75

[defaults.next_steps]
weak_provenance = ["search", "review"]

[workflow.invoice]
routes = ["po_match", "manual"]
confidence_floor = 0.8
authority = ["purchase_order", "invoice"]
expect = [{ step = "parse", due_s = 5 }, { step = "validate:totals" }]

[workflow.invoice.next_steps]
source_conflict = ["apply_authority", "escalate"]

[workflow.invoice.evidence."$.total"]
threshold = 0.9
masked_as = ["MONEY"]

[[workflow.invoice.review]]
name = "conflict"
question = "Which source is right?"
when = { gap = "source_conflict" }
priority = 1
"""


def test_a_workflow_has_its_own_rules_else_the_defaults_else_the_built_in_ones() -> None:
    policy = parse_policy(GOOD)
    invoice, other = policy.rules("invoice"), policy.rules("never heard of")

    assert (invoice.confidence_floor, other.confidence_floor) == (0.8, 0.6)
    assert invoice.standard("$.total").threshold == 0.9
    assert invoice.standard("$.date").threshold == other.standard(None).threshold == 0.75
    assert invoice.standard("$.total").required is True
    assert invoice.standard("$.date").required is None
    assert invoice.standard("$.date").next_steps[GapKind.WEAK_PROVENANCE] == (NextStep.SEARCH, NextStep.REVIEW)
    assert invoice.standard("$.total").next_steps[GapKind.SOURCE_CONFLICT][0] is NextStep.APPLY_AUTHORITY
    assert other.standard(None).next_steps[GapKind.SOURCE_CONFLICT] == (NextStep.ESCALATE,)


def test_the_hash_is_of_what_the_policy_says_and_not_of_how() -> None:
    reformatted = "# a comment\n" + GOOD.replace("threshold = 0.75", "threshold   =   0.750")

    assert parse_policy(reformatted).content_hash == parse_policy(GOOD).content_hash
    assert parse_policy(GOOD.replace("0.75", "0.76")).content_hash != parse_policy(GOOD).content_hash
    assert len(DEFAULT_POLICY.content_hash) == 16


def test_the_default_policy_serves_every_workflow() -> None:
    rules = DEFAULT_POLICY.rules("anything")

    assert rules.standard("$.x").threshold == 0.7
    assert (rules.idle_timeout_s, rules.max_open_s) == (None, None), "the worker's own hold"
    assert rules.policy_hash == DEFAULT_POLICY.content_hash


def test_rules_are_remembered_within_bounds() -> None:
    policy = Policy(version=1)

    assert policy.rules("a") is policy.rules("a")
    for n in range(10_050):
        policy.rules(f"w{n}")
    assert len(policy._resolved) == 10_000


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        (("threshold = 0.75", "treshold = 0.75"), 5, "defaults.treshold: Extra inputs are not permitted"),
        (("threshold = 0.75", "threshold = 1.75"), 5, "defaults.threshold: Input should be less than or equal to 1"),
        (("threshold = 0.75", "threshold = nan"), 5, "defaults.threshold"),
        (('"search", "review"]', '"search", "search"]'), 8, "comes up twice"),
        (('"search", "review"]', '"serach"]'), 8, "next_steps.weak_provenance.0"),
        (('"search", "review"]', "]"), 8, "at least 1 item"),
        (('step = "parse"', 'step = "pars"'), 14, "a step is a kind"),
        (("due_s = 5", "due_s = -5"), 14, "greater than 0"),
        (("priority = 1", "priority = 0"), 27, "workflow.invoice.review.0.priority"),
        (('authority = ["purchase_order", "invoice"]', ""), 10, "applies an authority that is not ranked"),
        (('when = { gap = "source_conflict" }', 'when = { route = "auto" }'), 10, "'auto', which is not allowed"),
        (('when = { gap = "source_conflict" }', 'when = { field_path = "$.x" }'), 26, "field_path needs gap"),
        (("threshold = 0.9", "threshold = 0.9\nsupport_floor = 0.95"), 10, "support_floor is not under threshold"),
        (("version = 1", ""), 0, "version: Field required"),
        (("version = 1", "version = 2"), 2, "version: Input should be 1"),
        (("version = 1", "version = = 1"), 0, "not TOML: Invalid value (at line 2"),
    ],
    ids=lambda part: part if isinstance(part, str) else None,
)
def test_a_policy_that_cannot_be_meant_is_refused_at_its_line(change: tuple[str, str], line: int, says: str) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(GOOD.replace(*change))

    assert says in str(caught.value.problems[0])
    assert caught.value.problems[0].line == line


def test_every_problem_is_listed() -> None:
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(GOOD.replace("priority = 1", "priority = 9\ncolour = 'red'"))

    assert [problem.line for problem in caught.value.problems] == [27, 28]


def test_two_review_rules_of_one_name_are_a_contradiction() -> None:
    with pytest.raises(InvalidPolicy, match="two review rules are named 'conflict'"):
        parse_policy(GOOD + GOOD[GOOD.index("[[workflow.invoice.review]]") :])


def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    large, binary = tmp_path / "large.toml", tmp_path / "binary.toml"
    large.write_bytes(b"#" * (MAX_POLICY_BYTES + 1))
    binary.write_bytes(b"\xff\xfe")

    for path, says in ((tmp_path / "none.toml", "cannot be read"), (large, "larger than"), (binary, "not text")):
        with pytest.raises(UsageError, match=says):
            read_policy(path)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(GOOD)

    assert read_policy(path) == parse_policy(GOOD)
